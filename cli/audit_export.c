#include "cli/audit_export.h"
#include "cli/commands.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "audit/verify.h"
#include "base/file.h"
#include "base/text.h"

enum { PATH_LEN_MAX = 1024 };

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

enum rc cli_audit_download(struct cli_remote *remote, int dir, uint64_t *size)
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

void cli_audit_remove_copy(const char *name, int dir)
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
    enum rc rc = cli_audit_download(&remote, dir, &size);
    if (rc != RC_OK) {
        cli_audit_remove_copy(name, dir);
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
