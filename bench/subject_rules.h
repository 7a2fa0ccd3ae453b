/* The same rights in three languages: our policy, mosquitto's ACL file, and the configuration
 * of its dynamic-security plugin. */
#pragma once

#include "bench/subject.h"

enum { SUBJECT_RULES_MAX = 16 * 1024 * 1024 };

/* Whom our policy lets connect: each device, or every other one. */
enum subject_whom { SUBJECT_EACH, SUBJECT_EVERY_OTHER };

enum rc subject_rules_policy(const struct subject_world *world, enum subject_whom whom,
                             struct buf *out);
/* Writes the rules into a folder, and adds to the configuration what makes them hold: nothing
 * if open. RC_NOT_FOUND if the plugin is not installed. */
enum rc subject_rules_mosquitto(const struct subject_world *world, const char *folder,
                                struct buf *config);
