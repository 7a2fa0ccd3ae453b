/* Pages of subjects, certificates, policies and proposals, as a question asks for them. */
#pragma once

#include "registry/answer.h"
#include "registry/registry.h"

/*
 * What fits, at most question->most items, from its cursor on; what the next page begins with
 * is appended to next, nothing when that was all. A page may be short, even empty, and not the
 * last: a call looks at a bounded number of rows. RC_MALFORMED: no cursor of ours.
 */
/* kind 0: operators, then lines. */
enum rc registry_list_subjects(struct store_txn *txn, enum registry_kind kind,
                               const struct registry_question *question, struct buf *list,
                               struct buf *next);
enum rc registry_list_certificates(struct store_txn *txn,
                                   const struct registry_question *question, struct buf *list,
                                   struct buf *next);
enum rc registry_list_policies(struct store_txn *txn, const struct registry_question *question,
                               struct buf *list, struct buf *next);
/* A row as it is told, without its text. */
void registry_list_tell_policy(const struct registry_policy_row *row,
                               struct registry_policy *told);
enum rc registry_list_proposals(struct store_txn *txn, const struct registry_question *question,
                                struct buf *list, struct buf *next);
