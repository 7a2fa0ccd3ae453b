#include "integration/cursor.h"

#include <string.h>

#include "base/file.h"
#include "base/text.h"

enum { FILE_MAX = 256, NAME_ROOM = 64, FILE_MODE = 0600 };

static const char HEAD[] = "touchmark export cursor 1\n";

static enum rc file_name(struct buf *room, const char *name, const char **file)
{
    buf_addf(room, "%s.cursor", name);
    return buf_text(room, file);
}

static struct bytes take_line(struct bytes *left)
{
    const uint8_t *end = left->len == 0 ? NULL : memchr(left->at, '\n', left->len);
    size_t len = end == NULL ? 0 : (size_t)(end - left->at);
    struct bytes line = { left->at, len };

    if (end != NULL)
        *left = (struct bytes){ end + 1, left->len - len - 1 };
    return line;
}

static enum rc parse(struct bytes text, struct integration_cursor *cursor)
{
    struct integration_cursor read = { 0 };
    AUTO_BUF(hash, PROOF_HASH);

    if (!bytes_start_with(text, bytes_of_text(HEAD)))
        return fault(RC_MALFORMED, "not an export cursor");
    text = (struct bytes){ text.at + strlen(HEAD), text.len - strlen(HEAD) };
    TRY(text_read_u64(take_line(&text), INT64_MAX, &read.next));
    TRY(text_read_hex(take_line(&text), &hash));
    if (hash.len != PROOF_HASH || text.len != 0)
        return fault(RC_MALFORMED, "an export cursor that is cut short or has a tail");
    memcpy(read.last.at, hash.at, PROOF_HASH);
    *cursor = read;
    return RC_OK;
}

enum rc integration_cursor_read(int dir, const char *name, struct integration_cursor *cursor)
{
    AUTO_BUF(room, NAME_ROOM);
    AUTO_BUF(text, FILE_MAX);
    const char *file;

    TRY(file_name(&room, name, &file));
    enum rc rc = file_read(dir, file, &text);
    if (rc == RC_NOT_FOUND) {
        *cursor = (struct integration_cursor){ 0 };
        return RC_OK;
    }
    if (rc == RC_OK)
        rc = parse(buf_bytes(&text), cursor);
    return rc == RC_OK ? RC_OK : fault_while(rc, "%s", file);
}

enum rc integration_cursor_write(int dir, const char *name,
                                 const struct integration_cursor *cursor)
{
    AUTO_BUF(room, NAME_ROOM);
    AUTO_BUF(text, FILE_MAX);
    const char *file;
    struct bytes bytes;

    TRY(file_name(&room, name, &file));
    buf_addf(&text, "%s%llu\n", HEAD, (unsigned long long)cursor->next);
    text_add_hex(&text, BYTES_OF(cursor->last.at));
    buf_addf(&text, "\n");
    TRY(buf_done(&text, &bytes));
    return file_write(dir, file, bytes, FILE_MODE);
}
