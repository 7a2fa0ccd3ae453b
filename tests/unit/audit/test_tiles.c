/* Tiles from the store into files, and whether the files alone give the signed root. */
#include "tests/support/folder.h"
#include "tests/unit/audit/logs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "audit/tile_file.h"
#include "audit/tiles.h"
#include "base/file.h"

enum { RECORDS = 600, HASHES = 70000 };

struct ground {
    struct logs *logs;
    struct journal_digest *digest;
    char path[32];
    int dir;
};

static int set_up(void **state)
{
    struct ground *g = calloc(1, sizeof *g);
    void *logs = NULL;

    logs_set_up(&logs);
    g->logs = logs;
    assert_int_equal(journal_digest_new(&g->digest), RC_OK);
    logs_folder(g->path, &g->dir);
    *state = g;
    return 0;
}

static int tear_down(void **state)
{
    struct ground *g = *state;
    void *logs = g->logs;

    close(g->dir);
    folder_remove(g->path);
    journal_digest_free(g->digest);
    free(g);
    return logs_tear_down(&logs);
}

/* ---- Writing as the authority does ---- */

struct bringing {
    struct ground *ground;
    uint64_t from, size;
    bool mend;
    size_t tiles, written, altered;
};

static enum rc bring(struct store_txn *txn, void *with)
{
    struct bringing *b = with;
    struct audit_tile_walk walk = { .from = b->from, .size = b->size, .partial = true };
    struct audit_tile tile;

    while (audit_tile_next(&walk, &tile)) {
        AUTO_BUF(content, AUDIT_TILE_BYTES_MAX);
        enum audit_tile_found found = AUDIT_TILE_SAME;
        TRY(audit_tiles_read(b->ground->logs->log, txn, &tile, &content));
        TRY(audit_tile_file_put(b->ground->dir, &tile, buf_bytes(&content), b->mend, &found));
        b->tiles++;
        b->written += found != AUDIT_TILE_SAME;
        b->altered += found == AUDIT_TILE_ALTERED;
    }
    return RC_OK;
}

static size_t bring_all(struct ground *g, uint64_t from, uint64_t size, size_t *tiles)
{
    struct bringing b = { .ground = g, .from = from, .size = size, .mend = true };

    assert_int_equal(store_read(g->logs->store, bring, &b), RC_OK);
    if (tiles != NULL)
        *tiles = b.tiles;
    return b.written;
}

/* ---- Reading as anyone does: nothing but the files ---- */

static void get(struct ground *g, struct audit_tile tile, struct buf *content)
{
    buf_reset(content);
    assert_int_equal(audit_tile_file_get(g->dir, &tile, content), RC_OK);
}

/* RFC 9162 2.1.1 word for word. */
static struct proof_hash root_of(struct ground *g, const struct proof_hash *leaves, size_t n)
{
    size_t k = 1;

    if (n == 0)
        return journal_proof_empty();
    if (n == 1)
        return leaves[0];
    while (k * 2 < n)
        k *= 2;
    struct proof_hash left = root_of(g, leaves, k), right = root_of(g, leaves + k, n - k);
    return journal_proof_node(g->digest, &left, &right);
}

static bool same(const struct proof_hash *a, const struct proof_hash *b)
{
    return bytes_equal(BYTES_OF(a->at), BYTES_OF(b->at));
}

/* The leaves of a tree of this size from its bundles; each held against its tile of level 0,
 * and each full tile against its hash in level 1. */
static struct proof_hash root_of_files(struct ground *g, uint64_t size)
{
    static struct proof_hash leaves[RECORDS], above[RECORDS];
    AUTO_BUF(bundle, AUDIT_TILE_BYTES_MAX);
    AUTO_BUF(hashes, AUDIT_TILE_BYTES_MAX);
    size_t count = 0, full = 0;

    while (count < size) {
        struct audit_tile tile = { true, 0, count / 256, 256 };
        if (size - count < 256)
            tile.width = (unsigned)(size - count);
        get(g, tile, &bundle);
        tile.entries = false;
        get(g, tile, &hashes);
        assert_int_equal(hashes.len, tile.width * PROOF_HASH);
        struct reader r = READER(buf_bytes(&bundle));
        for (size_t i = 0; i < tile.width; i++, count++) {
            leaves[count] = journal_proof_leaf(g->digest, reader_sized16(&r, UINT16_MAX));
            assert_memory_equal(leaves[count].at, hashes.at + i * PROOF_HASH, PROOF_HASH);
        }
        assert_true(reader_done(&r));
        if (tile.width == 256)
            above[full++] = root_of(g, leaves + count - 256, 256);
    }
    if (full > 0) {
        get(g, (struct audit_tile){ false, 1, 0, (unsigned)full }, &hashes);
        assert_memory_equal(above, hashes.at, full * PROOF_HASH);
    }
    return root_of(g, leaves, size);
}

struct rooting {
    struct ground *ground;
    uint64_t size;
    struct proof_hash root;
};

static enum rc look_up_root(struct store_txn *txn, void *with)
{
    struct rooting *r = with;

    return audit_log_root(r->ground->logs->log, txn, r->size, &r->root);
}

static void check_files(struct ground *g, uint64_t size)
{
    struct rooting r = { .ground = g, .size = size };

    assert_int_equal(store_read(g->logs->store, look_up_root, &r), RC_OK);
    struct proof_hash root = root_of_files(g, size);
    assert_true(same(&r.root, &root));
}

static bool exists(const struct ground *g, const char *name)
{
    return faccessat(g->dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* ---- The tests ---- */

static void files_alone_give_the_root_at_every_step(void **state)
{
    static const uint64_t SIZES[] = { 1, 2, 15, 16, 17, 255, 256, 257, 511, 512, 513, 600 };
    static struct audit_record records[RECORDS];
    struct ground *g = *state;
    uint64_t before = 0;

    logs_fill(g->logs, records, RECORDS);
    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
        bring_all(g, before, SIZES[i], NULL);
        check_files(g, SIZES[i]);
        before = SIZES[i];
    }
    assert_true(exists(g, "tile/entries/001"));
    /* Of a full tile no partial one is left; of the last they are, for older checkpoints. */
    assert_false(exists(g, "tile/0/000.p"));
    assert_false(exists(g, "tile/entries/001.p"));
    assert_true(exists(g, "tile/0/002.p/1"));
    assert_true(exists(g, "tile/0/002.p/88"));
}

static void nothing_that_is_there_is_written_again(void **state)
{
    static struct audit_record records[RECORDS];
    struct ground *g = *state;
    size_t tiles = 0, again = 0;

    logs_fill(g->logs, records, RECORDS);
    assert_int_equal(bring_all(g, 0, RECORDS, &tiles), 7);
    assert_int_equal(tiles, 7); /* two bundles and two tiles, their partial ones, level 1 */
    assert_int_equal(bring_all(g, 0, RECORDS, &again), 0);
    assert_int_equal(again, tiles);
}

static void damage(struct ground *g, const char *name, size_t at, int how)
{
    AUTO_BUF(content, AUDIT_TILE_BYTES_MAX + 1);
    AUTO_FD fd = openat(g->dir, name, O_RDWR | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(file_read_fd(fd, &content), RC_OK);
    if (how == 0) {
        content.at[at % content.len] ^= 1;
        assert_int_equal(pwrite(fd, content.at, content.len, 0), content.len);
    } else if (how == 1) {
        assert_int_equal(ftruncate(fd, (off_t)(at % content.len)), 0);
    } else {
        assert_int_equal(pwrite(fd, "x", 1, (off_t)content.len), 1);
    }
}

static void missing_and_damaged_ones_are_made_again(void **state)
{
    static const char *const FILES[] = { "tile/entries/000", "tile/entries/001",
                                         "tile/0/000",       "tile/0/001",
                                         "tile/0/002.p/88",  "tile/entries/002.p/88",
                                         "tile/1/000.p/2" };
    static struct audit_record records[RECORDS];
    struct ground *g = *state;

    logs_fill(g->logs, records, RECORDS);
    bring_all(g, 0, RECORDS, NULL);
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
        for (int how = 0; how < 3; how++) {
            damage(g, FILES[i], 7919 * (i + 1), how);
            struct bringing told = { .ground = g, .size = RECORDS };
            for (unsigned times = 0; times < 2; times++) { /* it stays until it may be mended */
                told.altered = 0;
                assert_int_equal(store_read(g->logs->store, bring, &told), RC_OK);
                assert_int_equal(told.altered, 1);
            }
            assert_int_equal(bring_all(g, 0, RECORDS, NULL), 1);
            check_files(g, RECORDS);
        }
        assert_int_equal(unlinkat(g->dir, FILES[i], 0), 0);
        assert_int_equal(bring_all(g, 0, RECORDS, NULL), 1);
        check_files(g, RECORDS);
    }
    folder_remove(g->path);
    assert_int_equal(mkdir(g->path, 0700), 0);
    close(g->dir);
    g->dir = open(g->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(bring_all(g, 0, RECORDS, NULL), 7);
    check_files(g, RECORDS);
}

static void a_longer_log_is_not_made_up(void **state)
{
    static struct audit_record records[3];
    struct ground *g = *state;
    struct bringing b = { .ground = g, .size = 4 };

    logs_fill(g->logs, records, 3);
    assert_int_equal(store_read(g->logs->store, bring, &b), RC_NOT_FOUND);
    b = (struct bringing){ .ground = g, .size = 300 };
    assert_int_not_equal(store_read(g->logs->store, bring, &b), RC_OK);
}

static enum audit_tile_found publish(struct ground *g, const char *note, const char *former,
                                     bool mend)
{
    enum audit_tile_found found = AUDIT_TILE_SAME;

    assert_int_equal(audit_tile_file_publish(g->dir, bytes_of_text(note), bytes_of_text(former),
                                             mend, &found),
                     RC_OK);
    return found;
}

static void publishes_and_withdraws_a_checkpoint(void **state)
{
    struct ground *g = *state;
    AUTO_BUF(note, 100);

    assert_int_equal(audit_tile_file_published(g->dir, &note), RC_NOT_FOUND);
    assert_int_equal(publish(g, "one", "", false), AUDIT_TILE_ABSENT);
    assert_int_equal(publish(g, "one", "", false), AUDIT_TILE_SAME);
    assert_int_equal(publish(g, "two", "one", false), AUDIT_TILE_ABSENT);
    assert_int_equal(audit_tile_file_published(g->dir, &note), RC_OK);
    assert_true(bytes_equal(buf_bytes(&note), BYTES("two")));
    /* What somebody else put there stays until it may be mended. */
    assert_int_equal(publish(g, "three", "one", false), AUDIT_TILE_ALTERED);
    assert_int_equal(publish(g, "three", "one", true), AUDIT_TILE_ALTERED);
    assert_int_equal(publish(g, "three", "one", true), AUDIT_TILE_SAME);
    assert_int_equal(audit_tile_file_withdraw(g->dir), RC_OK);
    assert_int_equal(audit_tile_file_withdraw(g->dir), RC_OK);
    assert_false(exists(g, "checkpoint"));
}

/* Level 2 begins at 65536 leaves: hashes alone, without records. */
static struct proof_hash leaf_at(struct ground *g, uint64_t i)
{
    return journal_proof_leaf(g->digest, BYTES_OF((const uint64_t[]){ i }));
}

static enum rc grow(struct store_txn *txn, void *with)
{
    struct ground *g = with;
    const struct audit_tree tree = { AUDIT_NODES, g->digest, NULL };

    for (uint64_t i = 0; i < HASHES; i++) {
        struct proof_hash leaf = leaf_at(g, i);
        TRY(audit_tree_append(&tree, txn, i, &leaf));
    }
    return RC_OK;
}

static enum rc read_top(struct store_txn *txn, void *with)
{
    struct ground *g = with;
    static struct proof_hash leaves[65536];
    AUTO_BUF(top, PROOF_HASH);
    AUTO_BUF(middle, AUDIT_TILE_BYTES_MAX);

    TRY(audit_tiles_read(g->logs->log, txn, &(const struct audit_tile){ false, 2, 0, 1 },
                         &top));
    for (uint64_t i = 0; i < 65536; i++)
        leaves[i] = leaf_at(g, i);
    struct proof_hash root = root_of(g, leaves, 65536);
    assert_memory_equal(top.at, root.at, PROOF_HASH);
    TRY(audit_tiles_read(g->logs->log, txn, &(const struct audit_tile){ false, 1, 1, 17 },
                         &middle));
    for (uint64_t i = 0; i < 256; i++)
        leaves[i] = leaf_at(g, 65536 + 16 * 256 + i);
    root = root_of(g, leaves, 256);
    assert_memory_equal(middle.at + (size_t)16 * PROOF_HASH, root.at, PROOF_HASH);
    return RC_OK;
}

static void level_two_holds_roots_of_65536_leaves(void **state)
{
    struct ground *g = *state;

    assert_int_equal(store_write(g->logs->store, grow, g), RC_OK);
    assert_int_equal(store_read(g->logs->store, read_top, g), RC_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(files_alone_give_the_root_at_every_step, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(nothing_that_is_there_is_written_again, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(missing_and_damaged_ones_are_made_again, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_longer_log_is_not_made_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(publishes_and_withdraws_a_checkpoint, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(level_two_holds_roots_of_65536_leaves, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
