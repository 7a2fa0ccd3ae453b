#include "cli/commands.h"
#include "cli/copy.h"
#include "cli/history.h"
#include "cli/manifest.h"
#include "cli/place.h"
#include "store/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { CHECKPOINT, KEY, JOURNAL, NO_NEWER, PIN };
static const struct cli_option OPTIONS[] = {
    [CHECKPOINT] = { "--checkpoint", "FILE",
                     "the newest that was kept elsewhere: refuse a backup that is older" },
    [KEY] = { "--key", "FILE", "that checkpoint's public key (the backup's own)" },
    [JOURNAL] = { "--journal", "DIR",
                  "the signer's journal that survived: used instead of the backup's, which it "
                  "must continue" },
    [NO_NEWER] = { "--no-newer-checkpoint", NULL,
                   "nobody kept a newer checkpoint and the journal is lost: signatures after "
                   "the backup may be repeated; the audit log will say so" },
    [PIN] = { "--pin", "FILE", "the issuing HSM token's PIN, for a backup without" },
};

enum { TEXT_MAX = 256 * 1024, KEY_MAX = 16 * 1024 };

static const char JOURNAL_FOLDER[] = "signer/journal", REGISTRY_FOLDER[] = "authority/registry";

struct restore {
    const struct cli_call *call;
    struct cli_manifest manifest;
    int backup, from; /* the backup and its copy of the place */
    struct cli_place place;
    struct cli_log_head log;
    uint64_t kept_size; /* of --checkpoint, and the journal's head in it */
    struct journal_head kept;
    struct cli_journal journal, survivor; /* the backup's, and --journal */
};

/* ---- What keeps an older state from being signed ---- */

static enum rc check(const struct cli_call *call)
{
    bool held = call->values[CHECKPOINT] != NULL || call->values[JOURNAL] != NULL;

    if (held && call->values[NO_NEWER] != NULL)
        return fault(RC_MALFORMED, "--no-newer-checkpoint says that there is neither a kept "
                                   "checkpoint nor the journal: not beside them");
    if (!held && call->values[NO_NEWER] == NULL)
        return fault(RC_MALFORMED,
                     "restore needs what tells which checkpoints were signed after the backup: "
                     "--checkpoint FILE, the newest that was kept elsewhere; or --journal DIR, "
                     "the signer's that survived; or, if both are lost, --no-newer-checkpoint");
    return RC_OK;
}

/* ---- What was backed up is whole, and fits together ---- */

static enum rc look_with_checkpoint(struct restore *r, int registry)
{
    AUTO_OF(audit_checkpoint_key) *key = NULL;
    AUTO_BUF(note, AUDIT_NOTE_MAX);
    AUTO_BUF(pem, KEY_MAX);
    struct audit_checkpoint kept;
    const char *file = r->call->values[KEY];

    TRY(file_read(AT_FDCWD, r->call->values[CHECKPOINT], &note));
    TRY(file_read(file != NULL ? AT_FDCWD : r->from,
                  file != NULL ? file : "ca/checkpoints.pub.pem", &pem));
    TRY(audit_checkpoint_key_read(buf_bytes(&pem), &key));
    TRY(audit_checkpoint_verify(key, buf_bytes(&note), &kept));
    r->kept_size = kept.size;
    r->kept.sequence = kept.journal_sequence;
    memcpy(r->kept.hash, kept.journal_hash, sizeof r->kept.hash);
    return cli_history_look(registry, r->backup, &kept, &r->log);
}

static enum rc check_registry(struct restore *r)
{
    AUTO_FD registry = -1;

    TRY(file_open_dir(r->from, REGISTRY_FOLDER, &registry));
    TRY(r->call->values[CHECKPOINT] != NULL
            ? look_with_checkpoint(r, registry)
            : cli_history_look(registry, r->backup, NULL, &r->log));
    return cli_manifest_head_is(&r->manifest, "log", "size", r->log.size, "root",
                                BYTES_OF(r->log.root.at))
               ? RC_OK
               : fault(RC_CORRUPT, "the registry is not the one that the manifest tells of");
}

static enum rc check_journal(struct restore *r)
{
    AUTO_FD journal = -1;

    TRY(file_open_dir(r->from, JOURNAL_FOLDER, &journal));
    cli_history_seek(&r->journal, &r->log.vouched, "the newest checkpoint in the backup's log");
    cli_history_seek(&r->journal, &r->kept, "the checkpoint that was kept");
    TRY(cli_history_walk(journal, &r->journal));
    if (!cli_manifest_head_is(&r->manifest, "journal", "sequence", r->journal.head.sequence,
                              "hash", BYTES_OF(r->journal.head.hash)))
        return fault(RC_CORRUPT, "the journal is not the one that the manifest tells of");
    return cli_history_check(&r->log, &r->journal.head);
}

static enum rc same_folder(int one, int other, bool *same)
{
    struct stat first, second;

    if (fstat(one, &first) != 0 || fstat(other, &second) != 0)
        return fault_errno("look at the journals");
    *same = first.st_dev == second.st_dev && first.st_ino == second.st_ino;
    return RC_OK;
}

static enum rc check_survivor(struct restore *r)
{
    AUTO_FD survivor = -1;
    AUTO_FD backup = -1;
    bool same = false;

    if (r->call->values[JOURNAL] == NULL)
        return RC_OK;
    TRY(file_open_dir(AT_FDCWD, r->call->values[JOURNAL], &survivor));
    TRY(file_open_dir(r->from, JOURNAL_FOLDER, &backup));
    TRY(same_folder(survivor, backup, &same));
    if (same)
        return fault(RC_DENIED,
                     "--journal %s: the backup's own knows nothing of what was "
                     "signed after the backup",
                     r->call->values[JOURNAL]);
    cli_history_seek(&r->survivor, &r->journal.head, "the backup's");
    enum rc rc = cli_history_walk(survivor, &r->survivor);
    return rc == RC_OK ? RC_OK : fault_while(rc, "--journal %s", r->call->values[JOURNAL]);
}

/* A journal that survived knows what was signed since: nothing older may take its place. */
static enum rc check_living(const struct restore *r)
{
    AUTO_BUF(path, PATH_MAX);
    AUTO_FD living = -1;
    struct journal_head head;
    const char *text = NULL;

    buf_addf(&path, "%s/%s", r->call->words[1], JOURNAL_FOLDER);
    TRY(buf_text(&path, &text));
    if (file_open_dir(AT_FDCWD, text, &living) != RC_OK)
        return RC_OK;
    TRY(journal_verify(living, NULL, NULL, &head, NULL));
    return head.sequence > r->journal.head.sequence
               ? fault(RC_DENIED,
                       "%s goes to entry %" PRIu64 ", the backup's to %" PRIu64
                       ": what was signed since must not be forgotten; move %s away and give "
                       "--journal",
                       text, head.sequence, r->journal.head.sequence, r->call->words[1])
               : RC_OK;
}

static enum rc check_backup(struct restore *r)
{
    TRY(file_open_dir(AT_FDCWD, r->call->words[0], &r->backup));
    TRY(cli_manifest_read(r->backup, &r->manifest));
    TRY(file_open_dir(r->backup, "place", &r->from));
    TRY(cli_manifest_check(&r->manifest, r->from));
    TRY(check_registry(r));
    TRY(check_journal(r));
    TRY(check_survivor(r));
    return check_living(r);
}

/* ---- Putting it in place ---- */

/* As root everything gets its owner back; else it is all ours, as it was. */
static enum rc give(const struct restore *r, const struct cli_manifest_row *row)
{
    int dir = r->place.dir;

    if (geteuid() == 0 &&
        fchownat(dir, row->path, row->uid, row->gid, AT_SYMLINK_NOFOLLOW) != 0)
        return fault_errno("give %s away", row->path);
    return fchmodat(dir, row->path, row->mode, 0) == 0 ? RC_OK
                                                       : fault_errno("mode of %s", row->path);
}

static enum rc make_folders(const struct restore *r)
{
    const json_t *row = NULL;
    size_t i = 0;

    json_array_foreach(json_object_get(r->manifest.document, "folders"), i, row)
    {
        struct cli_manifest_row read;
        TRY(cli_manifest_row(row, &read));
        if (mkdirat(r->place.dir, read.path, 0700) != 0)
            return fault_errno("make %s", read.path);
        TRY(give(r, &read));
    }
    return RC_OK;
}

/* Settings name files by their whole paths: those of the old place become those of the new. */
static void move_paths(struct bytes text, struct bytes old, struct bytes new, struct buf *out)
{
    for (;;) {
        const uint8_t *found = text.len > 0 ? memmem(text.at, text.len, old.at, old.len) : NULL;
        if (found == NULL) {
            buf_add(out, text);
            return;
        }
        size_t before = (size_t)(found - text.at);
        bool whole = before + old.len < text.len && text.at[before + old.len] == '/' &&
                     before > 0 && text.at[before - 1] == ' ';
        buf_add(out, (struct bytes){ text.at, before });
        buf_add(out, whole ? new : old);
        text = (struct bytes){ found + old.len, text.len - before - old.len };
    }
}

static bool has_paths(const char *path)
{
    size_t len = strlen(path);

    return strcmp(path, "touchmark.conf") == 0 ||
           (strncmp(path, "hsm/", 4) == 0 && len > 5 && strcmp(path + len - 5, ".conf") == 0);
}

static enum rc write_moved(const struct restore *r, const struct cli_manifest_row *row)
{
    AUTO_BUF(text, TEXT_MAX);
    AUTO_BUF(moved, TEXT_MAX);
    struct bytes bytes;
    const char *old = json_string_value(json_object_get(r->manifest.document, "place"));

    TRY(file_read(r->from, row->path, &text));
    move_paths(buf_bytes(&text), bytes_of_text(old), buf_bytes(&r->place.final_path), &moved);
    TRY(buf_done(&moved, &bytes));
    return file_create(r->place.dir, row->path, bytes, row->mode);
}

static bool is_journal(const char *path)
{
    return strncmp(path, JOURNAL_FOLDER, sizeof JOURNAL_FOLDER - 1) == 0;
}

static enum rc write_files(const struct restore *r)
{
    const json_t *row = NULL;
    size_t i = 0;

    json_array_foreach(json_object_get(r->manifest.document, "files"), i, row)
    {
        struct cli_manifest_row read;
        TRY(cli_manifest_row(row, &read));
        if (is_journal(read.path) && r->call->values[JOURNAL] != NULL)
            continue;
        TRY(has_paths(read.path)
                ? write_moved(r, &read)
                : cli_copy_file(r->from, read.path, r->place.dir, read.path, 0600));
        TRY(give(r, &read));
    }
    return RC_OK;
}

/* The survivor: all of it, since nothing that was signed may be forgotten. */
static enum rc write_journal(struct restore *r)
{
    AUTO_FD from = -1;
    AUTO_FD to = -1;
    struct stat owner;

    if (r->call->values[JOURNAL] == NULL)
        return RC_OK;
    TRY(file_open_dir(AT_FDCWD, r->call->values[JOURNAL], &from));
    TRY(file_open_dir(r->place.dir, JOURNAL_FOLDER, &to));
    TRY(cli_history_copy_journal(from, to, UINT64_MAX, &r->survivor.head));
    if (fstat(to, &owner) != 0)
        return fault_errno("%s", JOURNAL_FOLDER);
    return cli_place_give(&r->place, JOURNAL_FOLDER, owner.st_uid, owner.st_gid);
}

/* For the audit log: the authority writes it down when it first opens the registry. */
static enum rc tell_how(const struct restore *r, struct buf *how)
{
    struct bytes text;

    if (r->call->values[NO_NEWER] != NULL)
        buf_addf(how, "no newer checkpoint was kept and the signer's journal is lost: "
                      "signatures after the backup may be repeated");
    if (r->call->values[CHECKPOINT] != NULL)
        buf_addf(how, "held against a kept checkpoint of %" PRIu64 " records", r->kept_size);
    if (r->call->values[JOURNAL] != NULL)
        buf_addf(how, "%swith the signer's surviving journal to entry %" PRIu64,
                 how->len > 0 ? " and " : "", r->survivor.head.sequence);
    return buf_done(how, &text);
}

static enum rc write_how(const struct restore *r)
{
    AUTO_BUF(how, STORE_NOTE_MAX);
    AUTO_FD registry = -1;
    struct stat like;

    TRY(tell_how(r, &how));
    TRY(file_open_dir(r->place.dir, REGISTRY_FOLDER, &registry));
    if (fstatat(registry, STORE_BACKUP_MANIFEST, &like, AT_SYMLINK_NOFOLLOW) != 0)
        return fault_errno("the registry's copy");
    TRY(store_backup_note(registry, buf_bytes(&how)));
    if (geteuid() == 0 && fchownat(registry, STORE_BACKUP_MANIFEST, like.st_uid, like.st_gid,
                                   AT_SYMLINK_NOFOLLOW) != 0)
        return fault_errno("give %s away", STORE_BACKUP_MANIFEST);
    return RC_OK;
}

static enum rc write_pin(const struct restore *r)
{
    AUTO_SECRET(pin);

    if (r->call->values[PIN] == NULL)
        return RC_OK;
    AUTO_FD fd = open(r->call->values[PIN], O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fault(RC_NOT_FOUND, "--pin %s: cannot be opened", r->call->values[PIN]);
    TRY(secret_read_fd(&pin, fd));
    return file_create(r->place.dir, "secrets/issuing.pin", secret_bytes(&pin), 0600);
}

static enum rc restore(struct restore *r)
{
    TRY(check_backup(r));
    TRY(cli_place_make(r->call->words[1], &r->place));
    TRY(make_folders(r));
    TRY(write_files(r));
    TRY(write_journal(r));
    TRY(write_how(r));
    TRY(write_pin(r));
    return RC_OK;
}

static uint64_t entries_of(const struct restore *r)
{
    return r->call->values[JOURNAL] != NULL ? r->survivor.head.sequence
                                            : r->journal.head.sequence;
}

/* Better heard now than from the authority, which will say the same. */
static bool warn(const struct restore *r)
{
    if (r->survivor.tree_size <= r->log.size)
        return false;
    fprintf(r->call->messages,
            "touchmark: this place will issue nothing: its signer signed a checkpoint of "
            "%" PRIu64 " records, and the\nbackup's log has %" PRIu64
            ". Devices connect, are revoked and are cut. To issue again restore a backup that "
            "is not\nolder than that checkpoint (docs/backup.md).\n",
            r->survivor.tree_size, r->log.size);
    return true;
}

static enum rc finish(struct restore *r)
{
    struct stat found;
    bool pin = fstatat(r->place.dir, "secrets/issuing.pin", &found, AT_SYMLINK_NOFOLLOW) == 0;
    const char *name = r->call->words[1];

    TRY(cli_place_finish(&r->place));
    bool held_up = warn(r);
    AUTO(json_value) *answer = json_pack(
        "{s:s, s:I, s:I, s:b, s:b}", "folder", name, "records", (json_int_t)r->log.size,
        "journal", (json_int_t)entries_of(r), "pin", pin, "issues", !held_up);
    return cli_show_line(r->call, answer,
                         "%s has %" PRIu64 " audit records and %" PRIu64
                         " entries of the signer's journal again.\n%sNext: touchmarkd --config "
                         "%s/touchmark.conf\n",
                         name, r->log.size, entries_of(r),
                         pin ? ""
                             : "The token's PIN is missing: put it into "
                               "secrets/issuing.pin, mode 0600.\n",
                         name);
}

static enum rc run(const struct cli_call *call)
{
    struct restore r = {
        .call = call,
        .backup = -1,
        .from = -1,
        .place = { .dir = -1, .finished = true },
    };

    enum rc rc = restore(&r);
    if (rc == RC_OK)
        rc = finish(&r);
    cli_place_close(&r.place);
    cli_manifest_clear(&r.manifest);
    own_close(&r.from);
    own_close(&r.backup);
    return rc;
}

const struct cli_command CLI_RESTORE = {
    .name = "restore",
    .arguments = "BACKUP DIR",
    .words_least = 2,
    .words_most = 2,
    .summary = "at the machine: make a place anew from a backup",
    .teaching =
        "DIR must not exist, and appears whole or not at all. Every file is held against "
        "the manifest, the\n"
        "registry page by page, the journal along its chain, and both against each "
        "other: a journal\n"
        "older than the registry is never put beside it, so no serial comes twice. What "
        "the journal has\n"
        "beyond the registry is found when the authority starts, and revoked.\n"
        "\n"
        "Records and signatures after the backup are not in it. A checkpoint of the log that "
        "contradicts one\n"
        "that was signed since must never be signed, so something has to tell of those. Give "
        "one:\n"
        "\n"
        "  --checkpoint   the newest that anybody kept elsewhere: a backup that is older is "
        "refused\n"
        "  --journal      the signer's journal, if that survived: it takes the place of the "
        "backup's. If it has\n"
        "                 a checkpoint of more records than the backup, the place is made, and "
        "issues nothing\n"
        "  --no-newer-checkpoint\n"
        "                 neither is left. What was signed after the backup may be "
        "contradicted; that you said\n"
        "                 so is the first record of the restored log's new life\n"
        "\n"
        "Example, as root:\n"
        "  touchmark restore /mnt/backup-2026-11-27 /srv/touchmark --pin issuing.pin "
        "\\\n      --checkpoint 2026-11-26.checkpoint\n",
    .options = OPTIONS,
    .option_count = sizeof OPTIONS / sizeof *OPTIONS,
    .check = check,
    .run = run,
};
