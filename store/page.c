#include "store/page.h"

#include <stdlib.h>
#include <string.h>

/*
 * LMDB 0.9, data format 1, 64-bit, native byte order (mdb.c: struct MDB_page,
 * MDB_meta, MDB_db, MDB_node):
 *
 *   page  0 number 8 | 8 pad 2 | 10 flags 2 | 12 lower 2 | 14 upper 2 | 16 offsets of nodes, 2
 * each (an overflow page: 12 count of pages 4 | 16 bytes of one value) meta  16 magic 4 | 20
 * version 4 | 24 address 8 | 32 map size 8 40 tree of free pages 48 | 88 tree of tables 48 |
 * 136 last page 8 | 144 transaction 8 tree  0 pad 4 (page size, in the first) | 4 flags 2 | 6
 * depth 2 | 8 counts 32 | 40 root 8 node  0 low 2 | 2 high 2 | 4 flags 2 | 6 key size 2 | 8
 * key, then data branch: child = low | high << 16 | flags << 32; leaf: size of data = low |
 * high << 16
 */
enum {
    PAGE_HEAD = 16,
    NODE_HEAD = 8,
    TREE_BYTES = 48,
    META_END = 152,
    DEPTH_MAX = 32, /* CURSOR_STACK */
    IS_BRANCH = 1,
    IS_LEAF = 2,
    IS_OVERFLOW = 4,
    IS_META = 8,
    DATA_ON_OVERFLOW = 1,
    DATA_IS_TREE = 2,
    DATA_IS_DUPLICATES = 4
};
static const uint32_t MAGIC = 0xBEEFC0DE;
static const uint64_t NO_ROOT = UINT64_MAX;

struct walk {
    struct bytes file;
    size_t page_bytes;
    uint64_t pages;     /* whole pages in the file */
    uint64_t last_page; /* that the meta page claims */
    uint64_t left;      /* pages that may still be visited: a circle runs out of them */
    bool leaves;
};

static uint16_t u16_at(const uint8_t *at)
{
    uint16_t n;

    memcpy(&n, at, sizeof n);
    return n;
}

static uint32_t u32_at(const uint8_t *at)
{
    uint32_t n;

    memcpy(&n, at, sizeof n);
    return n;
}

static uint64_t u64_at(const uint8_t *at)
{
    uint64_t n;

    memcpy(&n, at, sizeof n);
    return n;
}

static enum rc damaged(uint64_t page, const char *what)
{
    return fault(RC_CORRUPT, "store: page %llu: %s", (unsigned long long)page, what);
}

static enum rc check_meta(const struct walk *w, uint64_t number)
{
    const uint8_t *meta = w->file.at + number * w->page_bytes;

    if ((u16_at(meta + 10) & IS_META) == 0 || u32_at(meta + 16) != MAGIC)
        return damaged(number, "is no LMDB header: another program's file, or damage");
    if (u32_at(meta + 20) != 1)
        return damaged(number, "LMDB data format is not 1");
    if (u32_at(meta + 40) != w->page_bytes)
        return damaged(number, "page size differs from the first header's");
    return RC_OK;
}

static enum rc find_page(struct walk *w, uint64_t number, const uint8_t **page)
{
    if (number < 2 || number > w->last_page || number >= w->pages)
        return damaged(number, "lies outside the file, which is cut short or damaged");
    if (w->left == 0)
        return damaged(number, "is reached in a circle");
    w->left--;
    *page = w->file.at + number * w->page_bytes;
    if (u64_at(*page) != number)
        return damaged(number, "carries another page's number");
    return RC_OK;
}

/* The nodes of a page: each offset leaves room for a node's head and its key. */
static enum rc check_nodes(const struct walk *w, uint64_t number, const uint8_t *page,
                           size_t *count)
{
    size_t lower = u16_at(page + 12), upper = u16_at(page + 14);

    if (lower < PAGE_HEAD || lower > upper || upper > w->page_bytes || lower % 2 != 0)
        return damaged(number, "its bounds cross");
    *count = (lower - PAGE_HEAD) / 2;
    for (size_t i = 0; i < *count; i++) {
        size_t offset = u16_at(page + PAGE_HEAD + 2 * i);
        if (offset < upper || offset + NODE_HEAD > w->page_bytes ||
            offset + NODE_HEAD + u16_at(page + offset + 6) > w->page_bytes)
            return damaged(number, "a node lies outside of it");
    }
    return RC_OK;
}

static enum rc check_overflow(struct walk *w, uint64_t number, size_t data_bytes)
{
    const uint8_t *page = w->file.at;

    TRY(find_page(w, number, &page));
    if ((u16_at(page + 10) & IS_OVERFLOW) == 0)
        return damaged(number, "is not the overflow page it should be");
    uint64_t count = u32_at(page + 12);
    if (count == 0 || count - 1 > w->left || count > w->pages - number ||
        data_bytes > count * w->page_bytes - PAGE_HEAD)
        return damaged(number, "its value runs past it");
    w->left -= count - 1;
    return RC_OK;
}

static enum rc check_tree(struct walk *w, const uint8_t *tree, bool holds_trees);

static enum rc check_leaf_node(struct walk *w, uint64_t number, const uint8_t *page,
                               const uint8_t *node, bool holds_trees)
{
    size_t bytes = u16_at(node) | (size_t)u16_at(node + 2) << 16;
    unsigned flags = u16_at(node + 4);
    const uint8_t *data = node + NODE_HEAD + u16_at(node + 6);
    size_t room = w->page_bytes - (size_t)(data - page);

    if ((flags & ~(unsigned)(holds_trees ? DATA_IS_TREE : DATA_ON_OVERFLOW)) != 0)
        return damaged(number, "a node is of a kind that a store does not use");
    if ((flags & DATA_ON_OVERFLOW ? 8 : bytes) > room)
        return damaged(number, "a value runs past it");
    if (flags & DATA_ON_OVERFLOW)
        return w->leaves ? check_overflow(w, u64_at(data), bytes) : RC_OK;
    if (flags & DATA_IS_TREE)
        return bytes == TREE_BYTES ? check_tree(w, data, false)
                                   : damaged(number, "a table's record has a wrong length");
    return RC_OK;
}

static enum rc check_branch(struct walk *w, uint64_t number, unsigned depth, bool holds_trees);

static enum rc check_leaf(struct walk *w, uint64_t number, bool holds_trees)
{
    const uint8_t *page = w->file.at;
    size_t count = 0;

    TRY(find_page(w, number, &page));
    if ((u16_at(page + 10) & 0x7) != IS_LEAF)
        return damaged(number, "is not the leaf it should be");
    TRY(check_nodes(w, number, page, &count));
    for (size_t i = 0; i < count; i++)
        TRY(check_leaf_node(w, number, page, page + u16_at(page + PAGE_HEAD + 2 * i),
                            holds_trees));
    return RC_OK;
}

/* depth: levels from this page down to the leaves, 1 for a leaf. */
static enum rc check_level(struct walk *w, uint64_t number, unsigned depth, bool holds_trees)
{
    if (depth > 1)
        return check_branch(w, number, depth, holds_trees);
    if (w->leaves || holds_trees)
        return check_leaf(w, number, holds_trees);
    return number >= 2 && number <= w->last_page && number < w->pages
               ? RC_OK
               : damaged(number, "lies outside the file, which is cut short or damaged");
}

static enum rc check_branch(struct walk *w, uint64_t number, unsigned depth, bool holds_trees)
{
    const uint8_t *page = w->file.at;
    size_t count = 0;

    TRY(find_page(w, number, &page));
    if ((u16_at(page + 10) & 0x7) != IS_BRANCH)
        return damaged(number, "is not the inner page it should be");
    TRY(check_nodes(w, number, page, &count));
    if (count < 2)
        return damaged(number, "is an inner page of fewer than two children");
    for (size_t i = 0; i < count; i++) {
        const uint8_t *node = page + u16_at(page + PAGE_HEAD + 2 * i);
        uint64_t child =
            u16_at(node) | (uint64_t)u16_at(node + 2) << 16 | (uint64_t)u16_at(node + 4) << 32;
        TRY(check_level(w, child, depth - 1, holds_trees));
    }
    return RC_OK;
}

static enum rc check_tree(struct walk *w, const uint8_t *tree, bool holds_trees)
{
    unsigned depth = u16_at(tree + 6);
    uint64_t root = u64_at(tree + 40);

    if (root == NO_ROOT)
        return RC_OK;
    if (depth == 0 || depth > DEPTH_MAX)
        return damaged(root, "is the root of a tree of impossible depth");
    return check_level(w, root, depth, holds_trees);
}

enum rc store_page_check(struct bytes file, bool leaves)
{
    if (file.len < META_END)
        return fault(RC_CORRUPT, "store: the file has %zu bytes, too few for a header",
                     file.len);

    struct walk w = { .file = file, .page_bytes = u32_at(file.at + 40), .leaves = leaves };
    if (u32_at(file.at + 16) != MAGIC)
        return damaged(0, "is no LMDB header: another program's file, or damage");
    if (w.page_bytes < 512 || w.page_bytes > 32768 ||
        (w.page_bytes & (w.page_bytes - 1)) != 0 || file.len < 2 * w.page_bytes)
        return damaged(0, "page size is impossible, or the file cut short");
    TRY(check_meta(&w, 0));
    TRY(check_meta(&w, 1));

    /* As mdb_env_pick_meta(): the second only if it is newer. */
    const uint8_t *first = file.at, *second = file.at + w.page_bytes;
    const uint8_t *meta = u64_at(first + 144) < u64_at(second + 144) ? second : first;
    w.pages = file.len / w.page_bytes;
    w.last_page = u64_at(meta + 136);
    w.left = w.pages;
    TRY(check_tree(&w, meta + 40, false));
    return check_tree(&w, meta + 88, true);
}
