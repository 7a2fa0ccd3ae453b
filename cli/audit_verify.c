#include "cli/audit_export.h"
#include "cli/commands.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "audit/json.h"
#include "audit/proof_file.h"
#include "audit/verify.h"
#include "base/file.h"
#include "base/text.h"

enum { KEY_MAX = 16 * 1024, WITNESSES_MAX = 8 * 1024 };

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { KEY, SINCE, WITNESS, QUORUM, PROOF, RECORD };
static const struct cli_option OPTIONS[] = {
    [KEY] = { "--key", "FILE",
              "the checkpoints' public key, PEM (the profile's; touchmark init writes "
              "ca/checkpoints.pub.pem)" },
    [SINCE] = { "--since", "FILE",
                "a checkpoint kept from earlier: nothing that it covers may be missing" },
    [WITNESS] = { "--witness", "VKEYS",
                  "witnesses' verifier keys, with spaces between them, or a file of such" },
    [QUORUM] = { "--quorum", "N", "so many of them must have signed the checkpoint (all)" },
    [PROOF] = { "--proof", "FILE",
                "in place of a copy: the proof of one record (audit prove)" },
    [RECORD] = { "--record", "FILE",
                 "with --proof: the record's entry, or the 80 octets of its leaf (the proof's "
                 "own "
                 "copy)" },
};

static enum rc read_key(const struct cli_call *call, struct audit_checkpoint_key **key)
{
    AUTO_BUF(bytes, KEY_MAX);
    struct cli_profile profile = { 0 };
    const char *file = call->values[KEY];
    enum rc rc = RC_OK;

    if (file == NULL) {
        rc = cli_profile_read(call->profile, call->server, &profile);
        if (rc != RC_OK)
            return fault_while(rc, "without --key");
        file = profile.checkpoint_key;
    }
    rc = file_read(AT_FDCWD, file, &bytes);
    if (rc == RC_OK)
        rc = audit_checkpoint_key_read(buf_bytes(&bytes), key);
    if (rc == RC_MALFORMED || rc == RC_DENIED)
        rc = fault_while(rc, "%s", file);
    cli_profile_clear(&profile);
    return rc;
}

/* A verifier key has a plus in it, and few files' names have. */
static enum rc read_witnesses(const struct cli_call *call, struct audit_witnesses *witnesses)
{
    AUTO_BUF(text, WITNESSES_MAX);
    const char *given = call->values[WITNESS];
    uint64_t quorum = 0;

    if (given == NULL)
        return call->values[QUORUM] == NULL ? RC_OK
                                            : fault(RC_MALFORMED, "--quorum without --witness");
    if (strchr(given, '+') != NULL)
        buf_addf(&text, "%s", given);
    else
        TRY(file_read(AT_FDCWD, given, &text));
    enum rc rc = audit_witnesses_add(witnesses, buf_bytes(&text));
    if (rc != RC_OK)
        return fault_while(rc, "--witness");
    if (witnesses->count == 0)
        return fault(RC_MALFORMED, "--witness: no verifier key in %s", given);
    witnesses->quorum = witnesses->count;
    if (call->values[QUORUM] == NULL)
        return RC_OK;
    if (text_read_u64(bytes_of_text(call->values[QUORUM]), witnesses->count, &quorum) !=
            RC_OK ||
        quorum == 0)
        return fault(RC_MALFORMED, "--quorum: a number from 1 to that of the witnesses, %zu",
                     witnesses->count);
    witnesses->quorum = (size_t)quorum;
    return RC_OK;
}

/* ---- A copy of the log ---- */

/* Below, no octets are no older checkpoint. */
static enum rc read_since(const char *file, struct buf *since)
{
    TRY(file_read(AT_FDCWD, file, since));
    if (since->len == 0)
        return fault(RC_MALFORMED, "--since %s: an empty file", file);
    return RC_OK;
}

static enum rc tell(const struct cli_call *call, const struct audit_verified *verified)
{
    AUTO_BUF(hex, 2 * PROOF_HASH + 1);
    AUTO_BUF(what, 64);
    AUTO(json_value) *answer = NULL;
    const char *root = NULL, *told = NULL;

    text_add_hex(&hex, BYTES_OF(verified->checkpoint.root.at));
    TRY(buf_text(&hex, &root));
    answer =
        json_pack("{s:b, s:I, s:I, s:b, s:b, s:s, s:I}", "verified", 1, "records",
                  (json_int_t)verified->records, "erased", (json_int_t)verified->erased,
                  "erasing", (int)verified->erasing, "leaves_only", (int)verified->leaves_only,
                  "root", root, "witnesses", (json_int_t)verified->witnesses);
    if (verified->leaves_only)
        buf_addf(&what, "leaves in tiles (no bodies)");
    else
        buf_addf(&what, "records (%" PRIu64 " erased%s)", verified->erased,
                 verified->erasing ? ", more under way" : "");
    TRY(buf_text(&what, &told));
    return cli_show_line(
        call, answer, "Verified: %" PRIu64 " %s, all under the signed root %s%s%s\n",
        verified->records, told, root,
        call->values[SINCE] == NULL ? "" : ", and it continues the earlier checkpoint",
        call->values[WITNESS] == NULL ? "" : ", which as many witnesses as demanded have seen");
}

static enum rc verify_folder(const struct cli_call *call, int dir)
{
    AUTO_OF(audit_checkpoint_key) *key = NULL;
    AUTO_BUF(since, AUDIT_NOTE_MAX);
    struct audit_witnesses witnesses = { .count = 0 };
    struct audit_verified verified;

    TRY(read_key(call, &key));
    TRY(read_witnesses(call, &witnesses));
    if (call->values[SINCE] != NULL)
        TRY(read_since(call->values[SINCE], &since));
    TRY(audit_verify(dir, key, &witnesses, buf_bytes(&since), &verified));
    return tell(call, &verified);
}

static enum rc verify_now(const struct cli_call *call)
{
    CLI_REMOTE(remote);
    char name[] = "/tmp/touchmark-audit-XXXXXX";
    uint64_t size = 0;
    int dir = -1;

    TRY(cli_remote_open(call, &remote));
    if (mkdtemp(name) == NULL)
        return fault_errno("a temporary folder");
    enum rc rc = file_open_dir(AT_FDCWD, name, &dir);
    if (rc == RC_OK)
        rc = cli_audit_download(&remote, dir, &size);
    if (rc == RC_OK)
        rc = verify_folder(call, dir);
    cli_audit_remove_copy(name, dir);
    own_close(&dir);
    return rc;
}

/* ---- One record ---- */

static enum rc tell_record(const struct cli_call *call, const struct audit_hit *hit,
                           const struct audit_checkpoint *checkpoint)
{
    static const struct cli_show_column FACTS[] = {
        { "verified", "verified" },
        { "index", "index" },
        { "of", "size" },
        { "root", "root" },
        { "time", "time" },
        { "monotonic clock, ms", "monotonic_ms" },
        { "action", "action" },
        { "decision", "decision" },
        { "actor", "actor.id" },
        { "device", "device" },
        { "certificate", "certificate.fingerprint" },
        { "target", "target" },
        { "reason", "reason" },
        { "correlation", "correlation" },
        { "leaf", "leaf" },
    };
    AUTO(json_value) *answer = audit_json_record(hit);

    if (answer == NULL)
        return fault(RC_NOMEM, "a record");
    json_object_set_new(answer, "verified", json_true());
    json_object_set_new(answer, "size", audit_json_number(checkpoint->size));
    json_object_set_new(answer, "root", audit_json_hex(BYTES_OF(checkpoint->root.at)));
    return cli_show_object(call, answer, FACTS, COUNT(FACTS));
}

/* The leaf alone proves as well, and tells what the head says. */
static enum rc verify_record(const struct cli_call *call, const struct audit_proof_file *proof,
                             struct bytes bytes)
{
    AUTO_OF(audit_checkpoint_key) *key = NULL;
    AUTO_OF(audit_hasher) *hasher = NULL;
    AUTO_BUF(room, AUDIT_RECORD_MAX);
    struct audit_witnesses witnesses = { .count = 0 };
    struct audit_checkpoint checkpoint;
    struct audit_record record;
    struct audit_entry entry;

    TRY(read_key(call, &key));
    TRY(read_witnesses(call, &witnesses));
    TRY(audit_hasher_new(&hasher));
    TRY(audit_leaf_read(bytes, &entry));
    TRY(audit_leaf_check(hasher, &entry));
    struct proof_hash leaf = audit_leaf_hash(hasher, &entry);
    TRY(audit_proof_file_check(proof, &leaf, key, &witnesses, &checkpoint));
    TRY(audit_leaf_record(&entry, &room, &record));
    const struct audit_hit hit = {
        .index = proof->index, .leaf = leaf, .entry = bytes, .record = &record
    };
    return tell_record(call, &hit, &checkpoint);
}

static enum rc verify_proof(const struct cli_call *call)
{
    AUTO_BUF(text, AUDIT_PROOF_FILE_MAX);
    AUTO_BUF(room, AUDIT_PROOF_FILE_MAX);
    AUTO_BUF(entry, AUDIT_ENTRY_MAX);
    struct audit_proof_file proof;

    if (call->word_count > 0 || call->values[SINCE] != NULL)
        return fault(RC_MALFORMED, "--proof is of one record: no DIR and no --since with it");
    TRY(file_read(AT_FDCWD, call->values[PROOF], &text));
    TRY(audit_proof_file_read(buf_bytes(&text), &room, &proof));
    if (call->values[RECORD] != NULL) {
        TRY(file_read(AT_FDCWD, call->values[RECORD], &entry));
        return verify_record(call, &proof, buf_bytes(&entry));
    }
    if (proof.extra.len == 0)
        return fault(RC_MALFORMED, "%s has no record with it: give --record",
                     call->values[PROOF]);
    return verify_record(call, &proof, proof.extra);
}

static enum rc verify_log(const struct cli_call *call)
{
    AUTO_FD dir = -1;

    if (call->values[PROOF] != NULL)
        return verify_proof(call);
    if (call->values[RECORD] != NULL)
        return fault(RC_MALFORMED, "--record without --proof");
    if (call->word_count == 0)
        return verify_now(call);
    TRY(file_open_dir(AT_FDCWD, call->words[0], &dir));
    return verify_folder(call, dir);
}

const struct cli_command CLI_AUDIT_VERIFY = {
    .name = "audit verify",
    .arguments = "[DIR]",
    .words_most = 1,
    .summary = "prove that nothing in the log was changed",
    .teaching =
        "Every record is hashed anew, and the tree of all of them held against the "
        "signed checkpoint.\nWith DIR, an exported copy, or one of the log's tiles (which "
        "have no bodies): needs no\nserver and no trust in one, only the public key. Without, "
        "the log is fetched first.\nThe first wrong record or tile is named (status 3 or 7).\n"
        "\n"
        "What lacks its end is whole in itself: give --since a checkpoint kept "
        "elsewhere.\n"
        "\n"
        "Whoever holds the checkpoints' key could show you another log than others. Demand "
        "witnesses: they\nsign only what continues all that they signed before "
        "(docs/audit.md).\n"
        "\n"
        "With --proof, one record: that it is in the log, and what it says.\n"
        "\n"
        "Example:\n"
        "  touchmark audit verify /mnt/audit-2026-11 --key checkpoints.pub.pem \\\n"
        "      --since 2026-11-01.checkpoint --witness witnesses.txt --quorum 2\n"
        "  touchmark audit verify --proof dev-1.tlog-proof --key checkpoints.pub.pem\n",
    .options = OPTIONS,
    .option_count = COUNT(OPTIONS),
    .run = verify_log,
    .remote = true,
};
