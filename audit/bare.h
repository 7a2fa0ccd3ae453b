/* Whether the records of a copy that have no body are as many as the log itself says were
 * erased. */
#pragma once

#include "audit/record.h"

/*
 * A leaf without its body is a valid leaf: nobody can prove of one record that it was erased
 * rightly. But the log tells of each erasure how many records it took, when it is done
 * (log.erase, "done: N records"), and of each run of pruning (log.prune, "N records"), both by
 * the authority itself. So a copy must not lack more bodies than that. What began and is not
 * done yet took nobody knows how many, of the records before it.
 */
struct audit_bare {
    uint64_t bare;      /* so far */
    uint64_t explained; /* records that are said to be erased or pruned */
    uint64_t excused;   /* were bare when the newest act began */
    uint64_t erasures;  /* that began and are not done */
    bool pruning;       /* a run began and is not over */
};

/* The next record of the log; of a bare one the head alone. RC_DENIED: it is of a kind that is
 * never erased. */
enum rc audit_bare_add(struct audit_bare *bare, const struct audit_record *record, bool erased);
bool audit_bare_under_way(const struct audit_bare *bare);
/* At the end. RC_DENIED names both numbers. */
enum rc audit_bare_check(const struct audit_bare *bare);
