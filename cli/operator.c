#include "cli/change.h"
#include "cli/commands.h"
#include "cli/identity.h"

#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "pki/pem.h"
#include "registry/subject.h"

enum { TEXT_MAX = 64 * 1024, REQUEST_MAX = 16 * 1024 };

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* The file beside operator.conf that names the doors' CA. */
static const char AUTHORITIES[] = "doors.pem", CHECKPOINT_KEY[] = "checkpoints.pub.pem";

/* ---- operator add, line add ---- */

enum { OUT, CSR, LABEL, ROLE };
static const struct cli_option ADD_OPTIONS[] = {
    [OUT] = { "--out", "DIR", "folder to make for key, certificate and operator.conf (ID)" },
    [CSR] = { "--csr", "FILE",
              "certify this request, PEM, instead of making a key; print the certificate" },
    [LABEL] = { "--label", "TEXT", "for people: a name, a place" },
    [ROLE] = { "--role", "ROLE", "admin, or auditor, who may only read (auditor)" },
};
enum { LINE_OPTIONS = ROLE }; /* a line has no role */

struct newcomer {
    const struct cli_call *call;
    const char *kind, *role; /* role NULL for a line */
};

static enum rc post(const struct newcomer *n, struct cli_remote *remote, struct bytes csr_pem,
                    json_t **answer)
{
    AUTO(json_value) *body =
        json_pack("{s:s, s:s, s:s*, s:s*, s:o}", "kind", n->kind, "id", n->call->words[0],
                  "role", n->role, "label", n->call->values[LABEL], "csr",
                  json_stringn((const char *)csr_pem.at, csr_pem.len));

    if (body == NULL)
        return fault(RC_MALFORMED, "id, label or request: not UTF-8");
    TRY(cli_remote_post(remote, "/v1/operators", body, answer));
    return json_is_string(json_object_get(*answer, "certificate"))
               ? RC_OK
               : fault(RC_IO, "the server's answer has no certificate");
}

static const char *certificate_of(const json_t *answer)
{
    return json_string_value(json_object_get(answer, "certificate"));
}

/* They made their key themselves: the best way, since it never was anywhere else. */
static enum rc certify_request(const struct newcomer *n, struct cli_remote *remote)
{
    AUTO_BUF(csr, REQUEST_MAX);
    AUTO(json_value) *answer = NULL;

    TRY(file_read(AT_FDCWD, n->call->values[CSR], &csr));
    TRY(post(n, remote, buf_bytes(&csr), &answer));
    return cli_show_line(n->call, answer, "%s", certificate_of(answer));
}

static enum rc write_profile(const struct newcomer *n, const struct cli_remote *remote, int dir)
{
    AUTO_BUF(authorities, TEXT_MAX);
    AUTO_BUF(checkpoint_key, TEXT_MAX);
    AUTO_BUF(text, TEXT_MAX);
    AUTO_BUF(certificate, 256);
    AUTO_BUF(key, 256);
    const char *certificate_name = NULL, *key_name = NULL;

    buf_addf(&certificate, "%s.pem", n->call->words[0]);
    buf_addf(&key, "%s.key", n->call->words[0]);
    TRY(buf_text(&certificate, &certificate_name));
    TRY(buf_text(&key, &key_name));
    cli_profile_write(&text,
                      &(const struct cli_profile_names){ remote->profile.server, AUTHORITIES,
                                                         certificate_name, key_name });
    TRY(file_read(AT_FDCWD, remote->profile.authorities, &authorities));
    TRY(file_create(dir, AUTHORITIES, buf_bytes(&authorities), 0644));
    TRY(file_read(AT_FDCWD, remote->profile.checkpoint_key, &checkpoint_key));
    TRY(file_create(dir, CHECKPOINT_KEY, buf_bytes(&checkpoint_key), 0644));
    return file_create(dir, "operator.conf", buf_bytes(&text), 0644);
}

static enum rc fill_folder(const struct newcomer *n, struct cli_remote *remote, int dir)
{
    CLI_IDENTITY(identity);
    AUTO_BUF(der, REQUEST_MAX);
    AUTO_BUF(csr, REQUEST_MAX);
    AUTO(json_value) *answer = NULL;

    TRY(cli_identity_make(dir, n->call->words[0], false, &identity));
    TRY(cli_identity_request(&identity, (struct bytes){ 0 }, &der));
    pki_pem_add(&csr, "CERTIFICATE REQUEST", buf_bytes(&der));
    TRY(write_profile(n, remote, dir));
    TRY(post(n, remote, buf_bytes(&csr), &answer));
    TRY(cli_identity_finish(&identity, bytes_of_text(certificate_of(answer))));
    const char *out = cli_command_value(n->call, OUT, n->call->words[0]);
    return cli_show_line(n->call, answer,
                         "%s is registered as %s. Give the folder %s to that person and remove "
                         "it here.\n",
                         n->call->words[0], n->kind, out);
}

static enum rc make_folder(const struct newcomer *n, struct cli_remote *remote)
{
    const char *out = cli_command_value(n->call, OUT, n->call->words[0]);
    AUTO_FD dir = -1;

    TRY(registry_id_check(bytes_of_text(n->call->words[0])));
    enum rc rc = file_make_dir(AT_FDCWD, out, 0700, &dir);
    if (rc != RC_OK)
        return rc == RC_EXISTS ? fault(rc, "%s exists; give another --out", out) : rc;
    rc = fill_folder(n, remote, dir);
    if (rc != RC_OK) {
        unlinkat(dir, AUTHORITIES, 0);
        unlinkat(dir, CHECKPOINT_KEY, 0);
        unlinkat(dir, "operator.conf", 0);
        unlinkat(AT_FDCWD, out, AT_REMOVEDIR);
    }
    return rc;
}

static enum rc add(const struct newcomer *n)
{
    CLI_REMOTE(remote);

    TRY(cli_remote_open(n->call, &remote));
    if (n->call->values[CSR] != NULL)
        return certify_request(n, &remote);
    return make_folder(n, &remote);
}

static enum rc add_operator(const struct cli_call *call)
{
    return add(
        &(const struct newcomer){ call, "operator", cli_command_value(call, ROLE, "auditor") });
}

static enum rc add_line(const struct cli_call *call)
{
    return add(&(const struct newcomer){ call, "line", NULL });
}

const struct cli_command CLI_OPERATOR_ADD = {
    .name = "operator add",
    .arguments = "ID",
    .words_least = 1,
    .words_most = 1,
    .summary = "give a person access",
    .teaching = "Makes a folder with a private key, a certificate, the doors' CA and "
                "operator.conf: all that\n"
                "this person needs to use touchmark. Better still, they make their own key and "
                "send a request:\n"
                "  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \\\n"
                "      -keyout grace.key -subj /CN=grace -out grace.csr\n"
                "  touchmark operator add grace --csr grace.csr > grace.pem\n"
                "\n"
                "Example:\n"
                "  touchmark operator add grace --role admin --label \"Grace, night shift\"\n"
                "  touchmark status --profile grace/operator.conf\n",
    .options = ADD_OPTIONS,
    .option_count = COUNT(ADD_OPTIONS),
    .run = add_operator,
    .remote = true,
};

const struct cli_command CLI_LINE_ADD = {
    .name = "line add",
    .arguments = "ID",
    .words_least = 1,
    .words_most = 1,
    .summary = "give a factory station the right to enrol devices",
    .teaching = "As operator add; a line may enrol registered devices over EST, and nothing "
                "else.\n"
                "\n"
                "Example:\n  touchmark line add hall-2 --csr hall-2.csr > hall-2.pem\n",
    .options = ADD_OPTIONS,
    .option_count = LINE_OPTIONS,
    .run = add_line,
    .remote = true,
};

/* ---- operator list ---- */

static enum rc list_operators(const struct cli_call *call)
{
    static const struct cli_show_column COLUMNS[] = {
        { "ID", "id" },       { "KIND", "kind" },       { "ROLE", "role" },
        { "STATE", "state" }, { "CREATED", "created" }, { "LABEL", "label" },
    };
    CLI_REMOTE(remote);
    AUTO(json_value) *answer = NULL;

    TRY(cli_remote_open(call, &remote));
    TRY(cli_remote_list(&remote, "/v1/operators", "operators", NULL, NULL, &answer));
    return cli_show_rows(call, answer, "operators", COLUMNS, COUNT(COLUMNS));
}

const struct cli_command CLI_OPERATOR_LIST = {
    .name = "operator list",
    .arguments = "",
    .summary = "list operators and lines",
    .teaching = "Example:\n  touchmark operator list\n",
    .run = list_operators,
    .remote = true,
};

/* ---- operator revoke, line revoke ---- */

enum { WAIT, REASON };
static const struct cli_option REVOKE_OPTIONS[] = {
    [WAIT] = { "--wait", NULL, "until every door has acknowledged it" },
    [REASON] = { "--reason", "REASON",
                 "keyCompromise, affiliationChanged, ... (RFC 5280 5.3.1)" },
};

static enum rc revoke_kind(const struct cli_call *call, const char *resource)
{
    return cli_change_run(call, &(const struct cli_change){
                                    .resource = resource,
                                    .id = call->words[0],
                                    .verb = "revoke",
                                    .done = "revoked",
                                    .reason = call->values[REASON],
                                    .wait = call->values[WAIT] != NULL,
                                });
}

static enum rc revoke_operator(const struct cli_call *call)
{
    return revoke_kind(call, "operators");
}

static enum rc revoke_line(const struct cli_call *call)
{
    return revoke_kind(call, "lines");
}

const struct cli_command CLI_OPERATOR_REVOKE = {
    .name = "operator revoke",
    .arguments = "ID",
    .words_least = 1,
    .words_most = 1,
    .summary = "take a person's access away, for good",
    .teaching = "Open connections of theirs end, too. Keep an administrator: a system without "
                "one can only be\nrecovered at the machine itself.\n"
                "\n"
                "Example:\n  touchmark operator revoke grace --wait\n",
    .options = REVOKE_OPTIONS,
    .option_count = COUNT(REVOKE_OPTIONS),
    .run = revoke_operator,
    .remote = true,
};

const struct cli_command CLI_LINE_REVOKE = {
    .name = "line revoke",
    .arguments = "ID",
    .words_least = 1,
    .words_most = 1,
    .summary = "take a factory station's right away, for good",
    .teaching = "What it enrolled stays as it is.\n"
                "\n"
                "Example:\n  touchmark line revoke hall-2 --reason keyCompromise --wait\n",
    .options = REVOKE_OPTIONS,
    .option_count = COUNT(REVOKE_OPTIONS),
    .run = revoke_line,
    .remote = true,
};
