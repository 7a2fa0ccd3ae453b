/* What comes with a yes, as colours of a language's maps; inside policy/ only. */
#pragma once

#include "policy/verdict.h"

/* Of limits, the lower rate is slower; of equal rates the one with the smaller burst. */
bool policy_duty_is_slower(const struct policy_obligations *a,
                           const struct policy_obligations *b);
bool policy_duty_is_alike(const struct policy_obligations *a,
                          const struct policy_obligations *b);
/* Does who has the one have all that the other would add? Not: counted under the same limit. */
bool policy_duty_is_as_strict(const struct policy_obligations *one,
                              const struct policy_obligations *other);

/* Do both oblige to the same, whichever of their conditions is met, and count it alike? What
 * allows nothing obliges to nothing else. */
bool policy_duty_is_one(const struct policy_verdicts *verdicts, uint32_t left, uint32_t right);

/* Of a colour what it asks for, under which conditions, in a form that is equal if these are.
 */
enum rc policy_duty_asked(struct policy_verdicts *verdicts, uint32_t colour, uint32_t *duty);
/* Likewise, where what is asked for is equal: what the limits count together. */
enum rc policy_duty_counted(struct policy_verdicts *verdicts, uint32_t colour,
                            uint32_t *counted);
/* Likewise, of subscriptions: all rules of which some may be those that allow all of a filter,
 * and what they oblige to. What another one allows, too, with all that, is left out. turns:
 * rules that have no topic in common may allow a filter together, so their order matters, too.
 */
enum rc policy_duty_of_filters(struct policy_verdicts *verdicts, uint32_t colour, bool turns,
                               uint32_t *counted);
