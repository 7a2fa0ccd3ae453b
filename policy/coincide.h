/* Names that make levels with ${fact} in them equal to others; inside policy/ only. */
#pragma once

#include "policy/rules.h"

/*
 * Of two levels of rules, with one fact in them (or one of them without), the names for which
 * they are the same text, each told once. Two texts with one unknown are equal for at
 * most one name of each length, unless they are the same.
 */
enum rc policy_coincide(struct bytes left, struct bytes right,
                        enum rc (*each)(void *with, struct bytes name), void *with);
/* Is there nothing but this fact, once or more, in the level's ${}? */
bool policy_coincide_is_about(struct bytes level, enum policy_fact fact);
