#include "cli/client.h"
#include "cli/commands.h"
#include "cli/identity.h"
#include "cli/profile.h"
#include "cli/remote.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "pki/certificate.h"
#include "pki/est_answer.h"
#include "pki/est_body.h"
#include "pki/pem.h"
#include "registry/subject.h"

/* RFC 7030 from the device's side. */

enum { TEXT_MAX = 64 * 1024, DER_MAX = 16 * 1024, PATH_ROOM = 2 * PATH_MAX };

enum { SERVER, AUTHORITIES, TOKEN, OUT, RENEW, FORCE };
static const struct cli_option OPTIONS[] = {
    [SERVER] = { "--server", "URL", "the device door: https://host:8443" },
    [AUTHORITIES] = { "--authorities", "FILE",
                      "CA that the door's certificate must come from, PEM (DIR/chain.pem)" },
    [TOKEN] = { "--token", "FILE",
                "id:secret, as touchmark token new printed it; - for input" },
    [OUT] = { "--out", "DIR", "folder of key and certificates (the working folder)" },
    [RENEW] = { "--renew", NULL, "a new certificate for the key that is there" },
    [FORCE] = { "--force", NULL, "overwrite a key and certificate that are there" },
};

/* An enrolment under way. */
struct enrolment {
    const struct cli_call *call;
    const char *device;
    int dir; /* --out */
    struct cli_client *client;
    struct secret token;
};

static void clear(struct enrolment *e)
{
    secret_clear(&e->token);
    cli_client_close(e->client);
    own_close(&e->dir);
}

/* From a file or a pipe, and never from the command line, which everyone can see. */
static enum rc read_token(struct enrolment *e)
{
    const char *file = e->call->values[TOKEN];
    AUTO_FD opened = -1;
    size_t len = 0;
    ssize_t n = 0;

    if (file == NULL)
        return fault(RC_MALFORMED, "give the one-time token: --token FILE, or - for input");
    if (strcmp(file, "-") != 0) {
        opened = open(file, O_RDONLY | O_CLOEXEC);
        if (opened < 0)
            return fault(RC_NOT_FOUND, "--token %s: cannot be opened", file);
    }
    do {
        n = read(opened < 0 ? STDIN_FILENO : opened, e->token.at + len,
                 sizeof e->token.at - len);
        len += n > 0 ? (size_t)n : 0;
    } while (n > 0 && len < sizeof e->token.at);
    while (len > 0 && (e->token.at[len - 1] == '\n' || e->token.at[len - 1] == '\r'))
        len--;
    e->token.len = len;
    if (n < 0)
        return fault_errno("--token %s", file);
    if (len == sizeof e->token.at || len == 0 || memchr(e->token.at, ':', len) == NULL ||
        memchr(e->token.at, '\0', len) != NULL)
        return fault(RC_MALFORMED, "--token %s: not id:secret", file);
    return RC_OK;
}

/* A file in --out, for libcurl, which wants paths. */
static enum rc path_of(const struct enrolment *e, const char *name, const char *ending,
                       struct buf *room, const char **text)
{
    buf_addf(room, "%s/%s%s", cli_command_value(e->call, OUT, "."), name, ending);
    return buf_text(room, text);
}

static enum rc open_client(struct enrolment *e, bool with_certificate)
{
    AUTO_BUF(authorities, PATH_ROOM);
    AUTO_BUF(certificate, PATH_ROOM);
    AUTO_BUF(key, PATH_ROOM);
    struct cli_client_setup setup = { .server = e->call->values[SERVER] };

    if (setup.server == NULL)
        return fault(RC_MALFORMED, "say where the device door is: --server https://host:8443");
    TRY(cli_profile_check_server(setup.server));
    TRY(path_of(e, "chain", ".pem", &authorities, &setup.authorities));
    setup.authorities = cli_command_value(e->call, AUTHORITIES, setup.authorities);
    if (with_certificate) {
        TRY(path_of(e, e->device, ".pem", &certificate, &setup.certificate));
        TRY(path_of(e, e->device, ".key", &key, &setup.key));
    }
    return cli_client_open(&setup, &e->client);
}

static enum rc ask(struct enrolment *e, const struct cli_client_question *question,
                   struct pki_est_answer *certificates)
{
    AUTO_BUF(body, TEXT_MAX);
    struct cli_client_answer answer;

    TRY(cli_client_ask(e->client, question, &answer, &body));
    if (answer.status == 202)
        return fault(RC_BUSY, "RFC 7030 4.2.3: not decided yet; try again in %u seconds",
                     answer.retry_after_s);
    TRY(cli_remote_judge(&answer, buf_bytes(&body)));
    return pki_est_answer_read(buf_bytes(&body), certificates);
}

static enum rc enrol_request(struct enrolment *e, const char *path, struct bytes request,
                             struct buf *certificate)
{
    AUTO_BUF(body, TEXT_MAX);
    [[gnu::cleanup(pki_est_answer_clear)]] struct pki_est_answer answer = { 0 };

    pki_est_body_write(&body, request, PKI_EST_64_COLUMNS);
    const struct cli_client_question question = {
        .method = "POST",
        .path = path,
        .content_type = "application/pkcs10",
        .body = buf_bytes(&body),
        .credentials = e->token.len > 0 ? &e->token : NULL,
    };
    TRY(ask(e, &question, &answer));
    buf_add(certificate, answer.certificates[0]);
    return RC_OK;
}

/* The certificate must be for our key: nothing else is of use, whatever the server says. */
static enum rc check_certificate(const struct cli_identity *identity, struct bytes der)
{
    struct pki_certificate certificate;

    TRY(pki_certificate_read(der, &certificate));
    return bytes_equal(certificate.public_key, pki_software_key_public(identity->key))
               ? RC_OK
               : fault(RC_CORRUPT, "the server's certificate is for another key");
}

static enum rc write_chain(struct enrolment *e)
{
    AUTO_BUF(pem, TEXT_MAX);
    [[gnu::cleanup(pki_est_answer_clear)]] struct pki_est_answer answer = { 0 };
    const struct cli_client_question question = { .method = "GET",
                                                  .path = "/.well-known/est/cacerts" };

    TRY(ask(e, &question, &answer));
    for (size_t i = 0; i < answer.count; i++)
        pki_pem_add(&pem, "CERTIFICATE", answer.certificates[i]);
    return file_write(e->dir, "chain.pem", buf_bytes(&pem), 0644);
}

static enum rc certify(struct enrolment *e, struct cli_identity *identity, const char *path,
                       struct bytes subject)
{
    AUTO_BUF(request, DER_MAX);
    AUTO_BUF(certificate, DER_MAX);
    AUTO_BUF(pem, TEXT_MAX);

    TRY(cli_identity_request(identity, subject, &request));
    TRY(enrol_request(e, path, buf_bytes(&request), &certificate));
    TRY(check_certificate(identity, buf_bytes(&certificate)));
    pki_pem_add(&pem, "CERTIFICATE", buf_bytes(&certificate));
    TRY(cli_identity_finish(identity, buf_bytes(&pem)));
    return write_chain(e);
}

static enum rc enrol(struct enrolment *e)
{
    CLI_IDENTITY(identity);

    TRY(read_token(e));
    TRY(open_client(e, false));
    TRY(cli_identity_make(e->dir, e->device, e->call->values[FORCE] != NULL, &identity));
    return certify(e, &identity, "/.well-known/est/simpleenroll", (struct bytes){ 0 });
}

/* RFC 7030 4.2.2: the subject is that of the certificate that is renewed. */
static enum rc renew(struct enrolment *e)
{
    CLI_IDENTITY(identity);
    AUTO_BUF(file, 2 * REGISTRY_ID_MAX);
    AUTO_BUF(der, DER_MAX);
    struct pki_certificate old;
    const char *name = NULL;

    TRY(cli_identity_open(e->dir, e->device, &identity));
    buf_addf(&file, "%s.pem", e->device);
    TRY(buf_text(&file, &name));
    TRY(cli_identity_read_certificate(e->dir, name, &der));
    TRY(pki_certificate_read(buf_bytes(&der), &old));
    TRY(open_client(e, true));
    return certify(e, &identity, "/.well-known/est/simplereenroll", old.subject);
}

static enum rc tell(const struct cli_call *call)
{
    const char *out = cli_command_value(call, OUT, "."), *device = call->words[0];
    AUTO(json_value) *answer = json_object();
    static const char *const MEMBERS[] = { "key", "certificate", "chain" };
    static const char *const ENDINGS[] = { ".key", ".pem", NULL };

    (void)json_object_set_new(answer, "device", json_string(device));
    for (size_t i = 0; i < 3; i++)
        (void)json_object_set_new(answer, MEMBERS[i],
                                  ENDINGS[i] == NULL
                                      ? json_sprintf("%s/chain.pem", out)
                                      : json_sprintf("%s/%s%s", out, device, ENDINGS[i]));
    return cli_show_line(call, answer,
                         "%s is enrolled: %s/%s.key, %s/%s.pem, and the CAs in %s/chain.pem\n",
                         device, out, device, out, device, out);
}

static enum rc run(const struct cli_call *call)
{
    [[gnu::cleanup(clear)]] struct enrolment e = { .call = call,
                                                   .device = call->words[0],
                                                   .dir = -1 };
    bool again = call->values[RENEW] != NULL;

    if (again && (call->values[TOKEN] != NULL || call->values[FORCE] != NULL))
        return fault(RC_MALFORMED, "--renew needs no token and overwrites no key");
    TRY(registry_id_check(bytes_of_text(e.device)));
    TRY(file_open_dir(AT_FDCWD, cli_command_value(call, OUT, "."), &e.dir));
    TRY(again ? renew(&e) : enrol(&e));
    return tell(call);
}

const struct cli_command CLI_ENROLL = {
    .name = "enroll",
    .arguments = "DEVICE",
    .words_least = 1,
    .words_most = 1,
    .summary = "on the device: make a key and get a certificate for it (EST)",
    .teaching =
        "Makes a P-256 key in DEVICE.key (mode 0600), asks for its certificate with the "
        "one-time token,\nand writes DEVICE.pem and chain.pem. The key never leaves the "
        "device. Nothing is written\nunless a certificate came.\n"
        "\n"
        "--renew gets the next certificate for the same key; the present one is what "
        "lets it in.\n"
        "\n"
        "Example:\n"
        "  touchmark enroll pump-17 --server https://door.example:8443 --authorities "
        "doors.pem \\\n      --token pump-17.token\n"
        "  touchmark enroll pump-17 --server https://door.example:8443 --renew\n",
    .options = OPTIONS,
    .option_count = sizeof OPTIONS / sizeof *OPTIONS,
    .run = run,
};
