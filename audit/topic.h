/* What a record says of topics, held against a filter that a search gives. */
#pragma once

#include "audit/record.h"

/* The topic, or the filter, that a record's target says; without the "$share/NAME/" of a shared
 * subscription. Empty: its action is none of topics. */
struct bytes audit_topic_of(const struct audit_record *record);

/* Is there a topic that both match? Each is a filter that passed policy_topic_check_filter(),
 * or a name. */
bool audit_topic_meets(struct bytes filter, struct bytes other);
/* The same of the record's topic. Where several were counted its wildcards are those of a
 * pattern (pattern.h) and stand for any topic, $SYS among them. */
bool audit_topic_meets_record(struct bytes filter, const struct audit_record *record);
