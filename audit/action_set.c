#include "audit/action_set.h"

#include <string.h>

#include "base/text.h"

enum { WORD_SHOWN = 40 };

struct audit_action_set audit_action_set_of(enum audit_action action)
{
    struct audit_action_set set = { 0 };

    audit_action_set_add(&set, action);
    return set;
}

void audit_action_set_add(struct audit_action_set *set, unsigned action)
{
    if (action > 0 && action <= AUDIT_ACTION_MOST)
        set->bits[action / 64] |= (uint64_t)1 << action % 64;
}

bool audit_action_set_has(const struct audit_action_set *set, unsigned action)
{
    return action <= AUDIT_ACTION_MOST &&
           (set->bits[action / 64] & (uint64_t)1 << action % 64) != 0;
}

bool audit_action_set_is_empty(const struct audit_action_set *set)
{
    static const struct audit_action_set NONE;

    return bytes_equal(BYTES_OF(set->bits), BYTES_OF(NONE.bits));
}

static enum rc refuse(struct bytes word, const char *what)
{
    AUTO_BUF(shown, 4 * WORD_SHOWN + 1);
    const char *text = "";

    text_add_escaped(&shown,
                     (struct bytes){ word.at, word.len < WORD_SHOWN ? word.len : WORD_SHOWN });
    TRY(buf_text(&shown, &text));
    return fault(RC_MALFORMED, "\"%s\": no %s of the audit log", text, what);
}

static enum rc add_family(struct bytes word, struct audit_action_set *set)
{
    const struct bytes family = { word.at, word.len - 1 };
    bool found = false;
    size_t count = 0;
    const struct audit_action_row *rows = audit_action_list(&count);

    for (size_t i = 0; i < count; i++)
        if (bytes_start_with(bytes_of_text(rows[i].name), family)) {
            audit_action_set_add(set, rows[i].action);
            found = true;
        }
    return found ? RC_OK : refuse(word, "family of actions");
}

static enum rc add_word(struct bytes word, struct audit_action_set *set)
{
    bool family = word.len > 2 && word.at[word.len - 1] == '*' && word.at[word.len - 2] == '.';
    const struct audit_action_row *row = audit_action_by_name(word);

    if (family)
        return add_family(word, set);
    if (row == NULL)
        return refuse(word, "action");
    audit_action_set_add(set, row->action);
    return RC_OK;
}

enum rc audit_action_set_read(struct bytes text, struct audit_action_set *set)
{
    struct audit_action_set made = { 0 };
    const uint8_t *comma = NULL;

    do {
        comma = text.len == 0 ? NULL : memchr(text.at, ',', text.len);
        size_t len = comma == NULL ? text.len : (size_t)(comma - text.at);
        TRY(add_word((struct bytes){ text.at, len }, &made));
        if (comma != NULL)
            text = (struct bytes){ comma + 1, text.len - len - 1 };
    } while (comma != NULL);
    *set = made;
    return RC_OK;
}

void audit_action_set_write(const struct audit_action_set *set, struct buf *text)
{
    const char *between = "";
    size_t count = 0;
    const struct audit_action_row *rows = audit_action_list(&count);

    for (size_t i = 0; i < count; i++)
        if (audit_action_set_has(set, rows[i].action)) {
            buf_addf(text, "%s%s", between, rows[i].name);
            between = ",";
        }
}
