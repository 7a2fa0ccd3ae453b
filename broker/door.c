#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "broker/door_state.h"
#include "broker/metrics.h"
#include "broker/sockets.h"

enum {
    HEAP_KEPT = 64 * 1024 * 1024, /* PEERS.md section 8: trimming dominates fan-out */
    HEAP_PAD = 16 * 1024 * 1024,
    ACCEPTS = 16,
    JAMMED_MS = 1
};

void broker_door_tell(struct broker_door *door, enum broker_door_event event, const char *what,
                      const char *text)
{
    door->setup.told(door->setup.with, event, what, text);
}

struct broker_front *broker_door_front(struct broker_door *door)
{
    return door->front;
}

/* ---- What the front tells ---- */

static void on_changed(void *with, const struct registry_change *change)
{
    struct broker_door *door = with;

    if (broker_review_post(door, change) != RC_OK) {
        /* A cut that cannot be ordered is never acknowledged; better a door that starts anew.
         */
        broker_door_tell(door, BROKER_DOOR_LINE, "", fault_text());
        loop_stop(door->setup.loop);
    }
    if (change == NULL || change->kind == REGISTRY_CHANGE_AUTHORITIES)
        broker_certifier_go_on(door->certifier);
}

static bool is_settled(void *with, uint64_t sequence)
{
    const struct broker_door *door = with;

    (void)sequence; /* changes are posted in order, and all of them before this is asked */
    for (size_t i = 0; i < door->setup.workers; i++)
        if (door->reviewed[i] < door->reviews)
            return false;
    return true;
}

static void on_line(void *with, const char *why_not)
{
    broker_door_tell(with, BROKER_DOOR_LINE, "", why_not == NULL ? "" : why_not);
}

/* ---- Mail for the main thread ---- */

static void on_reviewed(struct broker_door *door, const struct broker_mail *mail)
{
    door->reviewed[mail->from - BROKER_POST_WORKER] = mail->number;
    if (is_settled(door, 0))
        broker_front_settled(door->front);
}

static void on_stream(struct broker_door *door, const struct broker_mail *mail)
{
    struct broker_stream_offer *offer = mail->what;

    door->setup.adopt(door->setup.with, offer->fd, false, &offer->peer, offer->octets);
    free(offer);
}

static void on_look_up(struct broker_door *door, const struct broker_mail *mail)
{
    struct broker_look_up *wanted = mail->what;

    wanted->party = mail->from;
    wanted->session = mail->session;
    broker_lookups_ask(door->lookups, wanted);
}

static void on_batch(struct broker_door *door, const struct broker_mail *mail)
{
    broker_pusher_take(door->pusher, mail);
}

static void on_recorded(struct broker_door *door, const struct broker_mail *mail)
{
    bool waited = broker_readings_recorded(door, mail->number, mail->rc);
    if (!waited && mail->rc != RC_OK)
        broker_door_tell(door, BROKER_DOOR_SPOOL, "", "records of the door wait for room");
    broker_presence_recorded(door, mail);
}

static enum rc on_failed(const struct broker_mail *mail)
{
    char *why = mail->what;
    enum rc rc = fault(mail->rc, "a thread of the door ended: %s", why == NULL ? "" : why);

    free(why);
    return rc;
}

static enum rc take_mail(struct broker_door *door, const struct broker_mail *mail)
{
    static void (*const TAKE_MAIL[])(struct broker_door *, const struct broker_mail *) = {
        [BROKER_MAIL_STREAM] = on_stream,     [BROKER_MAIL_LOOK_UP] = on_look_up,
        [BROKER_MAIL_REVIEWED] = on_reviewed, [BROKER_MAIL_RECORDED] = on_recorded,
        [BROKER_MAIL_BATCH] = on_batch,
    };

    if (mail->kind == BROKER_MAIL_FAILED)
        return on_failed(mail);
    TAKE_MAIL[mail->kind](door, mail);
    return RC_OK;
}

static enum rc on_bell(struct loop_watch *watch, unsigned ready)
{
    struct broker_door *door = (void *)((char *)watch - offsetof(struct broker_door, bell));
    struct broker_mail mail;

    (void)ready;
    broker_post_open(door->post, BROKER_POST_MAIN);
    while (broker_post_next(door->post, BROKER_POST_MAIN, &mail))
        TRY(take_mail(door, &mail));
    return RC_OK;
}

static enum rc on_turn_ended(struct loop_turn *turn)
{
    struct broker_door *door = (void *)((char *)turn - offsetof(struct broker_door, turn));

    broker_outbox_send(&door->outbox);
    broker_post_deliver(door->post, BROKER_POST_MAIN);
    if (broker_post_is_jammed(door->post, BROKER_POST_MAIN))
        return loop_arm(door->setup.loop, &door->jam, JAMMED_MS);
    return RC_OK;
}

/* A worker is slow: the turn that this makes tries its mail again. */
static enum rc on_jam(struct loop_timer *timer)
{
    (void)timer;
    return RC_OK;
}

/* ---- Plain HTTP ---- */

static enum rc on_http(struct loop_watch *watch, unsigned ready)
{
    struct broker_door *door = (void *)((char *)watch - offsetof(struct broker_door, http));

    (void)ready;
    for (size_t i = 0; i < ACCEPTS; i++) {
        struct broker_peer peer = { 0 };
        int fd = broker_sockets_accept(watch->fd, peer.address);
        if (fd < 0)
            break;
        door->setup.adopt(door->setup.with, fd, true, &peer, NULL);
    }
    return RC_OK;
}

/* ---- Listening ---- */

static void tell_listener(struct broker_door *door, const char *name, int fd)
{
    char address[REGISTRY_PEER_MAX + 1];

    broker_sockets_address(fd, address);
    broker_door_tell(door, BROKER_DOOR_LISTENS, name, address);
}

void broker_door_open_up(struct broker_door *door)
{
    const struct broker_door_setup *setup = &door->setup;
    const struct broker_mail mail = { .kind = BROKER_MAIL_OPEN };

    if (door->listening || !broker_front_is_ready(door->front) ||
        !broker_certifier_is_done(door->certifier) || !door->presence.recorded)
        return;
    door->listening = true;
    for (unsigned i = 0; i < setup->workers; i++)
        if (broker_post_send(door->post, BROKER_POST_MAIN, BROKER_POST_WORKER + i, &mail) !=
            RC_OK)
            loop_stop(setup->loop);
    if (setup->mqtts != NULL)
        tell_listener(door, "mqtts", setup->mqtts[0]);
    if (setup->https >= 0)
        tell_listener(door, "https", setup->https);
    if (setup->http < 0)
        return;
    if (loop_add(setup->loop, &door->http, setup->http, LOOP_READ) == RC_OK)
        tell_listener(door, "http", setup->http);
    else
        broker_door_tell(door, BROKER_DOOR_WAITS, "http", fault_text());
}

/* ---- Its own records ---- */

enum rc broker_door_send_record(struct broker_door *door, const struct audit_record *record,
                                uint64_t *ticket)
{
    enum rc rc = broker_outbox_add(&door->outbox, record);

    if (rc == RC_OK && ticket != NULL)
        *ticket = door->outbox.ticket;
    return rc;
}

static enum rc emit_refusal(void *with, const struct audit_record *record)
{
    return broker_door_send_record(with, record, NULL);
}

static enum rc end_refusals(void *with, struct audit_slot *window)
{
    struct broker_door *door = with;

    return broker_outbox_end(&door->outbox, window);
}

static enum rc on_window(struct loop_timer *timer)
{
    struct broker_door *door = (void *)((char *)timer - offsetof(struct broker_door, window));
    int64_t now_ms = clock_monotonic_ms(door->setup.clock);

    if (audit_aggregate_flush(door->refusals, now_ms) != RC_OK)
        broker_door_tell(door, BROKER_DOOR_SPOOL, "", fault_text()); /* it is counted on */
    return loop_arm(door->setup.loop, timer, door->setup.limits.audit_window_ms);
}

static enum rc open_refusals(struct broker_door *door)
{
    const struct audit_aggregate_limits limits = {
        .window_ms = door->setup.limits.audit_window_ms,
        .one_by_one = ONE_BY_ONE,
        .keys = AGGREGATE_KEYS,
        .targets = AGGREGATE_TARGETS,
    };

    door->window.due = on_window;
    door->outbox = (struct broker_outbox){ .post = door->post,
                                           .pending = door->setup.pending,
                                           .party = BROKER_POST_MAIN };
    const struct audit_aggregate_out out = { emit_refusal, end_refusals, door,
                                             door->setup.pending };
    return audit_aggregate_new(&limits, &out, &door->refusals);
}

void broker_door_record_refusal(struct broker_door *door, const struct broker_peer *peer,
                                const char *target, const char *reason)
{
    struct audit_record record = broker_peer_record(peer);

    record.action = AUDIT_API_REQUEST;
    record.decision = AUDIT_DENIED;
    record.wall_ms = clock_wall_ms(door->setup.clock);
    record.monotonic_ms = clock_monotonic_ms(door->setup.clock);
    record.target = bytes_of_text(target);
    record.reason = bytes_of_text(reason);
    if (audit_aggregate_add(door->refusals, &record) != RC_OK)
        broker_door_tell(door, BROKER_DOOR_SPOOL, "", fault_text());
}

/* ---- Its life ---- */

static void name_listeners(struct broker_door *door)
{
    bool devices = door->setup.channel == REGISTRY_DEVICE_DOOR;

    door->mqtts = (struct listener){ "mqtts", BROKER_DEVICES, true, BROKER_TLS_REQUIRED };
    door->https = (struct listener){ "https", devices ? BROKER_DEVICES : BROKER_OPERATORS,
                                     false, BROKER_TLS_OPTIONAL };
}

static enum rc open_parts(struct broker_door *door)
{
    const struct broker_door_setup *setup = &door->setup;
    const struct broker_front_setup front = {
        .loop = setup->loop,
        .clock = setup->clock,
        .observer = { on_changed, is_settled, on_line, door },
    };
    const struct broker_tls_setup tls = { .session_timeout_s = setup->limits.tls_timeout_s,
                                          .sessions = setup->limits.tls_sessions,
                                          .judge = broker_connection_judge };

    TRY(broker_post_new(BROKER_POST_WORKER + setup->workers, &door->post));
    TRY(broker_front_new(&front, &door->front));
    TRY(broker_tls_new(&tls, &door->tls));
    TRY(broker_directory_new(&door->directory));
    TRY(broker_limits_new(&door->limits));
    TRY(broker_certifier_new(door, &door->certifier));
    TRY(broker_pusher_new(door, &door->pusher));
    TRY(broker_lookups_new(door, &door->lookups));
    TRY(open_refusals(door));
    door->workers = calloc(setup->workers, sizeof *door->workers);
    if (door->workers == NULL)
        return fault(RC_NOMEM, "workers");
    for (unsigned i = 0; i < setup->workers; i++)
        TRY(broker_worker_open(door, i));
    return RC_OK;
}

enum rc broker_door_new(const struct broker_door_setup *setup, struct broker_door **door)
{
    AUTO_OF(broker_door) *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "door");
    made->setup = *setup;
    made->bell.ready = on_bell;
    made->http.ready = on_http;
    made->turn.ended = on_turn_ended;
    made->jam.due = on_jam;
    mallopt(M_TRIM_THRESHOLD, HEAP_KEPT);
    mallopt(M_TOP_PAD, HEAP_PAD);
    mallopt(M_MMAP_THRESHOLD, HEAP_KEPT);
    name_listeners(made);
    TRY(open_parts(made));
    *door = TAKE(made);
    return RC_OK;
}

enum rc broker_door_start(struct broker_door *door)
{
    const struct broker_recorder_setup recorder = { door->setup.clock, door->post,
                                                    door->setup.spool, door->setup.keeper,
                                                    door->setup.pending };

    loop_add_turn(door->setup.loop, &door->turn);
    TRY(loop_add(door->setup.loop, &door->bell, broker_post_bell(door->post, BROKER_POST_MAIN),
                 LOOP_READ));
    TRY(loop_arm(door->setup.loop, &door->window, door->setup.limits.audit_window_ms));
    TRY(broker_recorder_start(&recorder, &door->recorder));
    TRY(broker_presence_begin(door));
    broker_outbox_send(&door->outbox); /* before any worker's */
    broker_post_deliver(door->post, BROKER_POST_MAIN);
    for (size_t i = 0; i < door->setup.workers; i++)
        TRY(broker_worker_start(&door->workers[i]));
    broker_door_tell(door, BROKER_DOOR_WAITS, "", "the authority's registry");
    return RC_OK;
}

enum rc broker_door_attach(struct broker_door *door, int authority)
{
    TRY(broker_front_attach(door->front, authority));
    broker_pusher_greet(door->pusher);
    return RC_OK;
}

/* ---- The end: workers first, since what they tell the recorder must still be written ---- */

static void send_stop(struct broker_door *door, unsigned to)
{
    const struct broker_mail mail = { .kind = BROKER_MAIL_STOP };
    enum rc rc = broker_post_send(door->post, BROKER_POST_MAIN, to, &mail);

    if (rc != RC_OK)
        abort(); /* a thread that is never told to end cannot be waited for */
    broker_post_deliver(door->post, BROKER_POST_MAIN);
}

static void stop_threads(struct broker_door *door)
{
    for (unsigned i = 0; door->workers != NULL && i < door->setup.workers; i++)
        if (door->workers[i].started)
            send_stop(door, BROKER_POST_WORKER + i);
    for (unsigned i = 0; door->workers != NULL && i < door->setup.workers; i++)
        if (door->workers[i].started)
            pthread_join(door->workers[i].thread, NULL);
    if (door->recorder == NULL)
        return;
    if (audit_aggregate_flush(door->refusals, INT64_MAX) != RC_OK)
        broker_door_tell(door, BROKER_DOOR_SPOOL, "", fault_text());
    broker_presence_end(door);
    broker_outbox_send(&door->outbox);
    send_stop(door, BROKER_POST_RECORDER);
    broker_recorder_join(TAKE(door->recorder));
}

/* What nobody takes any more is released by its kind. */
static void drop(const struct broker_mail *mail)
{
    switch (mail->kind) {
    case BROKER_MAIL_REVIEW:
        broker_review_release(mail->what);
        break;
    case BROKER_MAIL_PUBLISH:
    case BROKER_MAIL_RETAIN:
    case BROKER_MAIL_RETAINED:
        broker_message_release(mail->what);
        free(mail->whose);
        break;
    case BROKER_MAIL_LOOK_UP:
        broker_look_up_free(mail->what);
        break;
    case BROKER_MAIL_STREAM:
        broker_stream_offer_free(mail->what);
        break;
    case BROKER_MAIL_BATCH:
        buf_clear(mail->what);
        free(mail->what);
        break;
    case BROKER_MAIL_RECORDS: /* whose slots are for the next life */
    case BROKER_MAIL_LOOKED_UP:
    case BROKER_MAIL_FAILED:
        free(mail->what);
        break;
    case BROKER_MAIL_STOP:
    case BROKER_MAIL_OPEN:
    case BROKER_MAIL_SPOOL:
    case BROKER_MAIL_REVIEWED:
    case BROKER_MAIL_RECORDED:
    case BROKER_MAIL_TAKE_OVER:
        break;
    }
}

static bool empty_inbox(struct broker_door *door, unsigned party)
{
    struct broker_mail mail;
    bool any = false;

    broker_post_open(door->post, party);
    for (; broker_post_next(door->post, party, &mail); any = true)
        drop(&mail);
    return any;
}

/* Also what lies in spills: it finds room in the rings when they are empty. */
static void empty_post(struct broker_door *door)
{
    size_t parties = BROKER_POST_WORKER + door->setup.workers;
    bool any = door->post != NULL;

    while (any) {
        any = false;
        for (unsigned i = 0; i < parties; i++)
            broker_post_deliver(door->post, i);
        for (unsigned i = 0; i < parties; i++)
            any = empty_inbox(door, i) || any;
    }
}

void broker_door_free(struct broker_door *door)
{
    if (door == NULL)
        return;
    stop_threads(door);
    broker_front_free(door->front); /* answers what waits: to the parts below */
    broker_readings_free(door);
    empty_post(door);
    for (size_t i = 0; door->workers != NULL && i < door->setup.workers; i++)
        broker_worker_close(&door->workers[i]);
    broker_certifier_free(door->certifier);
    broker_pusher_free(door->pusher);
    broker_lookups_free(door->lookups);
    loop_disarm(&door->window);
    loop_disarm(&door->presence.timer);
    audit_aggregate_free(door->refusals);
    broker_outbox_close(&door->outbox);
    loop_remove(&door->bell);
    loop_remove(&door->http);
    loop_disarm(&door->jam);
    if (door->turn.loop != NULL)
        loop_remove_turn(&door->turn);
    broker_directory_free(door->directory);
    broker_limits_free(door->limits);
    broker_tls_free(door->tls);
    broker_post_free(door->post);
    free(door->workers);
    free(door);
}
