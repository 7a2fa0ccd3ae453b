#include "tests/support/signer_program.h"

#include <fcntl.h>
#include <openssl/sha.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/text.h"
#include "daemon/spawn.h"
#include "keys/ceremony.h"
#include "keys/client.h"
#include "tests/support/check.h"
#include "tests/support/tbs.h"

void signer_program_put_file(const struct signer_program *w, const char *name,
                             struct bytes bytes)
{
    AUTO_FD dir = -1;

    assert_int_equal(file_open_dir(AT_FDCWD, w->hsm.dir, &dir), RC_OK);
    assert_int_equal(file_write(dir, name, bytes, 0600), RC_OK);
}

static void make_rules(struct signer_program *w, struct keys_ceremony *ceremony)
{
    AUTO_BUF(text, KEYS_RULES_TEXT_MAX);
    AUTO_BUF(signature, 80);
    AUTO_BUF(hex, 80);
    uint8_t spki[KEYS_CEREMONY_SPKI], digest[32];

    w->rules = tbs_example_rules();
    for (size_t i = 0; i < w->rules->count; i++)
        assert_int_equal(keys_ceremony_make_key(ceremony, w->rules->rule[i].name,
                                                w->rules->rule[i].public_key),
                         RC_OK);
    assert_int_equal(keys_ceremony_make_key(ceremony, "root", spki), RC_OK);
    assert_int_equal(keys_rules_write(w->rules, &text), RC_OK);
    assert_int_equal(keys_ceremony_sign(ceremony, "root", buf_bytes(&text), &signature), RC_OK);
    signer_program_put_file(w, "rules", buf_bytes(&text));
    signer_program_put_file(w, "rules.sig", buf_bytes(&signature));
    signer_program_put_file(w, "root.spki", BYTES_OF(spki));
    SHA256(spki, sizeof spki, digest);
    text_add_hex(&hex, BYTES_OF(digest));
    memcpy(w->pin_sha256, hex.at, 64);
}

int signer_program_prepare(void **state)
{
    struct signer_program *w = calloc(1, sizeof *w);
    struct secret so = { 0 }, user = { 0 };
    AUTO_OF(keys_ceremony) *ceremony = NULL;
    AUTO_BUF(journal, 128);
    const char *path = NULL;

    assert_non_null(w);
    *w = (struct signer_program){ .pin = "1234", .workers = 2, .ask = -1, .control = -1 };
    softhsm_make(&w->hsm);
    buf_addf(&journal, "%s/journal", w->hsm.dir);
    assert_int_equal(buf_text(&journal, &path), RC_OK);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(secret_set(&so, BYTES("87654321")), RC_OK);
    assert_int_equal(secret_set(&user, BYTES("1234")), RC_OK);
    assert_int_equal(keys_ceremony_create(SOFTHSM_MODULE, "issuing", &so, &user, &ceremony),
                     RC_OK);
    make_rules(w, ceremony);
    *state = w;
    return 0;
}

static void write_settings(const struct signer_program *w)
{
    AUTO_BUF(ini, 4096);

    buf_addf(&ini,
             "[supervisor]\nlog_level = debug\n[sandbox]\nlandlock = optional\n[signer]\n"
             "module = %s\nmodule_conf = %s\nmodule_folder = %s\ntoken = issuing\n"
             "workers = %d\nrules = %s/rules\nrules_signature = %s/rules.sig\n"
             "rules_key = %s/root.spki\nrules_key_sha256 = %s\njournal = %s/journal\n",
             SOFTHSM_MODULE, w->hsm.conf, w->hsm.tokens, w->workers, w->hsm.dir, w->hsm.dir,
             w->hsm.dir, w->pin_sha256, w->hsm.dir);
    signer_program_put_file(w, "settings", buf_bytes(&ini));
    signer_program_put_file(w, "pin", bytes_of_text(w->pin));
}

static int open_in(const struct signer_program *w, const char *name, int flags)
{
    AUTO_BUF(path, 256);
    const char *text = NULL;

    buf_addf(&path, "%s/%s", w->hsm.dir, name);
    assert_int_equal(buf_text(&path, &text), RC_OK);
    int fd = open(text, flags | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    return fd;
}

/* Beside the tests stands bin/. */
static void find_program(struct buf *path)
{
    char self[4096] = "";
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);

    assert_true(len > 0);
    *strrchr(self, '/') = '\0';
    buf_addf(path, "%s/bin/touchmark-signer", self);
}

void signer_program_start(struct signer_program *w)
{
    static const char *const ENVIRONMENT[] = { "TOUCHMARK_DESCRIPTORS=authority,pin", NULL };
    AUTO_BUF(path, 4200);
    int answering = -1, its_control = -1;

    write_settings(w);
    AUTO_FD null = open("/dev/null", O_RDWR | O_CLOEXEC);
    AUTO_FD log = open_in(w, "log", O_WRONLY | O_CREAT | O_APPEND);
    AUTO_FD settings = open_in(w, "settings", O_RDONLY);
    AUTO_FD pin = open_in(w, "pin", O_RDONLY);
    assert_int_equal(link_pair(&w->ask, &answering), RC_OK);
    assert_int_equal(link_pair(&w->control, &its_control), RC_OK);
    const int fds[] = { null, null, log, settings, its_control, answering, pin };
    struct daemon_spawn what = { .name = "signer",
                                 .environment = ENVIRONMENT,
                                 .fds = fds,
                                 .fd_count = sizeof fds / sizeof *fds };
    find_program(&path);
    assert_int_equal(buf_text(&path, &what.path), RC_OK);
    assert_int_equal(daemon_spawn_start(&what, &w->pid), RC_OK);
    close(answering);
    close(its_control);
}

int signer_program_ended(struct signer_program *w)
{
    int status = 0;

    assert_int_equal(waitpid(w->pid, &status, 0), w->pid);
    w->pid = 0;
    close(w->ask);
    close(w->control);
    w->ask = w->control = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

int signer_program_stop(struct signer_program *w)
{
    assert_int_equal(kill(w->pid, SIGTERM), 0);
    return signer_program_ended(w);
}

int signer_program_clean(void **state)
{
    struct signer_program *w = *state;

    if (w->pid > 0) {
        kill(w->pid, SIGKILL);
        signer_program_ended(w);
    }
    free(w->rules);
    softhsm_remove(&w->hsm);
    free(w);
    return 0;
}

unsigned signer_program_logged(const struct signer_program *w, const char *text)
{
    AUTO_FD fd = open_in(w, "log", O_RDONLY);
    AUTO_BUF(log, 1024 * 1024);
    const char *at = NULL;
    unsigned count = 0;

    assert_int_equal(file_read_fd(fd, &log), RC_OK);
    assert_int_equal(buf_text(&log, &at), RC_OK);
    while ((at = strstr(at, text)) != NULL) {
        count++;
        at += strlen(text);
    }
    return count;
}
