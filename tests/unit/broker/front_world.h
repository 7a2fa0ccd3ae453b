/* The front against an authority that the test plays, over a real link. */
#pragma once

#include "tests/support/check.h"

#include "base/loop.h"
#include "broker/front.h"
#include "tests/unit/registry/samples.h"

enum { WAIT_MS = 2000, PAGES = 2 };
static const uint8_t LINEAGE[REGISTRY_LINEAGE] = { 9 };

struct world {
    struct clock clock;
    struct loop *loop;
    struct broker_front *front;
    struct link_server *authority;
    struct link_request watch; /* that waits */
    bool watching, settled, refuse_watch;
    unsigned pages, changes, snapshots, answers;
    uint64_t acknowledged, watched_from;
    enum rc last_rc;
    unsigned lines; /* told that the line or the feed is not well */
    /* The CRLs that a snapshot names, and what becomes of a part that is asked for. */
    struct registry_crl crls[4];
    size_t crl_count;
    /* And the policy, if there is a version. */
    uint64_t version;
    struct registry_text policy;
    void (*give_part)(struct world *w, const struct link_request *request,
                      const struct registry_question *question);
    unsigned parts; /* asked for */
    struct link_request part;
    bool kept_part;
};

/* ---- The authority ---- */

static inline void answer(const struct link_request *request, enum registry_ask ask,
                          const struct registry_answer *what)
{
    AUTO_BUF(body, LINK_BODY_MAX);

    assert_int_equal(registry_answer_write(ask, what, &body), RC_OK);
    link_answer(request, RC_OK, buf_bytes(&body), -1);
}

static inline void add_certificate(struct buf *list, uint8_t number, uint64_t sequence)
{
    const struct registry_certificate certificate = sample_certificate(number, "dev-1");
    AUTO_BUF(form, 4096);

    registry_certificate_write(&certificate, &form);
    const struct registry_change change = { REGISTRY_CHANGE_CERTIFICATE, buf_bytes(&form) };
    assert_true(registry_answer_add_change(list, sequence, &change));
}

static inline void add_subject(struct buf *list, enum registry_state state, uint64_t sequence)
{
    struct registry_subject subject = sample_device("dev-1");
    AUTO_BUF(form, 4096);

    subject.state = state;
    subject.revision = sequence + 1;
    registry_subject_write(&subject, &form);
    const struct registry_change change = { REGISTRY_CHANGE_SUBJECT, buf_bytes(&form) };
    assert_true(registry_answer_add_change(list, sequence, &change));
}

static inline struct registry_answer at(uint64_t sequence)
{
    struct registry_answer made = { .position.sequence = sequence };

    memcpy(made.position.lineage, LINEAGE, sizeof LINEAGE);
    return made;
}

static inline void add_crl(struct buf *list, const struct registry_crl *crl, uint64_t sequence)
{
    AUTO_BUF(form, 64);

    registry_crl_write(crl, &form);
    const struct registry_change change = { REGISTRY_CHANGE_CRL, buf_bytes(&form) };
    assert_true(registry_answer_add_change(list, sequence, &change));
}

static inline void add_policy(struct buf *list, uint64_t version,
                              const struct registry_text *text, uint64_t sequence)
{
    AUTO_BUF(form, REGISTRY_CHANGE_MAX);

    buf_add_u64(&form, version);
    registry_text_write(text, &form);
    const struct registry_change change = { REGISTRY_CHANGE_POLICY, buf_bytes(&form) };
    assert_true(registry_answer_add_change(list, sequence, &change));
}

/* Two pages: the certificate, then its subject. */
static inline void give_page(struct world *w, const struct link_request *request)
{
    AUTO_BUF(list, REGISTRY_LIST_MAX);
    struct registry_answer page = at(5);
    bool last = w->pages++ % PAGES == 1;

    if (last)
        add_subject(&list, REGISTRY_ACTIVE, 0);
    else
        add_certificate(&list, 1, 0);
    for (size_t i = 0; last && i < w->crl_count; i++)
        add_crl(&list, &w->crls[i], 0);
    if (last && w->version > 0)
        add_policy(&list, w->version, &w->policy, 0);
    page.cursor = last ? BYTES("") : BYTES("more");
    page.list = buf_bytes(&list);
    answer(request, REGISTRY_ASK_SNAPSHOT, &page);
}

static inline enum rc handle(void *with, const struct link_request *request)
{
    struct world *w = with;
    struct registry_question question;

    assert_int_equal(registry_question_read((enum registry_ask)request->kind->kind,
                                            request->body, &question),
                     RC_OK);
    if (request->kind->kind == REGISTRY_ASK_SNAPSHOT) {
        give_page(w, request);
    } else if (request->kind->kind == REGISTRY_ASK_WATCH && w->refuse_watch) {
        w->refuse_watch = false;
        link_answer(request, RC_NOT_FOUND, BYTES("another lineage"), -1);
    } else if (request->kind->kind == REGISTRY_ASK_WATCH) {
        w->watch = *request;
        w->watching = true;
        w->acknowledged =
            question.sequence != 0 ? question.sequence : question.position.sequence;
        w->watched_from = question.position.sequence;
    } else if (request->kind->kind == REGISTRY_ASK_ACKNOWLEDGE) {
        w->acknowledged = question.position.sequence;
        answer(request, REGISTRY_ASK_ACKNOWLEDGE, &(struct registry_answer){ 0 });
    } else if ((request->kind->kind == REGISTRY_ASK_CRL ||
                request->kind->kind == REGISTRY_ASK_POLICY_TEXT) &&
               w->give_part != NULL) {
        w->parts++;
        w->give_part(w, request, &question);
    } else {
        link_answer(request, RC_DENIED, BYTES("no"), -1);
    }
    return RC_OK;
}

static inline void gone(void *with)
{
    (void)with;
}

/* ---- The door ---- */

static inline void on_changed(void *with, const struct registry_change *change)
{
    struct world *w = with;

    if (change == NULL)
        w->snapshots++;
    else
        w->changes++;
}

static inline bool is_settled(void *with, uint64_t sequence)
{
    (void)sequence;
    return ((struct world *)with)->settled;
}

static inline void on_line(void *with, const char *why_not)
{
    struct world *w = with;

    w->lines += why_not != NULL;
}

static inline void turn_until(struct world *w, const bool *reached)
{
    for (int i = 0; i < 200 && !*reached; i++)
        assert_int_equal(loop_turn_once(w->loop, 50), RC_OK);
    assert_true(*reached);
}

static inline void turn_a_while(struct world *w)
{
    for (int i = 0; i < 5; i++)
        assert_int_equal(loop_turn_once(w->loop, 10), RC_OK);
}

/* What was asked must be answered, also when nobody hears it any more. */
static inline void leave_authority(struct world *w)
{
    link_server_close(TAKE(w->authority));
    if (w->watching)
        link_answer(&w->watch, RC_CLOSED, BYTES(""), -1);
    if (w->kept_part)
        link_answer(&w->part, RC_CLOSED, BYTES(""), -1);
    w->watching = w->kept_part = false;
}

static inline void connect_both(struct world *w)
{
    int asking = -1, answering = -1;

    leave_authority(w);
    assert_int_equal(link_pair(&asking, &answering), RC_OK);
    assert_int_equal(link_serve(w->loop, answering, registry_door_protocol(), handle, gone, w,
                                &w->authority),
                     RC_OK);
    assert_int_equal(broker_front_attach(w->front, asking), RC_OK);
}

static inline int prepare(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    assert_non_null(w);
    w->clock = clock_system();
    w->settled = true;
    assert_int_equal(loop_new(&w->clock, &w->loop), RC_OK);
    const struct broker_front_setup setup = {
        .loop = w->loop,
        .clock = &w->clock,
        .observer = { .changed = on_changed,
                      .is_settled = is_settled,
                      .line = on_line,
                      .with = w },
    };
    assert_int_equal(broker_front_new(&setup, &w->front), RC_OK);
    *state = w;
    return 0;
}

static inline int clean(void **state)
{
    struct world *w = *state;

    broker_front_free(w->front);
    leave_authority(w);
    loop_free(w->loop);
    free(w);
    return 0;
}

static inline enum registry_verdict judge(struct world *w, uint8_t number)
{
    const struct registry_certificate sample = sample_certificate(number, "dev-1");
    struct registry_certificate certificate;
    struct registry_subject subject;

    return broker_front_judge(w->front, &sample.fingerprint, 150, &certificate, &subject);
}

static inline void tell_news(struct world *w, void (*fill)(struct buf *list), uint64_t sequence)
{
    AUTO_BUF(list, REGISTRY_LIST_MAX);
    struct registry_answer news = at(sequence);

    fill(&list);
    news.list = buf_bytes(&list);
    w->watching = false;
    answer(&w->watch, REGISTRY_ASK_WATCH, &news);
}
