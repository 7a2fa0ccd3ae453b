#include "integration/jsonl.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/file.h"

enum {
    FILE_MODE = 0640,
    PENDING_MAX = 4 * 1024 * 1024,
    TAIL_MAX = 2 * 1024 * 1024, /* more than a page makes, in any format */
};

struct integration_jsonl {
    const struct integration_outlet_told *told;
    char *folder;
    const char *name;
    enum integration_format format;
    uint64_t rotate;
    int dir, fd;
    struct stat file; /* as it was opened; size: behind the last whole line */
    struct buf pending;
    uint64_t first;                  /* index of the first pending record */
    struct integration_cursor after; /* the pending ones */
};

/* ---- What is in the file ---- */

/* What we began to write, or blocks that the file system had given and not filled. */
static bool is_ours(struct bytes torn)
{
    static const struct bytes BEGINNINGS[] = { BYTES("{\"index\":"), BYTES("{\"metadata\":"),
                                               BYTES("\0") };

    for (size_t i = 0; i < sizeof BEGINNINGS / sizeof *BEGINNINGS; i++) {
        struct bytes both = BEGINNINGS[i];
        if (both.len > torn.len)
            both.len = torn.len;
        if (bytes_start_with(torn, both))
            return true;
    }
    return false;
}

static struct bytes cut_torn(struct bytes tail)
{
    while (tail.len > 0 && tail.at[tail.len - 1] != '\n')
        tail.len--;
    return tail;
}

static enum rc repair(struct integration_jsonl *file, struct bytes tail, struct bytes *whole)
{
    *whole = cut_torn(tail);
    struct bytes torn = { tail.at + whole->len, tail.len - whole->len };

    if (torn.len == 0)
        return RC_OK;
    if ((whole->len == 0 && (uint64_t)file->file.st_size > tail.len) || !is_ours(torn))
        return fault(RC_MALFORMED, "%s/%s ends within a line that is not ours", file->folder,
                     file->name);
    file->file.st_size -= (off_t)torn.len;
    if (ftruncate(file->fd, file->file.st_size) != 0 || fdatasync(file->fd) != 0)
        return fault_errno("cut the torn line off %s/%s", file->folder, file->name);
    return RC_OK;
}

static struct bytes take_last_line(struct bytes *lines)
{
    size_t begin = lines->len - 1;

    while (begin > 0 && lines->at[begin - 1] != '\n')
        begin--;
    struct bytes line = { lines->at + begin, lines->len - 1 - begin };
    lines->len = begin;
    return line;
}

/* The file has more than the cursor says if its last lines are all the records from there on,
 * one by one. */
static void move_cursor(struct bytes lines, struct integration_cursor *cursor)
{
    struct integration_cursor last, each;

    if (lines.len == 0 || integration_format_read(take_last_line(&lines), &last) != RC_OK)
        return;
    each = last;
    while (each.next > cursor->next + 1) {
        uint64_t expected = each.next - 1;
        if (lines.len == 0 || integration_format_read(take_last_line(&lines), &each) != RC_OK ||
            each.next != expected)
            return;
    }
    if (each.next == cursor->next + 1)
        *cursor = last;
}

static enum rc read_tail(const struct integration_jsonl *file, struct buf *tail)
{
    uint64_t size = (uint64_t)file->file.st_size;
    size_t wanted = size < TAIL_MAX ? (size_t)size : TAIL_MAX;

    while (tail->len < wanted) {
        size_t done = tail->len;
        uint8_t *room = buf_extend(tail, wanted - done);
        if (room == NULL)
            return fault(RC_NOMEM, "the end of %s/%s", file->folder, file->name);
        ssize_t got = pread(file->fd, room, wanted - done, (off_t)(size - wanted + done));
        if (got < 0 && errno != EINTR)
            return fault_errno("read %s/%s", file->folder, file->name);
        if (got == 0)
            return fault(RC_IO, "%s/%s became shorter", file->folder, file->name);
        buf_cut(tail, done + (got > 0 ? (size_t)got : 0));
    }
    return RC_OK;
}

/* ---- Opening ---- */

static void close_file(struct integration_jsonl *file)
{
    own_close(&file->fd);
    own_close(&file->dir);
    file->fd = file->dir = -1;
}

static enum rc open_file(struct integration_jsonl *file)
{
    file->fd =
        openat(file->dir, file->name,
               O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, FILE_MODE);
    if (file->fd < 0 || fstat(file->fd, &file->file) != 0)
        return fault_errno("open %s/%s", file->folder, file->name);
    if (!S_ISREG(file->file.st_mode))
        return fault(RC_DENIED, "%s/%s is not a regular file", file->folder, file->name);
    if (flock(file->fd, LOCK_EX | LOCK_NB) != 0)
        return fault_errno("%s/%s is locked by another writer", file->folder, file->name);
    return file_sync_dir(file->dir);
}

static enum rc begin_file(struct integration_jsonl *file, struct integration_cursor *cursor)
{
    AUTO_BUF(tail, TAIL_MAX);
    struct bytes whole;

    TRY(file_open_dir(AT_FDCWD, file->folder, &file->dir));
    TRY(open_file(file));
    TRY(read_tail(file, &tail));
    TRY(repair(file, buf_bytes(&tail), &whole));
    move_cursor(whole, cursor);
    return RC_OK;
}

static enum rc begin(void *outlet, struct integration_cursor *cursor)
{
    struct integration_jsonl *file = outlet;
    enum rc rc = begin_file(file, cursor);

    buf_reset(&file->pending);
    if (rc != RC_OK)
        close_file(file);
    return rc;
}

static void end(void *outlet)
{
    struct integration_jsonl *file = outlet;

    buf_reset(&file->pending);
    close_file(file);
}

/* ---- Writing ---- */

static bool takes(const void *outlet)
{
    const struct integration_jsonl *file = outlet;

    return file->fd >= 0;
}

static enum rc give(void *outlet, const struct audit_hit *hit)
{
    struct integration_jsonl *file = outlet;

    if (file->pending.len == 0)
        file->first = hit->index;
    TRY(integration_format_write(file->format, hit, &file->pending));
    buf_add_u8(&file->pending, '\n');
    file->after = (struct integration_cursor){ hit->index + 1, hit->leaf };
    return RC_OK;
}

/* Moved away, or to be moved: what comes goes into a new one. */
static enum rc begin_another(struct integration_jsonl *file)
{
    struct integration_cursor nowhere = { 0 };

    close_file(file);
    return begin_file(file, &nowhere);
}

static enum rc rename_full(struct integration_jsonl *file)
{
    AUTO_BUF(text, NAME_MAX);
    const char *name;

    buf_addf(&text, "%s.%012llu", file->name, (unsigned long long)file->first);
    TRY(buf_text(&text, &name));
    if (renameat2(file->dir, file->name, file->dir, name, RENAME_NOREPLACE) != 0)
        return fault_errno("rename %s/%s to %s", file->folder, file->name, name);
    return begin_another(file);
}

static enum rc look_after_file(struct integration_jsonl *file)
{
    struct stat now;
    bool there = fstatat(file->dir, file->name, &now, AT_SYMLINK_NOFOLLOW) == 0;

    if (!there && errno != ENOENT)
        return fault_errno("look at %s/%s", file->folder, file->name);
    if (!there || now.st_dev != file->file.st_dev || now.st_ino != file->file.st_ino)
        return begin_another(file);
    file->file.st_size = now.st_size;
    if (file->rotate > 0 && now.st_size > 0 &&
        (uint64_t)now.st_size + file->pending.len > file->rotate)
        return rename_full(file);
    return RC_OK;
}

static enum rc flush(void *outlet)
{
    struct integration_jsonl *file = outlet;
    struct bytes pending;

    TRY(buf_done(&file->pending, &pending));
    if (pending.len == 0)
        return RC_OK;
    TRY(look_after_file(file));
    enum rc rc = file_write_all(file->fd, pending);
    if (rc != RC_OK)
        return fault_while(rc, "%s/%s", file->folder, file->name);
    if (fdatasync(file->fd) != 0)
        return fault_errno("sync %s/%s", file->folder, file->name);
    buf_reset(&file->pending);
    file->told->delivered(file->told->with, &file->after);
    return RC_OK;
}

/* ---- Life ---- */

static void release(void *outlet)
{
    struct integration_jsonl *file = outlet;

    if (file == NULL)
        return;
    close_file(file);
    buf_clear(&file->pending);
    free(file->folder);
    free(file);
}

static const struct integration_outlet_kind KIND = { begin, takes, give, flush, end, release };

enum rc integration_jsonl_new(const struct integration_jsonl_setup *setup,
                              const struct integration_outlet_told *told,
                              struct integration_outlet *outlet)
{
    char *slash = strrchr(setup->path, '/');

    assert(setup->format != INTEGRATION_TEXT);
    if (setup->path[0] != '/' || slash == setup->path || slash[1] == '\0')
        return fault(RC_MALFORMED, "file '%s': an absolute path of a file in a folder",
                     setup->path);
    struct integration_jsonl *made = calloc(1, sizeof *made);
    char *folder = strdup(setup->path);
    if (made == NULL || folder == NULL) {
        free(made);
        free(folder);
        return fault(RC_NOMEM, "a sink");
    }
    folder[slash - setup->path] = '\0';
    *made = (struct integration_jsonl){ .told = told,
                                        .folder = folder,
                                        .name = folder + (slash - setup->path) + 1,
                                        .format = setup->format,
                                        .rotate = (uint64_t)setup->rotate,
                                        .dir = -1,
                                        .fd = -1,
                                        .pending = BUF_MAX(PENDING_MAX) };
    *outlet = (struct integration_outlet){ &KIND, made };
    return RC_OK;
}
