#include "daemon/authority_state.h"

#include <string.h>

#include "audit/checkpoint.h"
#include "daemon/events.h"
#include "pki/hierarchy.h"

/*
 * While there are records that no checkpoint covers, at most once a second: ask the signer what
 * it signed last, and where its journal ends; read what is new there; then have it sign a
 * checkpoint of the log, verify it as anyone would, and keep it. It begins with the question
 * each time, since the signer may have signed one whose answer never came.
 */
enum { EVERY_MS = 1000 };

static void end(struct daemon_authority_round *round, enum rc rc)
{
    struct daemon_authority *authority = round->authority;

    round->under_way = false;
    if (rc == RC_OK)
        daemon_authority_trouble_end(authority, DAEMON_AUTHORITY_CHECKPOINTS);
    else if (rc != RC_CLOSED)
        daemon_authority_trouble_begin(authority, DAEMON_AUTHORITY_CHECKPOINTS);
}

/* ---- Signed, then kept ---- */

static enum rc keep(struct store_txn *txn, struct store_job *job)
{
    struct daemon_authority_round *round = (void *)job;

    return audit_log_keep_checkpoint(round->authority->setup.audit.log, txn,
                                     round->checkpoint.size, buf_bytes(&round->note));
}

static void is_kept(struct store_job *job, enum rc rc)
{
    struct daemon_authority_round *round = (void *)job;

    if (rc == RC_OK)
        round->authority->checkpoint = round->checkpoint.size;
    daemon_authority_publish(round->authority);
    end(round, rc);
}

static enum rc make_note(struct daemon_authority_round *round, struct bytes signature)
{
    AUTO_OF(audit_checkpoint_key) *key = NULL;
    struct audit_checkpoint verified;

    TRY(audit_checkpoint_key_read(BYTES_OF(round->key.public_key), &key));
    buf_reset(&round->note);
    TRY(audit_checkpoint_note(key, buf_bytes(&round->text), signature, &round->note));
    return audit_checkpoint_verify(key, buf_bytes(&round->note), &verified);
}

static void is_signed(void *with, enum rc rc, const struct keys_answers *answers)
{
    struct daemon_authority_round *round = with;

    if (rc == RC_OK && answers->count != 1)
        rc = fault(RC_CRYPTO, "the signer answered %zu items", answers->count);
    if (rc == RC_OK && answers->at[0].rc != RC_OK)
        rc = fault(answers->at[0].rc, "signer: %.*s", BYTES_FMT(answers->at[0].text));
    if (rc == RC_OK)
        rc = make_note(round, answers->at[0].signature);
    if (rc == RC_OK && round->authority->ending)
        rc = fault(RC_CLOSED, "the authority ends");
    round->job.change = keep;
    round->job.done = is_kept;
    if (rc == RC_OK)
        rc = store_queue_add(round->authority->queue, &round->job);
    if (rc != RC_OK)
        end(round, rc);
}

/* ---- What is to be signed ---- */

static enum rc gather(struct store_txn *txn, void *with)
{
    struct daemon_authority_round *round = with;
    struct audit_log *log = round->authority->setup.audit.log;
    struct audit_checkpoint *made = &round->checkpoint;

    TRY(daemon_authority_check_tree(log, txn, &round->key, &made->size));
    TRY(audit_log_root(log, txn, made->size, &made->root));
    return audit_log_prove_consistency(log, txn, round->key.tree_size, made->size, round->proof,
                                       &round->proof_count);
}

static enum rc ask(struct daemon_authority_round *round)
{
    struct keys_ask ask = { .count = 1 };

    /* A copy may have begun since this round did: it would lack what is gathered now. */
    if (loop_now_ms(round->authority->setup.loop) < round->authority->held_until_ms)
        return fault(RC_CLOSED, "a copy is being made");
    round->checkpoint = (struct audit_checkpoint){
        .origin = bytes_of_text(round->key.origin),
        .journal_sequence = round->head.sequence,
    };
    memcpy(round->checkpoint.journal_hash, round->head.hash, PROOF_HASH);
    TRY(store_read(round->authority->setup.store, gather, round));
    buf_reset(&round->text);
    TRY(audit_checkpoint_write(&round->checkpoint, &round->text));
    memcpy(ask.key, round->key.name, sizeof ask.key);
    ask.items[0] = buf_bytes(&round->text);
    if (round->proof_count > KEYS_PROOF_NODES_MAX)
        return fault(RC_LIMIT, "a proof of %zu nodes", round->proof_count);
    ask.proof_count = round->proof_count;
    memcpy(ask.proof, round->proof, round->proof_count * sizeof *ask.proof);
    return keys_client_sign(round->authority->signer, KEYS_ASK_CHECKPOINT, &ask, is_signed,
                            round);
}

/* ---- From the signer's memory and journal ---- */

static void is_replayed(struct daemon_authority *authority, enum rc rc)
{
    struct daemon_authority_round *round = &authority->round;

    if (rc == RC_OK)
        rc = ask(round);
    if (rc != RC_OK)
        end(round, rc);
}

static void told_head(void *with, enum rc rc, const struct keys_head *head)
{
    struct daemon_authority_round *round = with;

    if (rc == RC_OK) {
        round->head = head->head;
        rc = daemon_authority_replay(round->authority, head->head.sequence, is_replayed);
    }
    if (rc != RC_OK)
        end(round, rc);
}

static void told_list(void *with, enum rc rc, const struct keys_list *list)
{
    struct daemon_authority_round *round = with;

    if (rc == RC_OK)
        rc = daemon_authority_find_key(list, PKI_HIERARCHY_CHECKPOINT, &round->key);
    if (rc == RC_OK)
        rc = keys_client_head(round->authority->signer, told_head, round);
    if (rc != RC_OK)
        end(round, rc);
}

/* ---- When ---- */

static enum rc read_sizes(struct store_txn *txn, void *with)
{
    struct daemon_authority *authority = with;
    struct audit_log *log = authority->setup.audit.log;
    struct bytes note;

    TRY(audit_log_size(log, txn, &authority->records));
    enum rc rc = audit_log_checkpoint(log, txn, UINT64_MAX, &authority->checkpoint, &note);
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

static enum rc look(struct loop_timer *timer)
{
    struct daemon_authority_round *round =
        (void *)((char *)timer - offsetof(struct daemon_authority_round, timer));
    struct daemon_authority *authority = round->authority;

    TRY(loop_arm(authority->setup.loop, timer, EVERY_MS));
    daemon_authority_publish(authority);
    if (!authority->issues || round->under_way ||
        loop_now_ms(authority->setup.loop) < authority->held_until_ms)
        return RC_OK;
    TRY(store_read(authority->setup.store, read_sizes, authority));
    if (authority->records == authority->checkpoint)
        return RC_OK;
    round->under_way = true;
    enum rc rc = keys_client_list(authority->signer, told_list, round);
    if (rc != RC_OK)
        end(round, rc);
    return RC_OK;
}

enum rc daemon_authority_checkpoint_start(struct daemon_authority *authority)
{
    struct daemon_authority_round *round = &authority->round;

    round->authority = authority;
    round->text = BUF_MAX(AUDIT_NOTE_MAX);
    round->note = BUF_MAX(AUDIT_NOTE_MAX);
    round->timer.due = look;
    return loop_arm(authority->setup.loop, &round->timer, EVERY_MS);
}

void daemon_authority_checkpoint_stop(struct daemon_authority *authority)
{
    loop_disarm(&authority->round.timer);
    buf_clear(&authority->round.text);
    buf_clear(&authority->round.note);
}
