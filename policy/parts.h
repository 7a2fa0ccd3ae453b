/* The rules of a policy by who they are for, as maps of topics; inside policy/ only. */
#pragma once

#include "policy/verdict.h"
#include "policy/view.h"

/*
 * A class of those who ask, for whom the same rules speak: of one kind, with one name or any
 * that no other class has, and in these groups at least (operators: of this role). For a name
 * that is any, ${device.id} and the like stay symbols.
 */
struct policy_class {
    enum policy_asker asker;
    struct bytes name;          /* len 0: any */
    const struct bytes *groups; /* or roles */
    size_t group_count;
    /* If not NULL, what is known: conditions and resources are worked out as far as they can
     * be. What is not known then is not known yet; so `is known` is open, too. */
    struct policy_view *view;
};

/* Who asks, with what is known of him. */
struct policy_class policy_class_of(const struct policy_facts *facts, struct policy_view *view);

/* Which rules are asked for: a set of actions of one kind of resource, remembered by a number.
 */
enum { POLICY_SLOTS = POLICY_ACTIONS };
struct policy_subject {
    unsigned slot; /* below POLICY_SLOTS */
    unsigned actions;
};
/* The rules that speak of one action; those of subscriptions speak of receiving, too. */
struct policy_subject policy_subject_of(enum policy_action action);

struct policy_parts;

/* Where maps are made, and how: by rule, voices name their rules. */
struct policy_workshop {
    struct policy_language *language;
    struct policy_verdicts *verdicts;
    bool by_rule;
};

/* Of a policy's rules, or those for which `only` is true (NULL: all). All is borrowed. */
enum rc policy_parts_new(const struct policy_rules *rules, const bool *only,
                         struct policy_workshop workshop, struct policy_parts **parts);
void policy_parts_free(struct policy_parts *parts); /* NULL is fine */
AUTO_STRUCT(policy_parts, policy_parts_free)

/* Makes the maps of who is any of a kind and of groups now, for good: what else is made is
 * forgotten when the language goes back to a mark. */
enum rc policy_parts_keep(struct policy_parts *parts, enum policy_asker asker,
                          struct policy_subject subject);

/* All rules that speak for the class; of a name, those of the policy's own groups, too. */
enum rc policy_parts_map(struct policy_parts *parts, const struct policy_class *class,
                         struct policy_subject subject, struct policy_topics *map);

/* The rules of one principal alone, for who has this name or any. */
struct policy_part {
    struct policy_topics map;
    bool allows, denies;
};
/* The map of one principal's rules, of the topics in the set only: cheap where these are few.
 */
enum rc policy_parts_within(struct policy_parts *parts, enum policy_principal principal,
                            struct bytes named, const struct policy_class *class,
                            struct policy_subject subject, struct policy_topics set,
                            struct policy_topics *map);
enum rc policy_parts_of(struct policy_parts *parts, enum policy_principal principal,
                        struct bytes named, const struct policy_class *class,
                        struct policy_subject subject, struct policy_part *part);

/* Tells the name of each who is named as this kind of principal, once, sorted. */
enum rc policy_parts_names(const struct policy_parts *parts, enum policy_principal principal,
                           enum rc (*each)(void *with, struct bytes name), void *with);

/* A device's places in the policy's own groups, which are sorted by device. */
struct policy_members {
    const struct policy_member *at;
    size_t count;
};
struct policy_members policy_parts_members(const struct policy_rules *rules,
                                           struct bytes device);

/* Kinds of principals for each kind of asker. */
struct policy_kind {
    enum policy_principal any, one, group; /* group POLICY_PRINCIPALS: there are none */
};
struct policy_kind policy_kind_of(enum policy_asker asker);
enum { POLICY_ASKERS = POLICY_BY_SINK + 1 };

/* A rule's resource for the class: facts put in, symbols left in; levels with facts that nobody
 * knows are + (a first one that begins with `$`: POLICY_ANY_SYSTEM) and open is set. What is
 * done to nothing has the resource #. */
enum rc policy_parts_bind(const struct policy_rule *rule, const struct policy_class *class,
                          struct buf *resource, bool *open);
/* Kleene's truth with what is known so far. */
enum policy_truth policy_parts_truth(const struct policy_rules *rules, uint32_t condition,
                                     const struct policy_knowledge *knowledge);
