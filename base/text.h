/* Bytes as text and back: hexadecimal, base64, decimal, UTF-8. */
#pragma once

#include "base/buf.h"

/* Lower case. */
void text_add_hex(struct buf *buf, struct bytes bytes);
/* Upper or lower case, two digits a byte; RC_MALFORMED otherwise. Appends to out. */
enum rc text_read_hex(struct bytes text, struct buf *out);

/* RFC 4648 section 4, padded, one line, no newline. */
void text_add_base64(struct buf *buf, struct bytes bytes);
/*
 * RFC 4648 section 4. White space (space, tab, CR, LF) is skipped anywhere, as EST clients
 * need; padding is required, and the unused bits under it must be zero. RC_MALFORMED names the
 * offset.
 */
enum rc text_read_base64(struct bytes text, struct buf *out);

/* Digits only, no sign, no leading zero but "0" itself. RC_MALFORMED, or RC_LIMIT above most.
 */
enum rc text_read_u64(struct bytes text, uint64_t most, uint64_t *value);

/* Well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms) without U+0000. */
bool text_is_utf8(struct bytes text);
/* Octets of the well-formed character that text begins with, which is *scalar; 0: there is
 * none.
 */
size_t text_character(struct bytes text, uint32_t *scalar);
/* Is it a control character, or one that is invisible or turns the direction of writing? Of the
 * controls, tab and line feed are not. */
bool text_is_hidden(uint32_t scalar);
/* The longest beginning of at most so many octets in which no character is cut in two. */
struct bytes text_cut(struct bytes text, size_t most);
/* Every byte in 0x20..0x7e. */
bool text_is_printable(struct bytes text);
/* Append with everything outside 0x20..0x7e, the quote and the backslash as \xNN. For logs and
 * messages. */
void text_add_escaped(struct buf *buf, struct bytes bytes);
/* The same, but characters beyond ASCII stay as they are if people can see them. For people:
 * what they wrote is told as they wrote it. Well-formed UTF-8 on one line, whatever bytes are.
 */
void text_add_shown(struct buf *buf, struct bytes bytes);
