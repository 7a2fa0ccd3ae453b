/* Paths as C2SP tlog-tiles writes them, and which tiles a tree has. */
#include "tests/support/check.h"

#include <string.h>

#include "audit/tile.h"

static const struct {
    const char *path;
    struct audit_tile tile;
} KNOWN[] = {
    { "tile/0/000", { false, 0, 0, 256 } },
    { "tile/0/000.p/1", { false, 0, 0, 1 } },
    { "tile/3/999.p/255", { false, 3, 999, 255 } },
    { "tile/63/x001/000", { false, 63, 1000, 256 } },
    /* The example of C2SP tlog-tiles, "Merkle Tree". */
    { "tile/0/x001/x234/067", { false, 0, 1234067, 256 } },
    { "tile/entries/x001/x234/067.p/112", { true, 0, 1234067, 112 } },
    { "tile/1/x018/x446/x744/x073/x709/x551/615", { false, 1, UINT64_MAX, 256 } },
};

static void writes_and_reads_what_the_specification_shows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++) {
        AUTO_BUF(path, AUDIT_TILE_PATH_MAX);
        struct audit_tile tile;
        const char *text = NULL;

        audit_tile_write_path(&KNOWN[i].tile, &path);
        assert_int_equal(buf_text(&path, &text), RC_OK);
        assert_string_equal(text, KNOWN[i].path);
        assert_int_equal(audit_tile_read_path(bytes_of_text(text), &tile), RC_OK);
        assert_int_equal(tile.entries, KNOWN[i].tile.entries);
        assert_int_equal(tile.level, KNOWN[i].tile.level);
        assert_int_equal(tile.width, KNOWN[i].tile.width);
        assert_true(tile.index == KNOWN[i].tile.index);
    }
}

static void refuses_every_other_spelling(void **state)
{
    static const char *const WRONG[] = {
        "",
        "tile",
        "tile/",
        "tile/0",
        "tile/0/",
        "/tile/0/000",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/0/001/000",
        "tile/0/x000/001",
        "tile/0/x001/",
        "tile/0/x001",
        "tile/0/x001/x000",
        "tile/0/X001/000",
        "tile/0/000/",
        "tile/0/000.p",
        "tile/0/000.p/",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/1/",
        "tile/0/000.P/1",
        "tile/0/000.new",
        "tile/entries/../000",
        "tile/Entries/000",
        "tile/0/%30%30%30",
        "tile/0/x018/x446/x744/x073/x709/x551/616", /* 2^64 */
        "tile/0/x001/x001/x001/x001/x001/x001/x001/000",
    };

    (void)state;
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        struct audit_tile tile;
        if (audit_tile_read_path(bytes_of_text(WRONG[i]), &tile) != RC_MALFORMED)
            fail_msg("%s was taken", WRONG[i]);
    }
}

static void refuses_every_truncation(void **state)
{
    const char *path = "tile/63/x001/x234/067.p/112";
    size_t taken = 0;

    (void)state;
    for (size_t len = 0; len < strlen(path); len++) {
        struct audit_tile tile;
        taken +=
            audit_tile_read_path((struct bytes){ (const uint8_t *)path, len }, &tile) == RC_OK;
    }
    assert_int_equal(taken, 3); /* without the partial part, and of the widths 1 and 11 */
}

struct counts {
    uint64_t full[AUDIT_TILE_LEVELS], bundles;
    unsigned partial[AUDIT_TILE_LEVELS], bundle;
};

static struct counts count(uint64_t from, uint64_t size, bool partial)
{
    struct audit_tile_walk walk = { .from = from, .size = size, .partial = partial };
    struct counts counts = { 0 };
    struct audit_tile tile;

    while (audit_tile_next(&walk, &tile)) {
        bool full = tile.width == AUDIT_TILE_WIDTH;
        if (tile.entries && full)
            counts.bundles++;
        else if (tile.entries)
            counts.bundle = tile.width;
        else if (full)
            counts.full[tile.level]++;
        else
            counts.partial[tile.level] = tile.width;
    }
    return counts;
}

/* C2SP tlog-tiles, "Partial Tiles": the examples of 70,000 and of 256. */
static void a_tree_has_the_tiles_that_the_specification_counts(void **state)
{
    (void)state;
    struct counts made = count(0, 70000, true);
    assert_int_equal(made.full[0], 273);
    assert_int_equal(made.partial[0], 112);
    assert_int_equal(made.full[1], 1);
    assert_int_equal(made.partial[1], 17);
    assert_int_equal(made.full[2], 0);
    assert_int_equal(made.partial[2], 1);
    assert_int_equal(made.bundles, 273);
    assert_int_equal(made.bundle, 112);
    made = count(0, 256, true);
    assert_int_equal(made.full[0], 1);
    assert_int_equal(made.partial[0], 0);
    assert_int_equal(made.partial[1], 1);
    made = count(0, 0, true);
    assert_int_equal(made.full[0] + made.partial[0] + made.bundle, 0);
}

static void growing_adds_only_what_became_full(void **state)
{
    (void)state;
    struct counts made = count(69888, 70144, false); /* 273 and 274 tiles of level 0 */
    assert_int_equal(made.full[0], 1);
    assert_int_equal(made.bundles, 1);
    assert_int_equal(made.full[1], 0);
    assert_int_equal(made.partial[0] + made.bundle + made.partial[1], 0);
    made = count(65535, 65536, true);
    assert_int_equal(made.full[0], 1);
    assert_int_equal(made.full[1], 1);
    assert_int_equal(made.partial[2], 1);
    made = count(300, 300, false);
    assert_int_equal(made.full[0], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_and_reads_what_the_specification_shows),
        cmocka_unit_test(refuses_every_other_spelling),
        cmocka_unit_test(refuses_every_truncation),
        cmocka_unit_test(a_tree_has_the_tiles_that_the_specification_counts),
        cmocka_unit_test(growing_adds_only_what_became_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
