/* Several actions at once, as a search asks for them: "publish,certificate.*". */
#pragma once

#include "audit/action.h"
#include "base/buf.h"

enum { AUDIT_ACTION_MOST = 255 }; /* no action has a greater number */

/* Bit n of the words is action n; 0 is none. No bit: not given. */
struct audit_action_set {
    uint64_t bits[(AUDIT_ACTION_MOST + 1) / 64];
};

struct audit_action_set audit_action_set_of(enum audit_action action);
void audit_action_set_add(struct audit_action_set *set, unsigned action);
bool audit_action_set_has(const struct audit_action_set *set, unsigned action);
bool audit_action_set_is_empty(const struct audit_action_set *set);

/* Names between commas; "certificate.*" is every action whose name begins with "certificate.".
 * RC_MALFORMED names the word that is neither; *set is then as it was. */
enum rc audit_action_set_read(struct bytes text, struct audit_action_set *set);
/* The names between commas, ascending by number. */
void audit_action_set_write(const struct audit_action_set *set, struct buf *text);
