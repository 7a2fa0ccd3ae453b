/* Tiles alone against a checkpoint: what is whole, of every shape of tree, and what is not. */
#include "tests/unit/audit/damage.h"

/* ---- A small log, all its files ---- */

/* Two full tiles of level 0 and one that is not, with an older one; one of level 1. */
enum { RECORDS = 515, LESSER = 513 };

static int set_up(void **state)
{
    return bits_set_up(state, RECORDS, LESSER);
}

static void sees_what_is_cut_added_removed_or_exchanged(void **state)
{
    struct damage_count count = { 0 };
    struct bits *b = *state;

    damage_all(b, &count);
    assert_int_equal(count.removed, b->file_count);
    assert_int_equal(count.exchanged, 2); /* bundles, tiles */
}

static void sees_a_changed_bit_and_names_the_file(void **state)
{
    struct bits *b = *state;

    for (size_t i = 0; i < b->file_count; i++) {
        const struct bits_file *file = &b->files[i];
        bits_open_file(b, file);
        for (size_t at = i; at < b->content.len; at += 997) {
            bits_flip(b, at, at % 8);
            assert_int_not_equal(bits_verify(b, file), RC_OK);
            /* Which of those that are not full is wrong, nobody can say. */
            if (file->kind == BITS_TILE && file->tile.width == AUDIT_TILE_WIDTH)
                assert_non_null(strstr(fault_reason(), strstr(file->path, "/0")));
            bits_flip(b, at, at % 8);
        }
        bits_close_file(b);
    }
}

static void has_no_tile_that_the_tree_has_not(void **state)
{
    static const struct audit_tile NONE[] = {
        { false, 0, 2, 4 }, { false, 0, 2, 256 }, { false, 0, 3, 1 },   { true, 0, 2, 4 },
        { false, 1, 0, 3 }, { false, 2, 0, 1 },   { false, 63, 0, 1 },  { true, 1, 0, 1 },
        { false, 0, 0, 0 }, { true, 0, 9, 1 },    { false, 1, 1, 256 },
    };
    struct bits *b = *state;

    for (size_t i = 0; i < sizeof NONE / sizeof *NONE; i++) {
        assert_int_equal(audit_tile_verifier_check(b->verifier, &NONE[i]), RC_DENIED);
        assert_non_null(strstr(fault_reason(), "no such tile"));
    }
}

static void a_folder_of_both_has_both_verified(void **state)
{
    static const struct audit_witnesses NOBODY;
    struct audit_verified verified = { 0 };
    struct bits *b = *state;

    assert_int_equal(renameat(b->copy, "records", b->tiles, "records"), 0);
    assert_int_equal(audit_verify(b->tiles, b->signing.key, &NOBODY, BYTES(""), &verified),
                     RC_OK);
    assert_false(verified.leaves_only);
    assert_int_equal(verified.erased, 1);
    for (size_t i = 0; i < b->file_count; i++) {
        if (b->files[i].kind != BITS_TILE)
            continue;
        bits_open_file(b, &b->files[i]);
        bits_flip(b, 7, 3);
        assert_int_not_equal(
            audit_verify(b->tiles, b->signing.key, &NOBODY, BYTES(""), &verified), RC_OK);
        bits_flip(b, 7, 3);
        bits_close_file(b);
    }
    assert_int_equal(unlinkat(b->tiles, "records", 0), 0);
}

/* ---- Trees of hashes alone, of every shape ---- */

enum { HASHES = 65536 + 256 + 5 };

struct forest {
    struct logs *logs;
    struct journal_digest *digest;
    char path[32];
    int dir;
    uint64_t size;
    struct proof_hash root;
};

static enum rc grow(struct store_txn *txn, void *with)
{
    struct forest *f = with;
    const struct audit_tree tree = { AUDIT_NODES, f->digest, NULL };

    for (uint64_t i = 0; i < HASHES; i++) {
        struct proof_hash leaf = journal_proof_leaf(f->digest, BYTES_OF((uint64_t[]){ i }));
        TRY(audit_tree_append(&tree, txn, i, &leaf));
    }
    return RC_OK;
}

/* The tiles of the tree of this size but for the bundles; and its root, as the store knows it.
 */
static enum rc bring(struct store_txn *txn, void *with)
{
    struct forest *f = with;
    const struct audit_tree tree = { AUDIT_NODES, f->digest, NULL };
    struct audit_tile_walk walk = { .size = f->size, .partial = true };
    struct audit_tile tile;

    TRY(audit_tree_root(&tree, txn, f->size, &f->root));
    while (audit_tile_next(&walk, &tile)) {
        AUTO_BUF(content, AUDIT_TILE_BYTES_MAX);
        if (tile.entries)
            continue;
        TRY(audit_tiles_read(f->logs->log, txn, &tile, &content));
        enum audit_tile_found found;
        TRY(audit_tile_file_put(f->dir, &tile, buf_bytes(&content), false, &found));
    }
    return RC_OK;
}

static int plant(void **state)
{
    struct forest *f = calloc(1, sizeof *f);
    void *logs = NULL;

    assert_non_null(f);
    logs_set_up(&logs);
    f->logs = logs;
    assert_int_equal(journal_digest_new(&f->digest), RC_OK);
    logs_folder(f->path, &f->dir);
    assert_int_equal(store_write(f->logs->store, grow, f), RC_OK);
    *state = f;
    return 0;
}

static int fell(void **state)
{
    struct forest *f = *state;
    void *logs = f->logs;

    journal_digest_free(f->digest);
    close(f->dir);
    folder_remove(f->path);
    free(f);
    return logs_tear_down(&logs);
}

static enum rc check_hashes(const struct forest *f)
{
    AUTO_OF(audit_tile_verifier) *v = NULL;
    struct audit_tile_walk walk = { .size = f->size, .partial = true };
    struct audit_tile tile;

    TRY(audit_tile_verifier_new(f->dir, f->size, &f->root, &v));
    while (audit_tile_next(&walk, &tile))
        if (!tile.entries)
            TRY(audit_tile_verifier_check(v, &tile));
    return RC_OK;
}

/* A tree has its tiles, the roots of all that it was, and no others. */
static void knows_the_root_of_every_size_it_had(void **state)
{
    static const uint64_t SIZES[] = { HASHES, 65537, 65536, 65535, 4096, 513, 512, 257,
                                      256,    255,   129,   17,    16,   3,   2,   1 };
    struct forest *f = *state;
    struct proof_hash roots[sizeof SIZES / sizeof *SIZES], root;
    AUTO_OF(audit_tile_verifier) *v = NULL;
    const size_t count = sizeof SIZES / sizeof *SIZES;

    for (size_t i = count; i-- > 0;) {
        f->size = SIZES[i];
        assert_int_equal(store_read(f->logs->store, bring, f), RC_OK);
        assert_int_equal(check_hashes(f), RC_OK);
        roots[i] = f->root;
        f->root.at[31] ^= 1;
        assert_int_equal(check_hashes(f), RC_DENIED); /* each has one that is not full */
    }
    assert_int_equal(audit_tile_verifier_new(f->dir, HASHES, &roots[0], &v), RC_OK);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(audit_tile_verifier_root(v, SIZES[i], &root), RC_OK);
        assert_memory_equal(root.at, roots[i].at, PROOF_HASH);
    }
    assert_int_equal(audit_tile_verifier_root(v, 0, &root), RC_OK);
    assert_memory_equal(root.at, journal_proof_empty().at, PROOF_HASH);
}

/* ---- Checkpoints ---- */

static struct audit_checkpoint over(uint64_t size, const struct proof_hash *root)
{
    return (struct audit_checkpoint){ .size = size, .root = *root };
}

struct at_size {
    struct bits *b;
    uint64_t size;
    struct proof_hash root;
};

static enum rc look_up(struct store_txn *txn, void *with)
{
    struct at_size *at = with;

    return audit_log_root(at->b->logs->log, txn, at->size, &at->root);
}

static void continues_each_older_checkpoint_and_no_other(void **state)
{
    struct bits *b = *state;
    const struct audit_checkpoint now = over(RECORDS, &b->root);
    struct at_size at = { .b = b };

    for (at.size = 0; at.size <= RECORDS; at.size += at.size < 20 ? 1 : 9) {
        assert_int_equal(store_read(b->logs->store, look_up, &at), RC_OK);
        struct audit_checkpoint since = over(at.size, &at.root);
        assert_int_equal(audit_tile_verify(b->tiles, &now, &since), RC_OK);
        since.root.at[0] ^= 0x80;
        assert_int_equal(audit_tile_verify(b->tiles, &now, &since), RC_DENIED);
        assert_non_null(strstr(fault_reason(), "rewritten"));
    }
    const struct audit_checkpoint later = over(RECORDS + 1, &b->root);
    assert_int_equal(audit_tile_verify(b->tiles, &now, &later), RC_DENIED);
    assert_non_null(strstr(fault_reason(), "truncated"));
    assert_int_equal(audit_tile_verify(b->tiles, &later, NULL), RC_DENIED);
    assert_non_null(strstr(fault_reason(), "tile/0/002.p/4: is missing"));
}

static void an_empty_tree_has_the_empty_root(void **state)
{
    struct bits *b = *state;
    const struct proof_hash empty = journal_proof_empty();
    const struct audit_checkpoint none = over(0, &empty), other = over(0, &b->root);

    assert_int_equal(audit_tile_verify(b->tiles, &none, NULL), RC_OK);
    assert_int_equal(audit_tile_verify(b->tiles, &other, NULL), RC_DENIED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sees_what_is_cut_added_removed_or_exchanged, set_up,
                                        bits_tear_down),
        cmocka_unit_test_setup_teardown(sees_a_changed_bit_and_names_the_file, set_up,
                                        bits_tear_down),
        cmocka_unit_test_setup_teardown(has_no_tile_that_the_tree_has_not, set_up,
                                        bits_tear_down),
        cmocka_unit_test_setup_teardown(a_folder_of_both_has_both_verified, set_up,
                                        bits_tear_down),
        cmocka_unit_test_setup_teardown(knows_the_root_of_every_size_it_had, plant, fell),
        cmocka_unit_test_setup_teardown(continues_each_older_checkpoint_and_no_other, set_up,
                                        bits_tear_down),
        cmocka_unit_test_setup_teardown(an_empty_tree_has_the_empty_root, set_up,
                                        bits_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
