/* A small world in which every request can be gone through: devices of four names in none, one,
 * two and three groups, every other one with a profile, all topics of up to three levels over
 * the words that rules have, the empty one, what they make of a device's name, and one that
 * none has; and policies made up from the same words, with filters of up to two levels and #.
 * In the long form, four and three. Of conditions, one is that a fact in a filter be known. */
#pragma once

#include "policy/analysis.h"
#include "policy/rules.h"

enum { WORLD_TOPICS_MAX = 7400, WORLD_TEXT_MAX = 4096, WORLD_NAMES = 4, WORLD_ACTIONS = 4 };
enum { WORLD_DEVICES = 4 * WORLD_NAMES, WORLD_REQUESTS = 6 };

struct world_topics {
    char text[WORLD_TOPICS_MAX][32];
    size_t count;
};

extern struct policy_facts world_devices[WORLD_DEVICES];
extern const enum policy_action world_actions[WORLD_ACTIONS];
extern const struct policy_fleet world_fleet;

/* The long form is asked for: TOUCHMARK_POLICIES=N, as ./dev policies does, is N times as many
 * policies as the tests take; otherwise 1. */
enum { WORLD_TIMES_MAX = 10000 };
unsigned world_times(void);
/* What was decided of how many requests. */
void world_tell_shares(uint64_t yes, uint64_t no, uint64_t by_none);

/* cmocka's group set-up; before all else. And its end: of what world_decide() was asked. */
int world_set_up(void **state);
int world_tell_all(void **state);
/* The dice of one test. */
void world_seed(uint64_t seed);
unsigned world_roll(unsigned sides);
#define WORLD_PICK(list) ((list)[world_roll(sizeof(list) / sizeof *(list))])
/* Those that could matter to the device. */
const struct world_topics *world_topics_for(const struct policy_facts *device);
struct bytes world_topic_for(const struct policy_facts *device); /* one of them */

/* One rule a line. */
struct world_policy {
    char text[WORLD_TEXT_MAX];
    struct policy *policy;
    struct policy_rules rules;
};
void world_make(struct world_policy *made, bool conditions);
/* Without some of its lines, and with others. */
void world_change(const struct world_policy *from, struct world_policy *made, bool conditions);
void world_clear(struct world_policy *made);

/* The request in one of WORLD_REQUESTS ways that conditions tell apart; in the first nothing is
 * known of it, in the last the line. */
struct policy_request world_request(enum policy_action action, struct bytes resource,
                                    unsigned which);
/* The interpreter's word. */
struct policy_decision world_decide(const struct world_policy *made,
                                    const struct policy_facts *device,
                                    enum policy_action action, struct bytes resource,
                                    unsigned which);
/* An area's filter, without facts. */
bool world_matches(struct bytes filter, struct bytes topic);
/* Is the topic in an area without facts? */
bool world_holds(const struct policy_area *area, enum policy_action action, struct bytes topic);
