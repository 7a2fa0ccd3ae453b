/* The door's retained messages: one store for all its threads, and their journal on disk. */
#pragma once

#include "broker/retained.h"
#include "journal/journal.h"

/*
 * A retained message that was acknowledged is on disk. The recorder alone writes: it journals
 * what a turn brought, commits once, and only then are the messages in the store, in the order
 * of the journal, so that what a restart reads is what was served. Any thread may look.
 */
struct broker_keeper;

/* Reads the journal of the folder, which is borrowed. Expired messages are left behind. */
enum rc broker_keeper_open(int dir, const struct journal_limits *journal,
                           const struct retained_limits *limits, const struct clock *clock,
                           struct broker_keeper **keeper);
/* When no other thread looks any more, and no message of it is held. */
void broker_keeper_close(struct broker_keeper *keeper);
AUTO_STRUCT(broker_keeper, broker_keeper_close)

/* ---- The recorder's ---- */
void broker_keeper_adopt(struct broker_keeper *keeper); /* first, by its thread */
/* Buffer one; an empty payload clears its topic. RC_LIMIT: the journal is full; RC_NOMEM. */
enum rc broker_keeper_append(struct broker_keeper *keeper, const struct message *message);
/* Make durable what was appended; afterwards set() each, in the same order. */
enum rc broker_keeper_commit(struct broker_keeper *keeper);
/* RC_LIMIT: there are too many; the topic keeps what it had. */
enum rc broker_keeper_set(struct broker_keeper *keeper, const struct message *message);
/* Once a while: expired ones go, and a journal that is mostly past is written anew. */
enum rc broker_keeper_tidy(struct broker_keeper *keeper);

/* ---- Anyone's: as broker/retained.h has them. found() is called with the lock held, and may
 * hold the message; the steps bound for how long everybody else waits. ---- */
bool broker_keeper_match(struct broker_keeper *keeper, struct bytes filter, int64_t now_ms,
                         size_t *steps, const struct retained_finder *finder);
bool broker_keeper_walk(struct broker_keeper *keeper, struct bytes filter, int64_t now_ms,
                        size_t *steps, uint32_t *place, const struct retained_finder *finder);
