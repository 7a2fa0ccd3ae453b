#include "cli/commands.h"
#include "cli/remote.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "audit/verify.h"
#include "base/file.h"
#include "base/text.h"

enum { PATH_LEN_MAX = 1024, KEY_MAX = 16 * 1024 };

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* The size that a note speaks of. Whether it is signed is what audit verify is for: it needs
 * the key, and runs over the copy. */
static enum rc read_size(struct bytes note, struct audit_checkpoint *checkpoint)
{
    const uint8_t *gap = note.len > 0 ? memmem(note.at, note.len, "\n\n", 2) : NULL;

    if (gap == NULL)
        return fault(RC_MALFORMED, "the server's checkpoint is no signed note");
    return audit_checkpoint_read((struct bytes){ note.at, (size_t)(gap - note.at) + 1 },
                                 checkpoint);
}

/* One answer of GET /v1/audit/entries: in order from *next, up to size. */
static enum rc take_entries(struct audit_export *export, struct bytes answer, uint64_t size,
                            uint64_t *next)
{
    struct reader r = READER(answer);
    uint64_t before = *next;

    while (r.left.len > 0 && *next < size) {
        uint64_t index = reader_u64(&r);
        uint32_t len = reader_u32(&r);
        (void)reader_take(&r, PROOF_HASH); /* the leaf's hash is computed anew */
        struct bytes entry = reader_take(&r, len);
        if (r.broken || index != *next)
            return fault(RC_MALFORMED, "the server's entries are cut short, or not in order");
        TRY(audit_export_add(export, entry));
        *next += 1;
    }
    return *next > before ? RC_OK
                          : fault(RC_MALFORMED,
                                  "the checkpoint covers %" PRIu64 " records, the server gave "
                                  "%" PRIu64,
                                  size, before);
}

static enum rc download(struct cli_remote *remote, int dir, uint64_t *size)
{
    AUTO_OF(audit_export) *export = NULL;
    AUTO_BUF(note, AUDIT_NOTE_MAX);
    struct audit_checkpoint checkpoint;
    uint64_t next = 0;

    TRY(cli_remote_get_bytes(remote, "/v1/audit/checkpoint", &note));
    TRY(read_size(buf_bytes(&note), &checkpoint));
    TRY(audit_export_new(dir, &export));
    while (next < checkpoint.size) {
        AUTO_BUF(path, PATH_LEN_MAX);
        AUTO_BUF(entries, CLI_ANSWER_MAX);
        const char *text = NULL;
        buf_addf(&path, "/v1/audit/entries?from=%" PRIu64, next);
        TRY(buf_text(&path, &text));
        TRY(cli_remote_get_bytes(remote, text, &entries));
        TRY(take_entries(export, buf_bytes(&entries), checkpoint.size, &next));
    }
    *size = checkpoint.size;
    return audit_export_finish(export, buf_bytes(&note));
}

static void remove_export(const char *name, int dir)
{
    unlinkat(dir, "records", 0);
    unlinkat(dir, "checkpoint", 0);
    unlinkat(AT_FDCWD, name, AT_REMOVEDIR);
}

/* ---- audit export ---- */

static enum rc export_log(const struct cli_call *call)
{
    CLI_REMOTE(remote);
    AUTO_FD dir = -1;
    AUTO(json_value) *answer = NULL;
    const char *name = call->words[0];
    uint64_t size = 0;

    TRY(cli_remote_open(call, &remote));
    TRY(file_make_dir(AT_FDCWD, name, 0700, &dir));
    enum rc rc = download(&remote, dir, &size);
    if (rc != RC_OK) {
        remove_export(name, dir);
        return rc;
    }
    answer = json_pack("{s:s, s:I}", "folder", name, "records", (json_int_t)size);
    return cli_show_line(call, answer,
                         "%" PRIu64 " records in %s. Next: touchmark audit verify %s\n", size,
                         name, name);
}

const struct cli_command CLI_AUDIT_EXPORT = {
    .name = "audit export",
    .arguments = "DIR",
    .words_least = 1,
    .words_most = 1,
    .summary = "copy the log, up to the newest checkpoint, into a new folder",
    .teaching = "Anyone can verify the copy with the public key alone (touchmark audit verify "
                "DIR --key FILE).\nIt holds what the log holds: keep it from strangers.\n"
                "\n"
                "Example:\n  touchmark audit export /mnt/audit-2026-11\n",
    .run = export_log,
    .remote = true,
};

/* ---- audit verify ---- */

enum { KEY, SINCE };
static const struct cli_option VERIFY_OPTIONS[] = {
    [KEY] = { "--key", "FILE",
              "the checkpoints' public key, PEM (the profile's; touchmark init writes "
              "ca/checkpoints.pub.pem)" },
    [SINCE] = { "--since", "FILE",
                "a checkpoint kept from earlier: nothing that it covers may be missing" },
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

static enum rc tell(const struct cli_call *call, const struct audit_verified *verified)
{
    AUTO_BUF(hex, 2 * PROOF_HASH + 1);
    AUTO(json_value) *answer = NULL;
    const char *root = NULL;

    text_add_hex(&hex, BYTES_OF(verified->checkpoint.root.at));
    TRY(buf_text(&hex, &root));
    answer = json_pack("{s:b, s:I, s:I, s:s}", "verified", 1, "records",
                       (json_int_t)verified->records, "erased", (json_int_t)verified->erased,
                       "root", root);
    return cli_show_line(
        call, answer,
        "Verified: %" PRIu64 " records (%" PRIu64 " erased), all under the signed root %s%s\n",
        verified->records, verified->erased, root,
        call->values[SINCE] == NULL ? "" : ", and it continues the earlier checkpoint");
}

static enum rc verify_folder(const struct cli_call *call, int dir)
{
    AUTO_OF(audit_checkpoint_key) *key = NULL;
    AUTO_BUF(since, AUDIT_NOTE_MAX);
    struct audit_verified verified;

    TRY(read_key(call, &key));
    if (call->values[SINCE] != NULL)
        TRY(file_read(AT_FDCWD, call->values[SINCE], &since));
    TRY(audit_verify(dir, key, buf_bytes(&since), &verified));
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
        rc = download(&remote, dir, &size);
    if (rc == RC_OK)
        rc = verify_folder(call, dir);
    remove_export(name, dir);
    own_close(&dir);
    return rc;
}

static enum rc verify_log(const struct cli_call *call)
{
    AUTO_FD dir = -1;

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
        "signed checkpoint.\nWith DIR, an exported copy: needs no server and no trust in "
        "one, only the public key.\nWithout, the log is fetched first. The first wrong "
        "record is named (status 3 or 7).\n"
        "\n"
        "What lacks its end is whole in itself: give --since a checkpoint kept "
        "elsewhere.\n"
        "\n"
        "Example:\n"
        "  touchmark audit verify /mnt/audit-2026-11 --key checkpoints.pub.pem \\\n"
        "      --since 2026-11-01.checkpoint\n",
    .options = VERIFY_OPTIONS,
    .option_count = COUNT(VERIFY_OPTIONS),
    .run = verify_log,
    .remote = true,
};
