/* A door's HTTP for tests: the real api on the real front, the test at the authority's end of
 * the link and at the client's end of a socketpair. */
#pragma once

#include "tests/support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "api/api.h"
#include "api/route.h"
#include "broker/crls.h"
#include "tests/support/soft_ca.h"

enum { ADMIN = 0xa1, AUDITOR = 0xa2, LINE = 0xa3, DEVICE = 0xd1, STRANGER = 0 };
enum { TURNS_MOST = 2000, TURN_MS = 5, HTTP_MAX = 4 * 1024 * 1024 };

struct world {
    struct loop *loop;
    struct clock clock;
    struct soft_ca ca;
    struct broker_front *front;
    struct api *api;
    struct link_server *authority;
    bool keeps_watch, silent; /* silent: asks are kept, not answered */
    struct link_request watch, kept;
    bool has_kept;
    /* The last question but watch and snapshot, and what to say to it. */
    enum registry_ask asked;
    unsigned asks;
    struct registry_question question;
    struct buf question_room;
    enum rc says;
    const char *reason;
    struct registry_answer answer;
    /* What the door was told. */
    unsigned refusals, refused_status;
    char refused_target[600], refused_reason[600];
    struct broker_peer refused_peer;
    int64_t shift_ms;        /* of the monotonic clock */
    struct registry_crl crl; /* of the key "devices"; its parts are given unasked for */
    struct buf crl_der;
    bool keeps_parts; /* they are not given */
    /* A policy in parts: what has come, and what is given; a part that is never answered. */
    struct buf sent, given;
    unsigned parts, deaf_at; /* 0: none */
    /* Readings of the log's files that were to be recorded, and the end of the latest. */
    unsigned readings;
    enum rc takes_reading;
    uint64_t reading_count;
    char reading_target[128];
    struct broker_peer reading_peer;
    void (*reading_done)(void *whom, enum rc rc);
    void *reading_whom;
};

/* ---- The clock: real, and can be pushed ---- */

static inline int64_t world_wall(void *with)
{
    (void)with;
    return (int64_t)SOFT_NOW * 1000 + 3600000;
}

static inline int64_t world_monotonic(void *with)
{
    const struct world *world = with;
    struct clock real = clock_system();

    return clock_monotonic_ms(&real) + world->shift_ms;
}

/* ---- The authority's end ---- */

static inline struct registry_certificate
world_certificate(uint8_t number, enum registry_kind kind, const char *id)
{
    struct registry_certificate one = { .kind = kind,
                                        .state = REGISTRY_CERTIFICATE_ACTIVE,
                                        .serial = { 1, number },
                                        .serial_len = 2,
                                        .not_before_s = SOFT_NOW,
                                        .not_after_s = SOFT_NOW + 86400,
                                        .issued_ms = (int64_t)SOFT_NOW * 1000,
                                        .revision = 1 };

    assert_int_equal(registry_id_copy(bytes_of_text(id), one.subject), RC_OK);
    memset(one.fingerprint.at, number, sizeof one.fingerprint.at);
    memset(one.key_hash, number, sizeof one.key_hash);
    return one;
}

static inline struct registry_subject world_subject(enum registry_kind kind, const char *id,
                                                    enum registry_role role)
{
    struct registry_subject one = { .kind = kind,
                                    .state = REGISTRY_ACTIVE,
                                    .role = role,
                                    .created_ms = (int64_t)SOFT_NOW * 1000,
                                    .changed_ms = (int64_t)SOFT_NOW * 1000,
                                    .revision = 1 };

    assert_int_equal(registry_id_copy(bytes_of_text(id), one.id), RC_OK);
    if (kind == REGISTRY_DEVICE)
        assert_int_equal(registry_groups_add(&one.groups, BYTES("pumps")), RC_OK);
    return one;
}

static const struct {
    uint8_t number;
    enum registry_kind kind;
    const char *id;
    enum registry_role role;
} WORLD_PEOPLE[] = {
    { ADMIN, REGISTRY_OPERATOR, "ada", REGISTRY_ADMIN },
    { AUDITOR, REGISTRY_OPERATOR, "otto", REGISTRY_AUDITOR },
    { LINE, REGISTRY_LINE, "line-1", REGISTRY_ROLE_NONE },
    { DEVICE, REGISTRY_DEVICE, "dev-1", REGISTRY_ROLE_NONE },
};

static inline void world_add_change(struct buf *list, enum registry_change_kind kind,
                                    struct bytes body)
{
    const struct registry_change change = { kind, body };

    assert_true(registry_answer_add_change(list, 1, &change));
}

static inline void world_add_certificate(struct buf *list,
                                         const struct registry_certificate *one)
{
    AUTO_BUF(body, 4096);

    registry_certificate_write(one, &body);
    world_add_change(list, REGISTRY_CHANGE_CERTIFICATE, buf_bytes(&body));
}

static inline void world_add_subject(struct buf *list, const struct registry_subject *one)
{
    AUTO_BUF(body, 4096);

    registry_subject_write(one, &body);
    world_add_change(list, REGISTRY_CHANGE_SUBJECT, buf_bytes(&body));
}

static inline void world_add_crl(const struct world *world, struct buf *list)
{
    AUTO_BUF(body, 64);

    registry_crl_write(&world->crl, &body);
    world_add_change(list, REGISTRY_CHANGE_CRL, buf_bytes(&body));
}

static inline void world_set_crl(struct world *world, uint64_t number, struct bytes der)
{
    world->crl = (struct registry_crl){ "devices", number, (uint32_t)der.len };
    buf_clear(&world->crl_der);
    world->crl_der = (struct buf)BUF_MAX(REGISTRY_CRL_MAX);
    buf_add(&world->crl_der, der);
}

static inline void world_snapshot(const struct world *world, struct buf *list)
{
    AUTO_BUF(authorities, LINK_BODY_MAX);

    for (size_t i = 0; i < sizeof WORLD_PEOPLE / sizeof *WORLD_PEOPLE; i++) {
        struct registry_certificate certificate =
            world_certificate(WORLD_PEOPLE[i].number, WORLD_PEOPLE[i].kind, WORLD_PEOPLE[i].id);
        struct registry_subject subject =
            world_subject(WORLD_PEOPLE[i].kind, WORLD_PEOPLE[i].id, WORLD_PEOPLE[i].role);
        world_add_certificate(list, &certificate);
        world_add_subject(list, &subject);
    }
    world_add_crl(world, list);
    buf_add_sized32(&authorities, buf_bytes(&world->ca.root_der));
    buf_add_sized32(&authorities, buf_bytes(&world->ca.issuing_der));
    world_add_change(list, REGISTRY_CHANGE_AUTHORITIES, buf_bytes(&authorities));
}

static inline void world_answer(const struct link_request *request, enum registry_ask ask,
                                const struct registry_answer *answer)
{
    AUTO_BUF(body, LINK_BODY_MAX);

    assert_int_equal(registry_answer_write(ask, answer, &body), RC_OK);
    link_answer(request, RC_OK, buf_bytes(&body), -1);
}

static inline void world_give_part(const struct world *world,
                                   const struct link_request *request)
{
    struct registry_question question;
    struct registry_answer answer = { 0 };

    assert_int_equal(registry_question_read(REGISTRY_ASK_CRL, request->body, &question), RC_OK);
    if (world->keeps_parts || question.version != world->crl.number) {
        link_answer(request, RC_BUSY, BYTES("not now"), -1);
        return;
    }
    answer.list = (struct bytes){ world->crl_der.at + (size_t)question.part * REGISTRY_CRL_PART,
                                  registry_crl_part_len(&world->crl, question.part) };
    world_answer(request, REGISTRY_ASK_CRL, &answer);
}

static inline void world_part_of_text(struct world *world, const struct link_request *request)
{
    enum registry_ask ask = (enum registry_ask)request->kind->kind;
    struct registry_question question;
    struct registry_answer answer = { .sequence = 1 };

    assert_int_equal(registry_question_read(ask, request->body, &question), RC_OK);
    if (++world->parts == world->deaf_at) {
        link_answer(request, RC_BUSY, BYTES("not now"), -1);
        return;
    }
    if (ask == REGISTRY_ASK_POLICY_PART)
        buf_add(&world->sent, question.text);
    else
        answer.list =
            (struct bytes){ world->given.at + (size_t)question.part * REGISTRY_TEXT_PART,
                            registry_text_part_len(&question.name, question.part) };
    world_answer(request, ask, &answer);
}

static inline enum rc world_handle(void *with, const struct link_request *request)
{
    struct world *world = with;
    enum registry_ask ask = (enum registry_ask)request->kind->kind;
    AUTO_BUF(list, REGISTRY_LIST_MAX);

    if (ask == REGISTRY_ASK_SNAPSHOT) {
        world_snapshot(world, &list);
        world_answer(
            request, ask,
            &(struct registry_answer){ .position.sequence = 1, .list = buf_bytes(&list) });
        return RC_OK;
    }
    if (ask == REGISTRY_ASK_WATCH) {
        world->watch = *request;
        world->keeps_watch = true;
        return RC_OK;
    }
    if (ask == REGISTRY_ASK_CRL) {
        world_give_part(world, request);
        return RC_OK;
    }
    if (ask == REGISTRY_ASK_POLICY_PART || ask == REGISTRY_ASK_POLICY_TEXT) {
        world_part_of_text(world, request);
        return RC_OK;
    }
    buf_reset(&world->question_room);
    buf_add(&world->question_room, request->body);
    assert_int_equal(
        registry_question_read(ask, buf_bytes(&world->question_room), &world->question), RC_OK);
    world->asked = ask;
    world->asks++;
    if (world->silent) {
        world->kept = *request;
        world->has_kept = true;
        return RC_OK;
    }
    if (world->says == RC_OK)
        world_answer(request, ask, &world->answer);
    else
        link_answer(request, world->says, bytes_of_text(world->reason), -1);
    return RC_OK;
}

static inline void world_closed(void *with)
{
    (void)with;
}

static inline void world_news(struct world *world, struct buf *list, uint64_t sequence)
{
    const struct registry_answer answer = { .position.sequence = sequence,
                                            .list = buf_bytes(list) };

    assert_true(world->keeps_watch);
    world->keeps_watch = false;
    world_answer(&world->watch, REGISTRY_ASK_WATCH, &answer);
}

/* ---- The door ---- */

static inline void world_changed(void *with, const struct registry_change *change)
{
    (void)with;
    (void)change;
}

static inline bool world_settled(void *with, uint64_t sequence)
{
    (void)with;
    (void)sequence;
    return true;
}

static inline void world_copy(char *to, size_t room, const char *from)
{
    size_t len = strlen(from);

    len = len < room ? len : room - 1;
    memcpy(to, from, len);
    to[len] = '\0';
}

static inline void world_refused(void *with, const struct broker_peer *peer, const char *target,
                                 unsigned status, const char *reason)
{
    struct world *world = with;

    world->refusals++;
    world->refused_status = status;
    world->refused_peer = *peer;
    world_copy(world->refused_target, sizeof world->refused_target, target);
    world_copy(world->refused_reason, sizeof world->refused_reason, reason);
}

static inline enum rc world_read_log(void *with, const struct broker_reading *reading,
                                     void (*done)(void *whom, enum rc rc), void *whom)
{
    struct world *world = with;

    world->readings++;
    world->reading_count = reading->count;
    world->reading_peer = *reading->peer;
    world_copy(world->reading_target, sizeof world->reading_target, reading->target);
    if (world->takes_reading == RC_OK && done != NULL) {
        world->reading_done = done;
        world->reading_whom = whom;
    }
    return world->takes_reading;
}

static inline void world_turn(struct world *world)
{
    assert_int_equal(loop_turn_once(world->loop, TURN_MS), RC_OK);
}

static inline bool world_has_crl(const struct world *world)
{
    struct broker_crl *crl = NULL;

    if (broker_crls_hold(broker_front_crls(world->front), BYTES("devices"), &crl) != RC_OK)
        return false;
    bool same = crl->number == world->crl.number;
    broker_crls_release(crl);
    return same;
}

static inline void world_wait_for_crl(struct world *world)
{
    for (int i = 0; i < TURNS_MOST && !world_has_crl(world); i++)
        world_turn(world);
    assert_true(world_has_crl(world));
}

static inline void world_connect(struct world *world)
{
    int asking = -1, answering = -1;

    assert_int_equal(link_pair(&asking, &answering), RC_OK);
    assert_int_equal(link_serve(world->loop, answering, registry_door_protocol(), world_handle,
                                world_closed, world, &world->authority),
                     RC_OK);
    assert_int_equal(broker_front_attach(world->front, asking), RC_OK);
    for (int i = 0; i < TURNS_MOST && !world->keeps_watch; i++)
        world_turn(world);
    assert_true(world->keeps_watch);
}

static inline void world_hang_up(struct world *world)
{
    if (world->keeps_watch)
        link_answer(&world->watch, RC_BUSY, BYTES(""), -1);
    if (world->has_kept)
        link_answer(&world->kept, RC_BUSY, BYTES(""), -1);
    world->keeps_watch = world->has_kept = false;
    link_server_close(TAKE(world->authority));
}

/* tiles: a folder, or -1 */
static inline struct world *world_open_with(enum registry_channel channel, int tiles)
{
    struct world *world = calloc(1, sizeof *world);

    assert_non_null(world);
    world->clock = (struct clock){ world_wall, world_monotonic, world };
    world->question_room = (struct buf)BUF_MAX(LINK_BODY_MAX);
    world->sent = (struct buf)BUF_MAX(REGISTRY_POLICY_MAX);
    world->given = (struct buf)BUF_MAX(REGISTRY_POLICY_MAX);
    world->reason = "";
    soft_ca_open(&world->ca);
    assert_int_equal(loop_new(&world->clock, &world->loop), RC_OK);
    const struct broker_front_setup front = {
        .loop = world->loop,
        .clock = &world->clock,
        .observer = { .changed = world_changed, .is_settled = world_settled, .with = world }
    };
    assert_int_equal(broker_front_new(&front, &world->front), RC_OK);
    const struct api_setup api = { .loop = world->loop,
                                   .clock = &world->clock,
                                   .front = world->front,
                                   .channel = channel,
                                   .connections_max = 64,
                                   .refused = world_refused,
                                   .with = world,
                                   .tiles = tiles,
                                   .read_log = world_read_log,
                                   .audit_window_ms = 10000 };
    assert_int_equal(api_new(&api, &world->api), RC_OK);
    world_set_crl(world, 7, BYTES("0crl"));
    world_connect(world);
    world_wait_for_crl(world);
    return world;
}

static inline struct world *world_open(enum registry_channel channel)
{
    return world_open_with(channel, -1);
}

static inline void world_close(struct world *world)
{
    api_free(world->api);
    world_hang_up(world);
    broker_front_free(world->front);
    loop_free(world->loop);
    soft_ca_close(&world->ca);
    buf_clear(&world->question_room);
    buf_clear(&world->sent);
    buf_clear(&world->given);
    buf_clear(&world->crl_der);
    free(world);
}

/* ---- The client's end ---- */

static inline struct broker_peer world_peer(int who)
{
    struct broker_peer peer = { .address = "192.0.2.1:55000", .tls = "TLSv1.3 TEST" };

    for (size_t i = 0; i < sizeof WORLD_PEOPLE / sizeof *WORLD_PEOPLE; i++)
        if (WORLD_PEOPLE[i].number == who) {
            peer.actor.known = true;
            memset(peer.actor.fingerprint.at, who, sizeof peer.actor.fingerprint.at);
            peer.kind = WORLD_PEOPLE[i].kind;
            peer.role = WORLD_PEOPLE[i].role;
            world_copy(peer.id, sizeof peer.id, WORLD_PEOPLE[i].id);
        }
    return peer;
}

static inline int world_dial_as(struct world *world, const struct broker_peer *peer,
                                unsigned services)
{
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends),
                     0);
    assert_int_equal(api_adopt(world->api, ends[0], services, peer, NULL), RC_OK);
    return ends[1];
}

static inline int world_dial(struct world *world, int who, unsigned services)
{
    struct broker_peer peer = world_peer(who);

    return world_dial_as(world, &peer, services);
}

struct reply {
    unsigned status; /* 0: none came */
    bool closed;     /* by the door, behind it */
    struct buf all;
    const char *head, *body;
    size_t body_len;
};

static inline void reply_clear(struct reply *reply)
{
    buf_clear(&reply->all);
}
#define AUTO_REPLY(name) [[gnu::cleanup(reply_clear)]] struct reply name = { 0 }

/* Has all of an answer come? No body follows HEAD. */
static inline bool reply_read(struct reply *reply, bool headless)
{
    const char *text = NULL;

    if (buf_text(&reply->all, &text) != RC_OK) /* a zero within: DER */
        text = (const char *)reply->all.at;
    char *end = reply->all.len == 0 ? NULL : memmem(text, reply->all.len, "\r\n\r\n", 4);
    if (end == NULL)
        return false;
    const char *length = strcasestr(text, "\r\nContent-Length: ");
    size_t want = length == NULL ? 0 : strtoul(length + 18, NULL, 10);
    size_t head = (size_t)(end - text) + 4;
    if (!headless && reply->all.len < head + want)
        return false;
    reply->status = (unsigned)strtoul(text + 9, NULL, 10);
    if (reply->status == 100) {
        struct buf rest = BUF_MAX(HTTP_MAX);
        buf_add(&rest, (struct bytes){ reply->all.at + head, reply->all.len - head });
        buf_clear(&reply->all);
        reply->all = rest;
        return reply_read(reply, headless);
    }
    reply->head = text;
    reply->body = text + head;
    reply->body_len = reply->all.len - head;
    return true;
}

static inline void world_write(struct world *world, int fd, struct bytes bytes)
{
    size_t done = 0;

    for (int i = 0; i < TURNS_MOST && done < bytes.len; i++) {
        ssize_t n = send(fd, bytes.at + done, bytes.len - done, MSG_NOSIGNAL);
        if (n > 0)
            done += (size_t)n;
        else if (errno != EAGAIN)
            return; /* it has hung up: its answer is still to be read */
        else
            world_turn(world);
    }
}

static inline void world_read(struct world *world, int fd, bool headless, struct reply *reply)
{
    uint8_t room[4096];

    reply->all.max = HTTP_MAX;
    for (int i = 0; i < TURNS_MOST; i++) {
        ssize_t n = recv(fd, room, sizeof room, 0);
        if (n > 0)
            buf_add(&reply->all, (struct bytes){ room, (size_t)n });
        if (n == 0 || (n < 0 && errno != EAGAIN))
            reply->closed = true;
        if (n > 0 && i > 0)
            continue;
        if (reply_read(reply, headless) || reply->closed)
            return;
        world_turn(world);
    }
}

/* One exchange; headers each end in CRLF. */
static inline void world_say(struct world *world, int fd, const char *line, const char *headers,
                             struct bytes body, struct reply *reply)
{
    AUTO_BUF(request, HTTP_MAX);

    buf_addf(&request, "%s HTTP/1.1\r\nHost: door\r\n%s", line, headers);
    if (body.len > 0)
        buf_addf(&request, "Content-Length: %zu\r\n", body.len);
    buf_addf(&request, "\r\n");
    buf_add(&request, body);
    world_write(world, fd, buf_bytes(&request));
    world_read(world, fd, strncmp(line, "HEAD", 4) == 0, reply);
}

#define JSON "Content-Type: application/json\r\n"
enum { ALL_SERVICES = API_PUBLIC | API_EST | API_OPERATORS };

/* The same on a connection of its own. */
static inline void world_ask(struct world *world, int who, const char *line,
                             const char *headers, const char *body, struct reply *reply)
{
    int fd = world_dial(world, who, ALL_SERVICES);

    world_say(world, fd, line, headers, bytes_of_text(body), reply);
    close(fd);
}

static inline bool reply_has(const struct reply *reply, const char *text)
{
    return reply->status != 0 && strstr(reply->head, text) != NULL;
}

/* Ask, and hold the answer against its status and something that it must have. */
static inline void world_expect(struct world *world, int who, const char *line,
                                const char *headers, const char *body, unsigned status,
                                const char *has)
{
    AUTO_REPLY(reply);

    world_ask(world, who, line, headers, body, &reply);
    if (reply.status != status || (has != NULL && !reply_has(&reply, has)))
        fail_msg("%s: %u, wanted %u with \"%s\":\n%s", line, reply.status, status,
                 has == NULL ? "" : has, reply.head == NULL ? "(nothing)" : reply.head);
}
