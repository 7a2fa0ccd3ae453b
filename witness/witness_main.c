/* touchmark-witness: signs checkpoints of logs that only grew, and remembers what it signed. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/file.h"
#include "base/sandbox.h"
#include "base/text.h"
#include "witness/http.h"

enum { BACKLOG = 64, KEY_MAX = 16 * 1024, OPEN_FILES_MAX = 256 };

static const char USAGE[] =
    "touchmark-witness signs checkpoints of logs that only grew (docs/protocol/witness.md).\n"
    "\n"
    "  touchmark-witness init DIR NAME             a new witness in a new folder; prints its\n"
    "                                              verifier key\n"
    "  touchmark-witness key DIR                   print the verifier key\n"
    "  touchmark-witness add-log DIR ORIGIN FILE   watch this log; FILE: its checkpoints' "
    "public\n"
    "                                              key, PEM\n"
    "  touchmark-witness serve DIR [ADDRESS]       answer POST /add-checkpoint\n"
    "                                              (127.0.0.1:8070; port 0: any that is free)\n"
    "\n"
    "NAME is a URL without its scheme, such as witness.example/w1. ADDRESS is of IPv4, or of\n"
    "IPv6 in brackets. serve is jailed: it reaches DIR and its socket, and nothing else.\n"
    "TOUCHMARK_WITNESS_LANDLOCK=optional lets it serve on a kernel without Landlock.\n";

/* ---- Commands that end at once ---- */

static enum rc print_key(const struct audit_cosigner *cosigner)
{
    AUTO_BUF(vkey, AUDIT_VKEY_MAX + 2);
    const char *text = NULL;

    audit_witness_write(audit_cosigner_witness(cosigner), &vkey);
    TRY(buf_text(&vkey, &text));
    return printf("%s\n", text) > 0 ? RC_OK : fault_errno("write the key");
}

static enum rc show_key(const char *folder)
{
    AUTO_OF(witness_book) *book = NULL;
    AUTO_FD dir = -1;

    TRY(file_open_dir(AT_FDCWD, folder, &dir));
    TRY(witness_book_open(dir, &book));
    return print_key(book->cosigner);
}

static enum rc init(const char *folder, const char *name)
{
    AUTO_FD dir = -1;

    if (!audit_note_is_name(bytes_of_text(name)))
        return fault(RC_MALFORMED,
                     "a witness's name is 1 to %d printable characters without space and plus",
                     AUDIT_NAME_MAX);
    TRY(file_make_dir(AT_FDCWD, folder, 0700, &dir));
    TRY(witness_book_make(dir, bytes_of_text(name)));
    return show_key(folder);
}

static enum rc add_log(const char *folder, const char *origin, const char *file)
{
    AUTO_FD dir = -1;
    AUTO_BUF(pem, KEY_MAX);

    TRY(file_open_dir(AT_FDCWD, folder, &dir));
    TRY(file_read(AT_FDCWD, file, &pem));
    return witness_book_add_log(dir, bytes_of_text(origin), buf_bytes(&pem));
}

/* ---- Listening ---- */

union address {
    struct sockaddr any;
    struct sockaddr_in four;
    struct sockaddr_in6 six;
};

/* "127.0.0.1:8070", "[::1]:8070" */
static enum rc read_address(const char *text, union address *address, socklen_t *len)
{
    const char *colon = strrchr(text, ':');
    char host[64] = "";
    uint64_t port = 0;
    size_t size = colon == NULL ? 0 : (size_t)(colon - text);
    bool six = size > 2 && text[0] == '[' && text[size - 1] == ']';

    memset(address, 0, sizeof *address);
    if (colon == NULL || size >= sizeof host ||
        text_read_u64(bytes_of_text(colon + 1), UINT16_MAX, &port) != RC_OK)
        return fault(RC_MALFORMED, "%s: an address is HOST:PORT", text);
    memcpy(host, six ? text + 1 : text, six ? size - 2 : size);
    address->any.sa_family = six ? AF_INET6 : AF_INET;
    if (six)
        address->six.sin6_port = htons((uint16_t)port);
    else
        address->four.sin_port = htons((uint16_t)port);
    *len = six ? sizeof address->six : sizeof address->four;
    if (inet_pton(address->any.sa_family, host,
                  six ? (void *)&address->six.sin6_addr : (void *)&address->four.sin_addr) != 1)
        return fault(RC_MALFORMED, "%s: no IPv4 address, and no IPv6 address in brackets",
                     text);
    return RC_OK;
}

static enum rc listen_at(const char *text, int *listener, unsigned *port)
{
    union address address;
    socklen_t len = 0;
    const int yes = 1;

    TRY(read_address(text, &address, &len));
    AUTO_FD fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(fd, &address.any, len) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, &address.any, &len) != 0)
        return fault_errno("listen at %s", text);
    *port = ntohs(address.any.sa_family == AF_INET6 ? address.six.sin6_port
                                                    : address.four.sin_port);
    *listener = TAKE_FD(fd);
    return RC_OK;
}

/* ---- Serving: open, jail, serve ---- */

static enum rc stop(struct loop_signal *signal, const struct signalfd_siginfo *info)
{
    (void)info;
    loop_stop(signal->watch.loop);
    return RC_OK;
}

static void tell(void *with, unsigned status, bool split_view, const char *text)
{
    (void)with;
    if (split_view)
        fprintf(stderr,
                "split-view: this log's key signed two trees of one size; the second is "
                "in evidence/\n");
    if (status != 200)
        fprintf(stderr, "refused %u: %s", status, text);
}

static enum rc jail(const char *folder)
{
    const char *landlock = getenv("TOUCHMARK_WITNESS_LANDLOCK");
    const struct sandbox_path path = { folder, SANDBOX_READ | SANDBOX_WRITE | SANDBOX_MAKE,
                                       false };
    const struct sandbox sandbox = {
        .name = "witness",
        /* PASS: libmicrohttpd answers by sendmsg(). There is no socket that takes descriptors.
         */
        .calls = SANDBOX_CALLS_ACCEPT | SANDBOX_CALLS_FILES | SANDBOX_CALLS_PASS,
        .paths = &path,
        .path_count = 1,
        .files_max = OPEN_FILES_MAX,
    };
    struct sandbox_report report;

    TRY(sandbox_enter(&sandbox, landlock != NULL && strcmp(landlock, "optional") == 0,
                      &report));
    fprintf(stderr, "jailed: %s\n", report.text);
    return RC_OK;
}

static enum rc serve(const char *folder, const char *at)
{
    const struct clock clock = clock_system();
    AUTO_FD dir = -1;
    AUTO_OF(witness_book) *book = NULL;
    AUTO_OF(loop) *loop = NULL;
    AUTO_OF(witness_http) *http = NULL;
    struct loop_signal signal = { .received = stop };
    unsigned port = 0;
    int listener = -1;
    sigset_t which;

    TRY(file_open_dir(AT_FDCWD, folder, &dir));
    TRY(witness_book_open(dir, &book));
    if (book->count == 0)
        return fault(RC_NOT_FOUND, "%s: no log is watched: touchmark-witness add-log", folder);
    TRY(loop_new(&clock, &loop));
    sigemptyset(&which);
    sigaddset(&which, SIGTERM);
    sigaddset(&which, SIGINT);
    TRY(loop_add_signals(loop, &signal, &which));
    TRY(listen_at(at, &listener, &port));
    const struct witness_http_setup setup = {
        .loop = loop, .clock = &clock, .book = book, .listener = listener, .told = tell
    };
    TRY(witness_http_new(&setup, &http));
    TRY(jail(folder));
    printf("listening %u\n", port);
    fflush(stdout);
    enum rc rc = loop_run(loop);
    loop_remove_signals(&signal);
    return rc;
}

static int end(enum rc rc)
{
    if (rc == RC_OK)
        return EX_OK;
    fprintf(stderr, "touchmark-witness: %s\n", fault_text());
    return rc == RC_MALFORMED || rc == RC_EXISTS || rc == RC_NOT_FOUND ? EX_CONFIG
                                                                       : EX_TEMPFAIL;
}

int main(int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : "";
    int words = argc - 2;

    if (sandbox_begin() != RC_OK)
        return EX_OSERR;
    signal(SIGPIPE, SIG_IGN);
    if (strcmp(command, "init") == 0 && words == 2)
        return end(init(argv[2], argv[3]));
    if (strcmp(command, "key") == 0 && words == 1)
        return end(show_key(argv[2]));
    if (strcmp(command, "add-log") == 0 && words == 3)
        return end(add_log(argv[2], argv[3], argv[4]));
    if (strcmp(command, "serve") == 0 && (words == 1 || words == 2))
        return end(serve(argv[2], words == 2 ? argv[3] : "127.0.0.1:8070"));
    bool asked = strcmp(command, "help") == 0 || strcmp(command, "--help") == 0;
    fputs(USAGE, asked ? stdout : stderr);
    return asked ? EX_OK : EX_USAGE;
}
