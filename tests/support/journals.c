#include "tests/support/check.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/support/journals.h"

void scratch_open(struct scratch *scratch)
{
    AUTO_BUF(path, sizeof scratch->path);
    const char *text = NULL;

    buf_addf(&path, "journal.XXXXXX");
    assert_int_equal(buf_text(&path, &text), RC_OK);
    memcpy(scratch->path, text, strlen(text) + 1);
    assert_non_null(mkdtemp(scratch->path));
    assert_int_equal(file_open_dir(AT_FDCWD, scratch->path, &scratch->dir), RC_OK);
}

static void remove_files(int dir, const char *suffix)
{
    DIR *files = fdopendir(openat(dir, ".", O_RDONLY | O_DIRECTORY));

    assert_non_null(files);
    for (const struct dirent *file; (file = readdir(files)) != NULL;)
        if (file->d_type == DT_REG && strstr(file->d_name, suffix) != NULL)
            assert_int_equal(unlinkat(dir, file->d_name, 0), 0);
    closedir(files);
}

void scratch_close(struct scratch *scratch)
{
    remove_files(scratch->dir, "");
    close(scratch->dir);
    assert_int_equal(rmdir(scratch->path), 0);
}

int scratch_setup(void **state)
{
    struct scratch *scratch = calloc(1, sizeof *scratch);

    assert_non_null(scratch);
    scratch_open(scratch);
    *state = scratch;
    return 0;
}

int scratch_teardown(void **state)
{
    scratch_close(*state);
    free(*state);
    return 0;
}

int scratch_dir(void **state)
{
    return ((const struct scratch *)*state)->dir;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_segment(const struct dirent *file)
{
    return strstr(file->d_name, ".segment") != NULL;
}

void copies_take(int dir, struct copies *copies)
{
    struct dirent **files = NULL;
    int count = scandirat(dir, ".", &files, is_segment, by_name);

    assert_in_range(count, 0, SEGMENTS_MAX);
    *copies = (struct copies){ .count = (size_t)count };
    for (size_t i = 0; i < copies->count; i++) {
        struct copy *copy = &copies->at[i];
        assert_true(strlen(files[i]->d_name) < sizeof copy->name);
        memcpy(copy->name, files[i]->d_name, strlen(files[i]->d_name) + 1);
        copy->bytes = BUF_MAX(64 * 1024 * 1024);
        assert_int_equal(file_read(dir, copy->name, &copy->bytes), RC_OK);
        free(files[i]);
    }
    free(files);
}

void segment_overwrite(int dir, const char *name, struct bytes bytes)
{
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(file_write_all(fd, bytes), RC_OK);
    close(fd);
}

void copies_put(int dir, const struct copies *copies, size_t count)
{
    remove_files(dir, ".segment");
    for (size_t i = 0; i < count; i++)
        segment_overwrite(dir, copies->at[i].name, buf_bytes(&copies->at[i].bytes));
}

void copies_clear(struct copies *copies)
{
    for (size_t i = 0; i < copies->count; i++)
        buf_clear(&copies->at[i].bytes);
}

static int64_t stand(void *with)
{
    (void)with;
    return 1000;
}

struct clock clock_standing(void)
{
    return (struct clock){ stand, stand, NULL };
}

struct journal *open_or_fail(int dir, uint64_t segment_bytes, struct journal_recovery *found)
{
    const struct journal_limits limits = { segment_bytes, 64 * 1024 * 1024 };
    const struct clock clock = clock_standing();
    struct journal *journal = NULL;

    enum rc rc = journal_open(dir, &limits, &clock, found, &journal);
    if (rc != RC_OK)
        fail_msg("%s", fault_reason());
    return journal;
}

static void body_of(uint64_t sequence, struct buf *body)
{
    buf_addf(body, "entry %" PRIu64, sequence);
}

void append_numbered(struct journal *journal, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        AUTO_BUF(body, 64);
        uint64_t next = journal_pending_head(journal).sequence + 1, sequence = 0;
        body_of(next, &body);
        assert_int_equal(journal_append(journal, (uint16_t)next, buf_bytes(&body), &sequence),
                         RC_OK);
        assert_int_equal(sequence, next);
    }
}

unsigned read_numbered(struct journal *journal, uint64_t from)
{
    AUTO_OF(journal_cursor) *cursor = NULL;
    struct journal_entry entry = { 0 };
    unsigned count = 0;

    assert_int_equal(journal_cursor_open(journal, from, &cursor), RC_OK);
    for (; journal_cursor_next(cursor, &entry) == RC_OK; count++) {
        AUTO_BUF(body, 64);
        body_of(from + count, &body);
        assert_int_equal(entry.sequence, from + count);
        assert_int_equal(entry.kind, (uint16_t)entry.sequence);
        assert_int_equal(entry.wall_ms, 1000);
        assert_true(bytes_equal(entry.body, buf_bytes(&body)));
    }
    struct journal_head head = journal_head(journal);
    if (count > 0)
        assert_memory_equal(entry.hash, head.hash, JOURNAL_HASH);
    assert_int_equal(from + count, head.sequence + 1);
    return count;
}
