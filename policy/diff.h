/* Between the parts of policy_diff(); inside policy/diff*.c only. */
#pragma once

#include "policy/meter.h"

enum { POLICY_OLD, POLICY_NEW, POLICY_SIDES };

/* What a topic's change is: colours of maps of changes are places in the list, and one. */
struct policy_changed {
    enum policy_change change;
    uint32_t before, after; /* senses; 0 where they do not matter */
};

struct policy_differ {
    struct policy_study study;
    const struct policy_rules *rules[POLICY_SIDES];
    struct policy_parts *parts[POLICY_SIDES];
    struct policy_meters meters;
    bool of_filters; /* what is judged now */
    struct policy_changed *changes;
    size_t change_count, change_room;
    struct policy_diff diff;
    uint32_t *colours; /* of each entry */
};

/* For all topics of one action what changes for this class. */
enum rc policy_diff_class(struct policy_differ *d, const struct policy_class *class,
                          enum policy_action action, struct policy_topics *changes);

/* Names for which something may change that does not for others: who is named, who is in other
 * groups of the policy's own, and those that make levels with facts equal to others. Sorted. */
struct policy_special {
    struct bytes name;
    bool coincides;
};
struct policy_specials {
    struct policy_special *at;
    size_t count;
};
enum rc policy_diff_specials(struct policy_differ *d, enum policy_asker asker,
                             struct policy_specials *specials);
const struct policy_special *policy_diff_find_special(const struct policy_specials *specials,
                                                      struct bytes name);

/* The groups that either policy names, sorted. */
struct policy_names {
    struct bytes *at;
    size_t count;
};
enum rc policy_diff_groups(struct policy_differ *d, enum policy_asker asker,
                           struct policy_names *groups);

/* May what is told of the entry's class hold for this one, in which it is? */
bool policy_diff_is_within(const struct policy_diff_entry *entry,
                           const struct policy_class *class);
/* All entries for one kind of who asks. */
enum rc policy_diff_asker(struct policy_differ *d, enum policy_asker asker,
                          const struct policy_specials *specials,
                          const struct policy_names *groups);

/* Counts the devices of a fleet that the entries concern. */
enum rc policy_diff_count(struct policy_differ *d, const struct policy_fleet *fleet,
                          const struct policy_specials *specials,
                          const struct policy_names *groups);
