/* Records on their way into a spool, where a kill of the process does not reach them. */
#pragma once

#include "audit/leaf.h"

/*
 * A file in the spool's folder (docs/protocol/pending.md), mapped and shared by the threads of
 * one process: what was written into it is in the kernel's pages, and outlives the process
 * whenever it is killed. A record stands in a slot from when it is made until the spool has it;
 * a slot that counts is the open window of an aggregate. What a life leaves is found by the
 * next one, which sends it, once: before a spool's commit the slot is promised the sequence
 * that its record will get, so what was committed is told from what was not.
 *
 * It does not outlive the machine. Which pages the kernel had written when the power failed is
 * not known, so what another boot left is not sent but counted as lost, and the owner says so:
 * the spool keeps what was committed, and the counts of one window are gone.
 *
 * Slots come from any thread; each is one thread's at a time. Space on disk is taken in pieces,
 * before it is used: a full disk is RC_LIMIT, never a fault of a page.
 */
struct audit_pending;
struct audit_slot;

enum { AUDIT_PENDING_BOOT = 36, AUDIT_PENDING_TARGETS = 62 };

struct audit_pending_setup {
    int dir; /* borrowed */
    const uint8_t *spool;
    uint64_t last;     /* sequence of the spool, when it was opened */
    size_t bytes_most; /* of the file */
    struct bytes boot; /* which boot this is; empty: ask the kernel */
};

/* What opening found of the life before. */
struct audit_pending_found {
    uint64_t recovered; /* records that wait to be sent */
    uint64_t durable;   /* that the spool has already */
    uint64_t lost;      /* of another boot or spool, or unreadable */
    bool killed;        /* it did not close */
};

/* RC_CORRUPT: the file is another's; nothing is changed. RC_LIMIT: no space for it. */
enum rc audit_pending_open(const struct audit_pending_setup *setup,
                           struct audit_pending **pending, struct audit_pending_found *found);
/* What is still in it is for the next life. */
void audit_pending_close(struct audit_pending *pending);
AUTO_STRUCT(audit_pending, audit_pending_close)

/* What was recovered, in the order in which it was made: each is the caller's now. NULL: no
 * more. */
struct audit_slot *audit_pending_recovered(struct audit_pending *pending);

/* A record of its own. RC_LIMIT: no slot is left, or no space. RC_MALFORMED: record.h. */
enum rc audit_pending_add(struct audit_pending *pending, const struct audit_record *record,
                          struct audit_slot **slot);
/* A window for acts like this one, which is not counted yet, and room to tell so many targets
 * apart. */
enum rc audit_pending_begin(struct audit_pending *pending, const struct audit_record *first,
                            size_t targets, struct audit_slot **slot);
/*
 * An act: it is counted when this returns. No allocation, no system call. target: a hash of the
 * text, 0: none. Topics that differ become the pattern that they have in common (pattern.h),
 * which is then the record's target.
 */
void audit_slot_count(struct audit_slot *slot, int64_t wall_ms, uint64_t target,
                      struct bytes text);
/* So many acts more, of which nobody knows the targets; the last one was then. */
void audit_slot_count_more(struct audit_slot *slot, int64_t wall_ms, uint64_t acts);
/* The window is over: it is a record from here on. */
void audit_pending_end(struct audit_pending *pending, struct audit_slot *slot);

/* For whoever writes the spool: the record, borrowed from the slot and room (AUDIT_TARGET_MAX);
 * the sequence that it will get, before the commit, 0 if that came to nothing; and free, when
 * it is durable. */
enum rc audit_slot_read(const struct audit_slot *slot, struct buf *room,
                        struct audit_record *record);
void audit_slot_promise(struct audit_slot *slot, uint64_t sequence);
void audit_pending_release(struct audit_pending *pending, struct audit_slot *slot);
size_t audit_pending_used(struct audit_pending *pending);
/* More than half of all that may be there is: whoever makes many should wait. */
bool audit_pending_is_crowded(struct audit_pending *pending);
