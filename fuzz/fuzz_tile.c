/* Target: audit_tile_read_path, audit_tile_write_path */
#include <stdlib.h>

#include "audit/tile.h"

/* A path from a request: what is taken is what would be written, and stays below the folder. */
int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    AUTO_BUF(again, AUDIT_TILE_PATH_MAX);
    struct bytes path = { at, len };
    struct audit_tile tile;

    if (audit_tile_read_path(path, &tile) != RC_OK)
        return 0;
    audit_tile_write_path(&tile, &again);
    if (!bytes_equal(path, buf_bytes(&again)) || tile.width == 0 ||
        tile.width > AUDIT_TILE_WIDTH || tile.level > AUDIT_TILE_LEVEL_MAX)
        abort();
    return 0;
}
