#include "cli/commands.h"
#include "cli/remote.h"

#include <fcntl.h>
#include <inttypes.h>

#include "audit/proof_file.h"
#include "base/file.h"
#include "base/text.h"

enum { PATH_LEN_MAX = 1024 };

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { CERTIFICATE, SAVE, RECORD };
static const struct cli_option OPTIONS[] = {
    [CERTIFICATE] = { "--certificate", "SHA256",
                      "in place of INDEX: of the record that says that this certificate was "
                      "made" },
    [SAVE] = { "--save", "FILE", "into a file, NAME.tlog-proof by custom" },
    [RECORD] = { "--record", "FILE",
                 "the record's entry into a file of its own; the proof is then without it" },
};

static enum rc add_path(const struct cli_call *call, struct buf *path)
{
    const char *fingerprint = call->values[CERTIFICATE];
    uint64_t index = 0;

    if ((fingerprint != NULL) == (call->word_count > 0))
        return fault(RC_MALFORMED, "give the record's INDEX, or --certificate");
    if (fingerprint != NULL) {
        buf_addf(path, "/v1/certificates/");
        cli_remote_add_segment(path, fingerprint);
        buf_addf(path, "/proof");
        return RC_OK;
    }
    if (text_read_u64(bytes_of_text(call->words[0]), INT64_MAX, &index) != RC_OK)
        return fault(RC_MALFORMED, "%s: the index of a record is a number", call->words[0]);
    buf_addf(path, "/v1/audit/proof?index=%" PRIu64, index);
    return RC_OK;
}

/* The record leaves the proof, and becomes a file. */
static enum rc part(const struct cli_call *call, struct buf *text)
{
    AUTO_BUF(room, AUDIT_PROOF_FILE_MAX);
    AUTO_BUF(without, AUDIT_PROOF_FILE_MAX);
    struct audit_proof_file proof;

    TRY(audit_proof_file_read(buf_bytes(text), &room, &proof));
    if (proof.extra.len == 0)
        return fault(RC_MALFORMED, "the server's proof has no record with it");
    TRY(file_create(AT_FDCWD, call->values[RECORD], proof.extra, 0600));
    proof.extra = BYTES("");
    TRY(audit_proof_file_write(&proof, &without));
    buf_reset(text);
    buf_add(text, buf_bytes(&without));
    return RC_OK;
}

static enum rc prove(const struct cli_call *call)
{
    CLI_REMOTE(remote);
    AUTO_BUF(path, PATH_LEN_MAX);
    AUTO_BUF(proof, AUDIT_PROOF_FILE_MAX);
    AUTO(json_value) *answer = NULL;
    const char *text = NULL;

    TRY(add_path(call, &path));
    TRY(buf_text(&path, &text));
    TRY(cli_remote_open(call, &remote));
    TRY(cli_remote_get_bytes(&remote, text, &proof));
    if (call->values[RECORD] != NULL)
        TRY(part(call, &proof));
    TRY(buf_text(&proof, &text));
    if (call->values[SAVE] != NULL) {
        TRY(file_create(AT_FDCWD, call->values[SAVE], buf_bytes(&proof), 0600));
        answer = json_pack("{s:s}", "file", call->values[SAVE]);
        return cli_show_line(call, answer,
                             "Saved as %s. Next: touchmark audit verify --proof %s\n",
                             call->values[SAVE], call->values[SAVE]);
    }
    answer = json_pack("{s:s}", "proof", text);
    return answer == NULL ? fault(RC_IO, "the proof is no text")
                          : cli_show_line(call, answer, "%s", text);
}

const struct cli_command CLI_AUDIT_PROVE = {
    .name = "audit prove",
    .arguments = "[INDEX]",
    .words_most = 1,
    .summary = "get a file that proves that a record is in the log",
    .teaching =
        "The file (C2SP tlog-proof) has the record, its way up the tree, and the signed "
        "checkpoint: whoever has\nthe public key checks it without us (touchmark audit verify "
        "--proof FILE). It tells what the record says:\nwith --record the two are apart.\n"
        "A record can be proven when a published checkpoint covers it: within some seconds.\n"
        "\n"
        "Example:\n"
        "  touchmark audit prove 1042 --save 1042.tlog-proof\n"
        "  touchmark audit prove --certificate $(openssl x509 -in dev-1.pem -noout "
        "-fingerprint "
        "\\\n      -sha256 | cut -d= -f2 | tr -d :) --save dev-1.tlog-proof\n",
    .options = OPTIONS,
    .option_count = COUNT(OPTIONS),
    .run = prove,
    .remote = true,
};
