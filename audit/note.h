/* C2SP signed-note, "Format" and "Signatures": a text, an empty line, signature lines. */
#pragma once

#include "base/buf.h"
#include "base/rc.h"

/* A note that is longer is refused; the 16 signatures that anyone must accept fit. */
enum { AUDIT_NOTE_MAX = 4096, AUDIT_NAME_MAX = 128, AUDIT_KEY_ID = 4 };

/* Of a key, and of a log: 1 to AUDIT_NAME_MAX printable characters without space and plus. */
bool audit_note_is_name(struct bytes name);

/* The text with its last newline, and the lines behind the last empty line. RC_MALFORMED. */
enum rc audit_note_split(struct bytes note, struct bytes *text, struct bytes *lines);

/* "— <name> <base64 of key id and signature>". name borrows from the lines, the rest from
 * room. */
struct audit_note_line {
    struct bytes name, whole; /* whole: with its newline */
    struct bytes id, signature;
};
/* Take the next one, whoever's it is. RC_MALFORMED; the caller asks while left.len > 0. */
enum rc audit_note_next(struct reader *lines, struct buf *room, struct audit_note_line *line);
void audit_note_add_line(struct buf *note, struct bytes name, const uint8_t id[AUDIT_KEY_ID],
                         struct bytes signature);

/* Up to this character, which is consumed, too; breaks the reader if there is none. */
struct bytes audit_note_take(struct reader *r, char end);
/* RFC 4648 section 4 without the white space that text_read_base64() skips; appends. */
bool audit_note_read_base64(struct bytes text, struct buf *out);
/* One SHA-256 hash. */
bool audit_note_read_hash(struct bytes text, uint8_t hash[32]);
