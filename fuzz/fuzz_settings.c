/* Target: settings_read */
#include "base/settings.h"

#include <assert.h>

struct sample {
    char *text, *path, *address;
    int64_t number, duration, size;
    bool on;
    int choice;
};

#define FIELD(name) offsetof(struct sample, name)
static const struct settings_row ROWS[] = {
    { "a", "text", SETTINGS_TEXT, FIELD(text), 0, 200, "x", NULL, "A text" },
    { "a", "path", SETTINGS_PATH, FIELD(path), 0, 200, "/x", NULL, "A path" },
    { "a", "on", SETTINGS_SWITCH, FIELD(on), 0, 0, "off", NULL, "A switch" },
    { "bee", "address", SETTINGS_ADDRESS, FIELD(address), 0, 0, "[::1]:0", NULL, "An address" },
    { "bee", "number", SETTINGS_NUMBER, FIELD(number), -5, INT64_MAX, "0", NULL, "A number" },
    { "bee", "duration", SETTINGS_DURATION, FIELD(duration), 0, INT64_MAX, "0ms", NULL,
      "A duration" },
    { "bee", "size", SETTINGS_SIZE, FIELD(size), 0, INT64_MAX, "0", NULL, "A size" },
    { "bee", "choice", SETTINGS_CHOICE, FIELD(choice), 0, 0, "one", "one,two", "A choice" },
};
static const struct settings_table TABLE = { ROWS, sizeof ROWS / sizeof *ROWS };

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

/* What is taken is shown, and what is shown means the same. */
int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct sample one, other;
    AUTO_BUF(shown, 8192);
    AUTO_BUF(again, 8192);

    if (settings_read(&TABLE, (struct bytes){ at, len }, &one) != RC_OK)
        return 0;
    settings_show(&TABLE, &one, &shown);
    bool good = settings_read(&TABLE, buf_bytes(&shown), &other) == RC_OK;
    assert(good && !shown.broken);
    settings_show(&TABLE, &other, &again);
    assert(bytes_equal(buf_bytes(&shown), buf_bytes(&again)));
    settings_clear(&TABLE, &one);
    settings_clear(&TABLE, &other);
    return 0;
}
