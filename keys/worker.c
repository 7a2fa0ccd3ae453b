#include "keys/worker.h"

#include <stdlib.h>
#include <string.h>

#include "base/sealed.h"
#include "keys/protocol.h"

struct keys_worker {
    struct loop *loop;
    const struct clock *clock;
    struct keys_token *token;
    const struct keys_rules *rules;
    struct link_server *server;
    struct loop_timer end; /* a turn later, so that the last answer is out */
};

enum { RESULT_ROOM = KEYS_SIGNATURE_MAX + KEYS_TEXT_MAX };

static enum rc check_and_sign(const struct keys_worker *worker, const struct keys_work *work,
                              struct bytes item, struct keys_finding *finding,
                              struct buf *signature)
{
    const struct keys_rule *rule = keys_rules_find(worker->rules, bytes_of_text(work->ask.key));
    const struct keys_question question = { .kind = work->kind,
                                            .to_be_signed = item,
                                            .proof = work->ask.proof,
                                            .proof_count = work->ask.proof_count };

    if (rule == NULL)
        return fault(RC_NOT_FOUND, "no key %s", work->ask.key);
    TRY(keys_check(worker->rules, rule, &question, &work->memory,
                   clock_wall_ms(worker->clock) / 1000, finding));
    return keys_token_sign(worker->token, work->ask.key, item, signature);
}

/* Read once; what was read is checked and signed. */
static enum rc sign_sealed(const struct keys_worker *worker, const struct keys_work *work,
                           int fd, struct keys_finding *finding, struct buf *signature)
{
    AUTO_BUF(crl, work->ask.sealed);

    TRY(sealed_check(fd, work->ask.sealed));
    TRY(sealed_read(fd, 0, work->ask.sealed, &crl));
    return check_and_sign(worker, work, buf_bytes(&crl), finding, signature);
}

/* room keeps what the result borrows: a signature, or the reason why there is none. */
static void work_on(const struct keys_worker *worker, const struct keys_work *work, int fd,
                    struct bytes item, struct keys_result *result, struct buf *room)
{
    size_t before = room->len;

    result->rc = work->kind == KEYS_CRL
                     ? sign_sealed(worker, work, fd, &result->finding, room)
                     : check_and_sign(worker, work, item, &result->finding, room);
    if (result->rc == RC_OK) {
        result->signature = (struct bytes){ room->at + before, room->len - before };
        return;
    }
    struct bytes text = bytes_of_text(fault_text());
    buf_cut(room, before);
    buf_add(room,
            (struct bytes){ text.at, text.len < KEYS_TEXT_MAX ? text.len : KEYS_TEXT_MAX });
    result->text = (struct bytes){ room->at + before, room->len - before };
}

static enum rc sign(struct keys_worker *worker, const struct link_request *request, int fd,
                    struct buf *reply)
{
    struct keys_results results = { 0 };
    struct keys_work work;
    AUTO_BUF(room, KEYS_ITEMS_MAX * RESULT_ROOM);

    TRY(keys_protocol_read_work(request->body, &work));
    if ((request->kind->kind == KEYS_WORK_CRL) != (work.kind == KEYS_CRL))
        return fault(RC_MALFORMED, "work of kind %d as %s", (int)work.kind,
                     request->kind->name);
    /* Grown to its ceiling at once: results point into it. */
    if (buf_extend(&room, room.max) == NULL)
        return fault(RC_NOMEM, "results");
    buf_cut(&room, 0);
    results.count = work.kind == KEYS_CRL ? 1 : work.ask.count;
    for (size_t i = 0; i < results.count; i++)
        work_on(worker, &work, fd, work.ask.items[i], &results.at[i], &room);
    return keys_protocol_write_results(&results, reply);
}

static enum rc end(struct loop_timer *timer)
{
    struct keys_worker *worker =
        (struct keys_worker *)((char *)timer - offsetof(struct keys_worker, end));

    loop_stop(worker->loop);
    return RC_OK;
}

static enum rc handle(void *with, const struct link_request *request)
{
    struct keys_worker *worker = with;
    AUTO_BUF(reply, LINK_BODY_MAX);
    AUTO_FD came_along = request->fd;
    enum rc rc = RC_OK;

    if (request->kind->kind != KEYS_WORK_READY)
        rc = sign(worker, request, came_along, &reply);
    link_answer(request, rc, rc == RC_OK ? buf_bytes(&reply) : bytes_of_text(fault_text()), -1);
    if (keys_token_state(worker->token) != KEYS_LADDER_DONE) {
        worker->end.due = end;
        return loop_arm(worker->loop, &worker->end, 0);
    }
    return RC_OK;
}

static void parent_gone(void *with)
{
    struct keys_worker *worker = with;

    loop_stop(worker->loop);
}

enum rc keys_worker_open(struct loop *loop, const struct clock *clock, struct keys_token *token,
                         const struct keys_rules *rules, int fd, struct keys_worker **worker)
{
    AUTO_FD owned = fd;
    struct keys_worker *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "worker");
    *made =
        (struct keys_worker){ .loop = loop, .clock = clock, .token = token, .rules = rules };
    enum rc rc = link_serve(loop, TAKE_FD(owned), keys_protocol_worker(), handle, parent_gone,
                            made, &made->server);
    if (rc == RC_OK)
        *worker = made;
    else
        free(made);
    return rc;
}

void keys_worker_close(struct keys_worker *worker)
{
    if (worker == NULL)
        return;
    loop_disarm(&worker->end);
    link_server_close(worker->server);
    free(worker);
}

enum rc keys_worker_add_keys(struct keys_token *token, const struct keys_rules *rules)
{
    for (size_t i = 0; i < rules->count; i++)
        TRY(keys_token_add_key(token, rules->rule[i].name,
                               BYTES_OF(rules->rule[i].public_key)));
    return RC_OK;
}
