/* Erasing what the log knows of a device, an operator or a line, with the tree as it was. */
#pragma once

#include "audit/erasure.h"
#include "audit/log.h"

/*
 * It begins with one transaction, after which none of the subject's records can be read any
 * more: its key is doomed, and its next record gets another one. Then, a bounded step at a
 * time, each record loses its facets and its sealed body, until the bare leaf is left; the last
 * step destroys the key. A kill in between loses nothing: the next life goes on.
 *
 * What is erased: records that the subject acted in, or, of a device, that are about it, if
 * they are older than the beginning. What stays: their heads, the records of erasing, holding
 * and pruning (audit_action_stays()), what operators and lines did to a device, and what
 * others' records say of it in their texts.
 */
enum { AUDIT_ERASE_LOOK_MOST = 20000, AUDIT_ERASURES_MAX = 128 };

/*
 * The caller appends its log.erase right behind. RC_NOT_FOUND: there is nothing to erase.
 * RC_BUSY: it is being erased. RC_LIMIT: so are AUDIT_ERASURES_MAX others. RC_DENIED names a
 * hold: on the subject, on one of its records, or one that may cover a record behind the first
 * AUDIT_ERASE_LOOK_MOST.
 */
enum rc audit_erase_begin(struct audit_log *log, struct store_txn *txn,
                          enum audit_actor_kind kind, struct bytes id, uint64_t *limit);
/* Look at so many more, at most, and erase what is the subject's. RC_NOT_FOUND: nothing is to
 * be erased. *finished: this was the last of *erasure, whose id is in room. */
enum rc audit_erase_step(struct audit_log *log, struct store_txn *txn, unsigned most,
                         struct buf *room, struct audit_erasure *erasure, bool *finished);
/* Those under way: append each (erasure.h). */
enum rc audit_erase_list(struct audit_log *log, struct store_txn *txn, struct buf *list);
