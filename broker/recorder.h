/* The door's writer: one thread that makes audit records and retained messages durable, many
 * at a time. */
#pragma once

#include "audit/spool.h"
#include "broker/keeper.h"
#include "broker/outbox.h"
#include "registry/question.h"

/*
 * Everything that must be on disk before it is acted upon comes here by post (RECORDS, RETAIN),
 * is written, is committed once for all that came in a turn, and is answered (RECORDED,
 * RETAINED). It also reads the spool for the main thread (SPOOL), which hands it on to the
 * authority: a batch goes out as soon as there is one.
 *
 * What the spool refuses is told at once, with an rc in the answer; the door then ends the
 * sessions that the records were about. The records wait in their slots (audit/pending.h), in
 * order, are tried again until there is room, and are answered again. A disk that no longer
 * tells what it holds ends the recorder, and with it the process, which starts again and finds
 * out (journal/journal.h).
 */
struct broker_recorder;

struct broker_recorder_setup {
    const struct clock *clock; /* all borrowed for its life */
    struct broker_post *post;
    struct audit_spool *spool;
    struct broker_keeper *keeper; /* NULL: nothing is retained here */
    struct audit_pending *pending;
};

/* number of BROKER_MAIL_SPOOL when it is not known yet what the authority has */
static const uint64_t BROKER_RECORDER_GREET = UINT64_MAX;
enum { BROKER_RECORDER_BATCH = REGISTRY_BATCH_MAX };

/* Starts the thread. */
enum rc broker_recorder_start(const struct broker_recorder_setup *setup,
                              struct broker_recorder **recorder);
/* After BROKER_MAIL_STOP was posted: waits for its end, and closes. */
void broker_recorder_join(struct broker_recorder *recorder);
AUTO_STRUCT(broker_recorder, broker_recorder_join)
