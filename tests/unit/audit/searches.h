/* What the tests of searching share: records of all kinds, and queries that find some. */
#pragma once

#include "tests/unit/audit/logs.h"

#include <string.h>

enum { SEARCHES_RECORDS = 2300 }; /* eight whole blocks, and a part of one */

struct searches {
    struct logs *logs;
    struct audit_record records[SEARCHES_RECORDS];
    size_t count;
};

#define SEARCHES_PICK(list, dice) (list)[logs_dice(dice) % (sizeof(list) / sizeof *(list))]

static inline struct audit_certificate searches_certificate(uint64_t *dice)
{
    static const uint8_t HASHES[6][AUDIT_HASH] = {
        { 1 }, { 2 }, { 3 }, { 4 }, { 1, 0, 0, 0, 0, 0, 0, 0, 1 }, { 5 }
    };
    static const uint8_t SERIALS[][AUDIT_SERIAL_MAX] = { { 7 }, { 7, 8 }, { 9 } };
    struct audit_certificate made = { 0 };

    if (logs_dice(dice) % 4 != 0)
        made.fingerprint = BYTES_OF(SEARCHES_PICK(HASHES, dice));
    if (logs_dice(dice) % 3 != 0)
        made.serial = (struct bytes){ SEARCHES_PICK(SERIALS, dice), 1 + logs_dice(dice) % 3 };
    if (logs_dice(dice) % 3 != 0)
        made.issuer = BYTES_OF(SEARCHES_PICK(HASHES, dice));
    if (logs_dice(dice) % 2 != 0)
        made.key = BYTES_OF(SEARCHES_PICK(HASHES, dice));
    return made;
}

static inline struct bytes searches_target(uint64_t *dice)
{
    static const char *const TARGETS[] = {
        "plant",
        "plant/7",
        "plant/7/temp",
        "plant/8/temp",
        "plant/7/valve/state",
        "plant/+/temp",
        "plant/7/#",
        "$share/g/plant/+/temp",
        "#",
        "+/7/temp",
        "$SYS/load",
        "/plant",
        "a/b/c/d/e/f/g/h/i/j",
        "a/b/c/d/e/f/g/h/i/k",
        "a/+/c/#",
        "device dev-1",
        "",
        "$share/g",
        "#/behind",
        "plant/7/",
    };

    return bytes_of_text(SEARCHES_PICK(TARGETS, dice));
}

static inline struct bytes searches_peer(uint64_t *dice)
{
    static const char *const PEERS[] = {
        "192.0.2.1:55000",
        "192.0.2.1:55001",
        "192.0.2.77:1",
        "192.0.3.1:1",
        "10.1.2.3:9",
        "[2001:db8::1]:5",
        "[2001:db8:0:1::2]:5",
        "[::ffff:192.0.2.1]:6",
        "",
        "nowhere",
    };

    return bytes_of_text(SEARCHES_PICK(PEERS, dice));
}

static inline struct audit_record searches_record(uint64_t *dice)
{
    enum audit_source source = (enum audit_source)(1 + logs_dice(dice) % 4);
    struct audit_record record = logs_record_of(source, dice);
    const struct audit_action_row *row = audit_action_get(record.action);

    record.target = searches_target(dice);
    record.peer = searches_peer(dice);
    if (record.actor_kind != AUDIT_NOBODY)
        record.actor_certificate = searches_certificate(dice);
    if ((row->fields & AUDIT_CERTIFICATE_FIELD) != 0 && source == AUDIT_FROM_AUTHORITY)
        record.certificate = searches_certificate(dice);
    if ((row->fields & AUDIT_POLICY_FIELD) != 0)
        record.policy_version = logs_dice(dice) % 4;
    record.source = source;
    record.wall_ms = 1000000 + (int64_t)(logs_dice(dice) % 50);
    return record;
}

/* Times go on with the log, a little at random: clocks step. */
static inline void searches_fill(struct searches *w, size_t count)
{
    uint64_t dice = 42;

    w->count = count;
    for (size_t i = 0; i < count; i++) {
        w->records[i] = searches_record(&dice);
        w->records[i].wall_ms += (int64_t)i;
    }
}

struct searches_adding {
    struct searches *w;
    uint64_t sequences[AUDIT_FROM_SIGNER + 1];
};

static inline enum rc searches_add(struct searches_adding *adding, struct store_txn *txn,
                                   const struct audit_record *record)
{
    struct audit_record spooled = *record;
    AUTO_BUF(bytes, AUDIT_RECORD_MAX);
    bool taken = false;

    if (record->source == AUDIT_FROM_AUTHORITY)
        return audit_log_append(adding->w->logs->log, txn, record, NULL);
    spooled.source = 0;
    TRY(audit_record_write(&spooled, &bytes));
    const struct audit_origin origin = { record->source,
                                         { (uint8_t)record->source },
                                         ++adding->sequences[record->source],
                                         false,
                                         record->wall_ms };
    return audit_log_take(adding->w->logs->log, txn, &origin, buf_bytes(&bytes), &taken);
}

static inline enum rc searches_add_all(struct store_txn *txn, void *with)
{
    struct searches_adding adding = { .w = with };

    for (size_t i = 0; i < adding.w->count; i++)
        TRY(searches_add(&adding, txn, &adding.w->records[i]));
    return RC_OK;
}

static inline void searches_write(struct searches *w, size_t count)
{
    searches_fill(w, count);
    assert_int_equal(store_write(w->logs->store, searches_add_all, w), RC_OK);
}

static inline enum rc searches_forget_index(struct store_txn *txn, void *with)
{
    const struct store_range all = { .backward = false };
    AUTO_OF(store_cursor) *cursor = NULL;
    struct store_value value;
    struct bytes key;
    (void)with;

    TRY(store_cursor_open(txn, AUDIT_SEARCH, &all, &cursor));
    while (store_cursor_next(cursor, &key, &value) == RC_OK) {
        AUTO_BUF(copy, STORE_KEY_MAX);
        buf_add(&copy, key);
        TRY(store_txn_remove(txn, AUDIT_SEARCH, buf_bytes(&copy)));
    }
    return RC_OK;
}

/* ---- Asking ---- */

struct searches_asked {
    struct searches *w;
    struct audit_query query;
    uint64_t at[AUDIT_QUERY_MOST];
    size_t found;
    uint64_t next;
    bool more;
};

static inline enum rc searches_keep(void *with, const struct audit_hit *hit)
{
    struct searches_asked *asked = with;

    asked->at[asked->found++] = hit->index;
    return RC_OK;
}

static inline enum rc searches_ask(struct store_txn *txn, void *with)
{
    struct searches_asked *asked = with;

    asked->found = 0;
    return audit_log_list(asked->w->logs->log, txn, &asked->query, searches_keep, asked,
                          &asked->next, &asked->more);
}

/* One without a reason is a bare head, of which no kind of actor is known. */
static inline bool searches_want(const struct audit_query *query,
                                 const struct audit_record *record)
{
    return (query->kinds == 0 || record->reason.len > 0) && audit_query_wants(query, record);
}

/* Page by page, each is what a look at every record finds. *pages counts. */
static inline size_t searches_check(struct searches_asked *asked, unsigned *pages)
{
    const struct searches *w = asked->w;
    size_t expected = w->count, hits = 0;

    *pages = 0;
    do {
        assert_int_equal(store_read(w->logs->store, searches_ask, asked), RC_OK);
        for (size_t i = 0; i < asked->found; i++) {
            while (expected > 0 && !searches_want(&asked->query, &w->records[expected - 1]))
                expected--;
            assert_true(expected > 0);
            assert_int_equal(asked->at[i], --expected);
        }
        hits += asked->found;
        asked->query.before = asked->next;
    } while (asked->more && ++*pages < SEARCHES_RECORDS);
    while (expected > 0)
        assert_false(searches_want(&asked->query, &w->records[--expected]));
    return hits;
}

/* ---- Queries ---- */

static inline void searches_wish_who(struct audit_query *query, unsigned what,
                                     const struct audit_record *like)
{
    if (what == 0)
        query->device = like->actor_kind == AUDIT_DEVICE ? like->actor : like->device;
    if (what == 1)
        query->actor = like->actor;
    if (what == 2)
        query->certificate = like->actor_certificate.fingerprint;
    if (what == 3)
        query->serial = like->certificate.serial;
    if (what == 4)
        query->issuer = like->actor_certificate.issuer;
    if (what == 5)
        query->key = like->certificate.key;
    if (what == 6 && like->correlation[0] != 0)
        query->correlation = BYTES_OF(like->correlation);
}

static inline void searches_wish_where(struct audit_query *query, unsigned what,
                                       const struct audit_record *like, uint64_t *dice)
{
    static const char *const FILTERS[] = {
        "plant/+/temp",        "#",       "plant/#",  "+/7/temp",
        "plant/7/temp",        "$SYS/#",  "+/+",      "a/b/c/d/e/f/g/h/#",
        "a/b/c/d/e/f/g/h/i/k", "a/x/c/y", "plant/7/", "+/+/temp",
    };
    static const char *const NETWORKS[] = { "192.0.2.1",     "192.0.2.0/24", "192.0.2.64/26",
                                            "192.0.0.0/15",  "0.0.0.0/0",    "192.0.2.1:55000",
                                            "2001:db8::/32", "2001:db8::1",  "2001:db8::/60",
                                            "10.0.0.0/8",    "::/0",         "192.0.2.0/29",
                                            "192.0.2.76/30", "192.0.3.0/28", "2001:db8::/125" };

    if (what == 7)
        query->target = like->target;
    if (what == 8)
        query->topic = bytes_of_text(SEARCHES_PICK(FILTERS, dice));
    if (what == 9)
        assert_int_equal(
            audit_network_read(bytes_of_text(SEARCHES_PICK(NETWORKS, dice)), &query->peer),
            RC_OK);
}

static inline void searches_wish_what(struct audit_query *query, unsigned what,
                                      const struct audit_record *like, uint64_t *dice)
{
    if (what == 10)
        audit_action_set_add(&query->actions, like->action);
    for (unsigned i = 0; what == 10 && i < 120 && logs_dice(dice) % 2 == 0; i++)
        if (audit_action_get(i) != NULL)
            audit_action_set_add(&query->actions, i);
    if (what == 11)
        query->decisions = (uint8_t)(1u << like->decision | 2);
    if (what == 12)
        query->sources = (uint8_t)(1u << like->source);
    if (what == 13)
        query->kinds = (uint8_t)(1u << like->actor_kind);
    if (what == 14)
        query->policy_version = like->policy_version;
    if (what == 15)
        query->rule = like->rule == 0 ? AUDIT_RULE_NONE : like->rule;
    if (what == 16)
        query->since_ms = like->wall_ms;
    if (what == 17)
        query->until_ms = like->wall_ms + 20;
}

static inline struct audit_query searches_query(const struct searches *w, uint64_t *dice)
{
    const struct audit_record *like = &w->records[logs_dice(dice) % w->count];
    struct audit_query query = { .most = 1 + (uint32_t)logs_dice(dice) % 50 };

    for (unsigned i = (unsigned)logs_dice(dice) % 5; i > 0; i--) {
        const unsigned what = (unsigned)logs_dice(dice) % 18;
        searches_wish_who(&query, what, like);
        searches_wish_where(&query, what, like, dice);
        searches_wish_what(&query, what, like, dice);
    }
    if (query.until_ms != 0 && query.until_ms < query.since_ms)
        query.until_ms = query.since_ms;
    return query;
}

static inline int searches_set_up(void **state)
{
    struct searches *w = calloc(1, sizeof *w);
    void *logs = NULL;

    assert_non_null(w);
    assert_int_equal(logs_set_up(&logs), 0);
    w->logs = logs;
    *state = w;
    return 0;
}

static inline int searches_tear_down(void **state)
{
    struct searches *w = *state;
    void *logs = w->logs;

    logs_tear_down(&logs);
    free(w);
    return 0;
}
