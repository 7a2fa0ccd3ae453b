/* Parts of results: areas, conditions, rules in words; inside policy/ only. */
#pragma once

#include "policy/analysis.h"
#include "policy/arena.h"
#include "policy/parts.h"

/* The language, the voices and the arena of one analysis; all are freed but the arena. */
struct policy_study {
    struct policy_language *language;
    struct policy_verdicts *verdicts;
    struct policy_arena *arena;
    size_t areas; /* so many more may be told */
};
enum rc policy_study_open(struct policy_study *study);
void policy_study_close(struct policy_study *study); /* the arena, too, unless taken */

/* A set as areas, in the arena. Of an action on nothing: one without a filter. */
enum rc policy_describe_areas(struct policy_study *study, struct policy_topics set,
                              enum policy_action action, struct policy_area **areas,
                              size_t *count);
/* The set again, for who has this name (empty: any). */
enum rc policy_describe_set(struct policy_study *study, const struct policy_area *area,
                            enum policy_asker asker, struct bytes name,
                            struct policy_topics *set);
bool policy_describe_is_same_area(const struct policy_area *a, const struct policy_area *b);

/* Of a sense: "always", "never", "if A or B unless C or D". */
enum rc policy_describe_sense(struct policy_study *study, uint32_t sense, struct bytes *text);
/* Two that differ, also where they do in members of sets that are too long to be told. */
enum rc policy_describe_senses(struct policy_study *study, uint32_t before, uint32_t after,
                               struct bytes texts[2]);
struct policy_where policy_describe_rule(const struct policy_rules *rules, uint32_t place);
/* The rules whose voices allow some topic of a map by rule, once each, by number. */
enum rc policy_describe_rules(struct policy_study *study, const struct policy_rules *rules,
                              struct policy_topics map, struct policy_where **where,
                              size_t *count);

void policy_describe_write_actions(unsigned actions, struct buf *out);
void policy_describe_write_area(const struct policy_area *area, struct buf *out);
void policy_describe_write_where(const struct policy_where *where, struct buf *out);
/* "lines 3, 5 of "x"" */
void policy_describe_write_rules(const struct policy_where *rules, size_t count,
                                 struct buf *out);
