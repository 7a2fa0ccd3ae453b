#include "audit/note.h"

#include <string.h>

#include "base/text.h"

/* Em dash (U+2014), space. */
#define DASH BYTES("\xe2\x80\x94 ")

enum { HASH = 32, HASH_TEXT = 44 };

bool audit_note_is_name(struct bytes name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.at[i] <= ' ' || name.at[i] > '~' || name.at[i] == '+')
            return false;
    return name.len > 0 && name.len <= AUDIT_NAME_MAX;
}

struct bytes audit_note_take(struct reader *r, char end)
{
    const uint8_t *at = r->left.len > 0 ? memchr(r->left.at, end, r->left.len) : NULL;
    struct bytes taken = reader_take(r, at != NULL ? (size_t)(at - r->left.at) : SIZE_MAX);

    reader_u8(r);
    return taken;
}

bool audit_note_read_base64(struct bytes text, struct buf *out)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] <= ' ')
            return false;
    return text_read_base64(text, out) == RC_OK && !out->broken;
}

bool audit_note_read_hash(struct bytes text, uint8_t hash[HASH])
{
    AUTO_BUF(octets, HASH);

    if (text.len != HASH_TEXT || !audit_note_read_base64(text, &octets) || octets.len != HASH)
        return false;
    memcpy(hash, octets.at, HASH);
    return true;
}

/* UTF-8, and of the control characters only newlines. */
static bool is_note_text(struct bytes note)
{
    for (size_t i = 0; i < note.len; i++)
        if (note.at[i] < ' ' && note.at[i] != '\n')
            return false;
    return text_is_utf8(note);
}

enum rc audit_note_split(struct bytes note, struct bytes *text, struct bytes *lines)
{
    bool is_note = note.len <= AUDIT_NOTE_MAX && is_note_text(note);

    for (size_t at = note.len; at >= 2 && is_note; at--) {
        if (note.at[at - 1] != '\n' || note.at[at - 2] != '\n')
            continue;
        *text = (struct bytes){ note.at, at - 1 };
        *lines = (struct bytes){ note.at + at, note.len - at };
        return RC_OK;
    }
    return fault(RC_MALFORMED,
                 "C2SP signed-note: no empty line, over %d octets, or no plain UTF-8",
                 AUDIT_NOTE_MAX);
}

/* Of whoever's key: there are names that we would give none. */
static bool is_key_name(struct bytes name)
{
    return name.len > 0 && memchr(name.at, '\n', name.len) == NULL &&
           memchr(name.at, '+', name.len) == NULL;
}

enum rc audit_note_next(struct reader *lines, struct buf *room, struct audit_note_line *line)
{
    const uint8_t *begin = lines->left.at;
    bool dashed = bytes_equal(reader_take(lines, DASH.len), DASH);
    struct bytes name = audit_note_take(lines, ' '), octets = audit_note_take(lines, '\n');

    buf_reset(room);
    if (lines->broken || !dashed || !is_key_name(name) ||
        !audit_note_read_base64(octets, room) || room->len <= AUDIT_KEY_ID)
        return fault(RC_MALFORMED, "C2SP signed-note: a signature line is not \"\u2014 <name> "
                                   "<base64>\"");
    *line = (struct audit_note_line){
        .name = name,
        .whole = { begin, (size_t)(lines->left.at - begin) },
        .id = { room->at, AUDIT_KEY_ID },
        .signature = { room->at + AUDIT_KEY_ID, room->len - AUDIT_KEY_ID },
    };
    return RC_OK;
}

void audit_note_add_line(struct buf *note, struct bytes name, const uint8_t id[AUDIT_KEY_ID],
                         struct bytes signature)
{
    AUTO_BUF(blob, AUDIT_NOTE_MAX);
    struct bytes both;

    buf_add(&blob, (struct bytes){ id, AUDIT_KEY_ID });
    buf_add(&blob, signature);
    if (buf_done(&blob, &both) != RC_OK)
        note->broken = true;
    buf_add(note, DASH);
    buf_add(note, name);
    buf_add_u8(note, ' ');
    text_add_base64(note, both);
    buf_add_u8(note, '\n');
}
