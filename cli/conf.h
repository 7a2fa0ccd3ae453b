/* touchmark.conf as far as this program needs it: where things lie. touchmarkd alone judges the
 * whole file (`touchmarkd --check`). */
#pragma once

#include "base/buf.h"

struct cli_conf {
    struct buf text;  /* of the file */
    struct buf place; /* its folder, absolute and without links: what touchmark init made */
    int dir;          /* the folder, open */
};
#define CLI_CONF(name)                                                                         \
    [[gnu::cleanup(cli_conf_clear)]] struct cli_conf name = { .text = BUF_MAX(64 * 1024),      \
                                                              .place = BUF_MAX(4096),          \
                                                              .dir = -1 }

enum rc cli_conf_read(const char *file, struct cli_conf *conf);
void cli_conf_clear(struct cli_conf *conf);

/* The value as it stands there, borrowed; empty if it is not given. */
struct bytes cli_conf_value(const struct cli_conf *conf, const char *section, const char *key);
/*
 * Append where the setting points to, relative to the place; `otherwise` if it is not given.
 * RC_DENIED: outside of the place, where a copy of the place would lack it.
 */
enum rc cli_conf_inside(const struct cli_conf *conf, const char *section, const char *key,
                        const char *otherwise, struct buf *name);
