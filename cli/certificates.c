#include "cli/change.h"
#include "cli/commands.h"

enum { PATH_LEN_MAX = 1024 };

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const struct cli_show_column CERTIFICATES[] = {
    { "FINGERPRINT", "fingerprint" }, { "KIND", "kind" },
    { "SUBJECT", "subject" },         { "STATE", "state" },
    { "NOT AFTER", "not_after" },
};

enum { LIST_KIND, LIST_SUBJECT, LIST_LIMIT, LIST_CURSOR };
static const struct cli_option LIST_OPTIONS[] = {
    [LIST_KIND] = { "--kind", "KIND", "device, operator, line or door" },
    [LIST_SUBJECT] = { "--subject", "ID", "only of this one; needs --kind" },
    [LIST_LIMIT] = { "--limit", "N", "one page of at most N (1 to 500); else all" },
    [LIST_CURSOR] = { "--cursor", "CURSOR", "go on where a page ended" },
};

static enum rc list_certificates(const struct cli_call *call)
{
    CLI_REMOTE(remote);
    AUTO_BUF(path, PATH_LEN_MAX);
    AUTO(json_value) *answer = NULL;
    const char *text = NULL;

    buf_addf(&path, "/v1/certificates");
    cli_remote_add_query(&path, "kind", call->values[LIST_KIND]);
    cli_remote_add_query(&path, "subject", call->values[LIST_SUBJECT]);
    TRY(buf_text(&path, &text));
    TRY(cli_remote_open(call, &remote));
    TRY(cli_remote_list(&remote, text, "certificates", call->values[LIST_LIMIT],
                        call->values[LIST_CURSOR], &answer));
    return cli_show_rows(call, answer, "certificates", CERTIFICATES, COUNT(CERTIFICATES));
}

const struct cli_command CLI_CERTIFICATE_LIST = {
    .name = "certificate list",
    .arguments = "",
    .summary = "list certificates, in every state",
    .teaching = "Example:\n  touchmark certificate list --kind device --subject pump-17\n",
    .options = LIST_OPTIONS,
    .option_count = COUNT(LIST_OPTIONS),
    .run = list_certificates,
    .remote = true,
};

enum { WAIT, REASON };
static const struct cli_option REVOKE_OPTIONS[] = {
    [WAIT] = { "--wait", NULL, "until every door has acknowledged it" },
    [REASON] = { "--reason", "REASON",
                 "keyCompromise, superseded, cessationOfOperation, ... (RFC 5280 5.3.1)" },
};

static enum rc revoke_certificate(const struct cli_call *call)
{
    return cli_change_run(call, &(const struct cli_change){
                                    .resource = "certificates",
                                    .id = call->words[0],
                                    .verb = "revoke",
                                    .done = "revoked",
                                    .reason = call->values[REASON],
                                    .wait = call->values[WAIT] != NULL,
                                });
}

const struct cli_command CLI_CERTIFICATE_REVOKE = {
    .name = "certificate revoke",
    .arguments = "FINGERPRINT",
    .words_least = 1,
    .words_most = 1,
    .summary = "revoke one certificate; its subject keeps its others",
    .teaching =
        "The fingerprint is the SHA-256 of the certificate, as certificate list shows "
        "it and as\nopenssl x509 -fingerprint -sha256 does, in lower case and without "
        "colons.\n"
        "\n"
        "Example:\n  touchmark certificate revoke 5d41...c9 --reason superseded --wait\n",
    .options = REVOKE_OPTIONS,
    .option_count = COUNT(REVOKE_OPTIONS),
    .run = revoke_certificate,
    .remote = true,
};
