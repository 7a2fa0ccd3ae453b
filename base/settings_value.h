/* One setting's value: from text, into the struct, and back. Private to settings*.c. */
#pragma once

#include "base/settings.h"

struct settings_value {
    int64_t number; /* of all kinds that are not text */
    char *text;     /* owned; of the kinds that are */
};

bool settings_value_is_text(enum settings_kind kind);
/* RC_MALFORMED "is not ..., expected ...", RC_NOMEM. */
enum rc settings_value_read(const struct settings_row *row, struct bytes text,
                            struct settings_value *value);
/* Hand the value, its text included, to the row's field. */
void settings_value_store(const struct settings_row *row, struct settings_value *value,
                          void *into);
/* "a number from 1 to 65535" */
void settings_value_describe(const struct settings_row *row, struct buf *out);
void settings_value_show(const struct settings_row *row, const void *from, struct buf *out);
