#include "audit/tile.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"

#define PREFIX BYTES("tile/")

enum { DIGITS = 3, THOUSAND = 1000 };

/* "x001/x234/067": three digits a step, all but the last marked. */
static void add_index(struct buf *path, uint64_t index)
{
    unsigned parts[8];
    size_t count = 0;

    do {
        parts[count++] = (unsigned)(index % THOUSAND);
        index /= THOUSAND;
    } while (index > 0);
    while (count > 1)
        buf_addf(path, "x%03u/", parts[--count]);
    buf_addf(path, "%03u", parts[0]);
}

void audit_tile_write_path(const struct audit_tile *tile, struct buf *path)
{
    buf_add(path, PREFIX);
    if (tile->entries)
        buf_addf(path, "entries/");
    else
        buf_addf(path, "%u/", tile->level);
    add_index(path, tile->index);
    if (tile->width < AUDIT_TILE_WIDTH)
        buf_addf(path, ".p/%u", tile->width);
}

static bool read_level(struct reader *r, struct audit_tile *tile)
{
    struct bytes text = r->left;
    const uint8_t *slash = text.len > 0 ? memchr(text.at, '/', text.len) : NULL;
    uint64_t level = 0;

    if (slash == NULL)
        return false;
    text = reader_take(r, (size_t)(slash - text.at));
    reader_u8(r);
    tile->entries = bytes_equal(text, BYTES("entries"));
    if (tile->entries)
        return true;
    if (text_read_u64(text, AUDIT_TILE_LEVEL_MAX, &level) != RC_OK)
        return false;
    tile->level = (unsigned)level;
    return true;
}

static bool read_step(struct reader *r, uint64_t *index)
{
    struct bytes digits = reader_take(r, DIGITS);
    uint64_t step = 0;

    for (size_t i = 0; i < digits.len; i++) {
        if (digits.at[i] < '0' || digits.at[i] > '9')
            return false;
        step = step * 10 + (uint64_t)(digits.at[i] - '0');
    }
    return !r->broken && !__builtin_mul_overflow(*index, THOUSAND, index) &&
           !__builtin_add_overflow(*index, step, index);
}

static bool read_index(struct reader *r, uint64_t *index)
{
    bool first = true;

    *index = 0;
    while (r->left.len > 0 && r->left.at[0] == 'x') {
        reader_u8(r);
        if (!read_step(r, index) || reader_u8(r) != '/')
            return false;
        if (first && *index == 0)
            return false; /* zeros in front: another spelling of the same */
        first = false;
    }
    return read_step(r, index);
}

static bool read_width(struct reader *r, unsigned *width)
{
    uint64_t number = 0;

    *width = AUDIT_TILE_WIDTH;
    if (r->left.len == 0)
        return true;
    if (!bytes_equal(reader_take(r, 3), BYTES(".p/")) ||
        text_read_u64(r->left, AUDIT_TILE_WIDTH - 1, &number) != RC_OK || number == 0)
        return false;
    *width = (unsigned)number;
    return true;
}

enum rc audit_tile_read_path(struct bytes path, struct audit_tile *tile)
{
    struct audit_tile made = { 0 };
    struct reader r = READER(path);

    if (path.len > AUDIT_TILE_PATH_MAX || !bytes_equal(reader_take(&r, PREFIX.len), PREFIX) ||
        !read_level(&r, &made) || !read_index(&r, &made.index) || !read_width(&r, &made.width))
        return fault(RC_MALFORMED, "C2SP tlog-tiles: tile/<L>/<N>[.p/<W>]");
    *tile = made;
    return RC_OK;
}

/* Tiles, full ones, that a tree of this size has at this level; and what is behind them. */
static uint64_t full(uint64_t size, unsigned level)
{
    unsigned shift = AUDIT_TILE_LOG * (level + 1);

    return shift < 64 ? size >> shift : 0;
}

static unsigned rest(uint64_t size, unsigned level)
{
    return (unsigned)(size >> (AUDIT_TILE_LOG * level)) % AUDIT_TILE_WIDTH;
}

/* Bundles go before tiles of level 0: step 0 of each level is its tiles, level 0 has another.
 */
bool audit_tile_next(struct audit_tile_walk *walk, struct audit_tile *tile)
{
    for (; walk->level < AUDIT_TILE_LEVELS; walk->level++, walk->step = 0) {
        unsigned level = walk->level, last = level == 0 ? 4 : 2;
        for (; walk->step < last; walk->step++, walk->index = 0) {
            bool entries = level == 0 && walk->step < 2;
            uint64_t first = full(walk->from, level), end = full(walk->size, level);
            *tile = (struct audit_tile){ entries, level, end, rest(walk->size, level) };
            if (walk->step % 2 == 1) {
                if (walk->partial && tile->width > 0) {
                    walk->step++;
                    return true;
                }
            } else if (first + walk->index < end) {
                tile->index = first + walk->index++;
                tile->width = AUDIT_TILE_WIDTH;
                return true;
            }
        }
    }
    return false;
}
