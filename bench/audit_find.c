#include "bench/audit_find.h"

#include <stdlib.h>

/* ---- Questions ---- */

static struct bytes id_of(bool operator_, uint64_t number, struct buf *room)
{
    audit_fleet_id(operator_, number, room);
    return buf_bytes(room);
}

static void by_device(const struct audit_fleet *fleet, uint64_t dice, struct audit_query *query,
                      struct audit_fleet_record *room)
{
    query->device = id_of(false, dice % fleet->devices, &room->device);
}

static void by_operator(const struct audit_fleet *fleet, uint64_t dice,
                        struct audit_query *query, struct audit_fleet_record *room)
{
    (void)fleet;
    query->actor = id_of(true, dice % FLEET_OPERATORS, &room->actor);
}

static void by_certificate(const struct audit_fleet *fleet, uint64_t dice,
                           struct audit_query *query, struct audit_fleet_record *room)
{
    audit_fleet_certify(false, dice % fleet->devices, &room->shown);
    query->certificate = BYTES_OF(room->shown.fingerprint);
}

static void by_serial(const struct audit_fleet *fleet, uint64_t dice, struct audit_query *query,
                      struct audit_fleet_record *room)
{
    audit_fleet_certify(false, dice % fleet->devices, &room->shown);
    query->serial = BYTES_OF(room->shown.serial);
}

static void by_issuer(const struct audit_fleet *fleet, uint64_t dice, struct audit_query *query,
                      struct audit_fleet_record *room)
{
    (void)fleet;
    audit_fleet_certify(dice % 2 == 0, 1, &room->shown);
    query->issuer = BYTES_OF(room->shown.issuer);
}

static void by_key(const struct audit_fleet *fleet, uint64_t dice, struct audit_query *query,
                   struct audit_fleet_record *room)
{
    audit_fleet_certify(false, dice % fleet->devices, &room->shown);
    query->key = BYTES_OF(room->shown.key);
}

/* Of a record that there is. */
static void by_correlation(const struct audit_fleet *fleet, uint64_t dice,
                           struct audit_query *query, struct audit_fleet_record *room)
{
    audit_fleet_make(fleet, dice % fleet->records, room);
    query->correlation = BYTES_OF(room->record.correlation);
}

static void by_action(const struct audit_fleet *fleet, uint64_t dice, struct audit_query *query,
                      struct audit_fleet_record *room)
{
    static const enum audit_action ACTIONS[] = { AUDIT_SESSION_OPEN, AUDIT_PUBLISH,
                                                 AUDIT_CERTIFICATE_RENEW, AUDIT_DEVICE_SUSPEND,
                                                 AUDIT_HANDSHAKE };

    (void)fleet;
    (void)room;
    query->actions = audit_action_set_of(ACTIONS[dice % (sizeof ACTIONS / sizeof *ACTIONS)]);
}

static void by_no_such_action(const struct audit_fleet *fleet, uint64_t dice,
                              struct audit_query *query, struct audit_fleet_record *room)
{
    (void)fleet;
    (void)dice;
    (void)room;
    query->actions = audit_action_set_of(AUDIT_SYSTEM_RESTORE);
}

static void by_decision(const struct audit_fleet *fleet, uint64_t dice,
                        struct audit_query *query, struct audit_fleet_record *room)
{
    (void)fleet;
    (void)dice;
    (void)room;
    query->decisions = 1 << AUDIT_DENIED;
}

static void by_rule(const struct audit_fleet *fleet, uint64_t dice, struct audit_query *query,
                    struct audit_fleet_record *room)
{
    (void)fleet;
    (void)room;
    query->policy_version = FLEET_VERSION;
    query->rule = 1 + (uint32_t)(dice % FLEET_RULES);
}

static void by_source(const struct audit_fleet *fleet, uint64_t dice, struct audit_query *query,
                      struct audit_fleet_record *room)
{
    (void)fleet;
    (void)dice;
    (void)room;
    query->sources = 1 << AUDIT_FROM_AUTHORITY;
}

static void read_peer(struct audit_query *query, struct buf *text)
{
    if (audit_network_read(buf_bytes(text), &query->peer) != RC_OK)
        abort();
}

static void by_address(const struct audit_fleet *fleet, uint64_t dice,
                       struct audit_query *query, struct audit_fleet_record *room)
{
    audit_fleet_address(dice % fleet->devices, &room->peer);
    read_peer(query, &room->peer);
}

static void by_network(const struct audit_fleet *fleet, uint64_t dice,
                       struct audit_query *query, struct audit_fleet_record *room)
{
    uint64_t device = dice % fleet->devices;

    audit_fleet_address(dice % 2 == 0 ? device - device % 256 : device - device % 8,
                        &room->peer);
    buf_addf(&room->peer, dice % 2 == 0 ? "/24" : "/29");
    read_peer(query, &room->peer);
}

static void by_target(const struct audit_fleet *fleet, uint64_t dice, struct audit_query *query,
                      struct audit_fleet_record *room)
{
    audit_fleet_topic(dice % fleet->devices, &room->target);
    query->target = buf_bytes(&room->target);
}

static void by_topic(const struct audit_fleet *fleet, uint64_t dice, struct audit_query *query,
                     struct audit_fleet_record *room)
{
    (void)fleet;
    if (dice % 2 == 0)
        buf_addf(&room->target, "plant/%u/#", (unsigned)(dice >> 1) % FLEET_PLANTS);
    else
        buf_addf(&room->target, "plant/+/line/%u/valve", (unsigned)(dice >> 1) % FLEET_LINES);
    query->topic = buf_bytes(&room->target);
}

/* Some hours of the first nine tenths. */
static void by_time(const struct audit_fleet *fleet, uint64_t dice, struct audit_query *query,
                    struct audit_fleet_record *room)
{
    enum { HOURS = 6 * 3600 * 1000 };
    int64_t whole = (int64_t)fleet->records / 10 * 9 * FLEET_STEP_MS;

    (void)room;
    query->since_ms = FLEET_BEGAN_MS + (int64_t)(dice % (uint64_t)whole);
    query->until_ms = query->since_ms + HOURS;
}

/* ---- Mixes ---- */

static void by_device_denied(const struct audit_fleet *fleet, uint64_t dice,
                             struct audit_query *query, struct audit_fleet_record *room)
{
    by_device(fleet, dice, query, room);
    query->decisions = 1 << AUDIT_DENIED;
}

static void by_device_time(const struct audit_fleet *fleet, uint64_t dice,
                           struct audit_query *query, struct audit_fleet_record *room)
{
    by_device(fleet, dice, query, room);
    by_time(fleet, dice >> 8, query, room);
}

static void by_network_action(const struct audit_fleet *fleet, uint64_t dice,
                              struct audit_query *query, struct audit_fleet_record *room)
{
    by_network(fleet, dice, query, room);
    query->actions = audit_action_set_of(AUDIT_HANDSHAKE);
}

static void by_topic_denied(const struct audit_fleet *fleet, uint64_t dice,
                            struct audit_query *query, struct audit_fleet_record *room)
{
    by_topic(fleet, dice, query, room);
    query->decisions = 1 << AUDIT_DENIED;
}

static void by_operator_action_time(const struct audit_fleet *fleet, uint64_t dice,
                                    struct audit_query *query, struct audit_fleet_record *room)
{
    by_operator(fleet, dice, query, room);
    by_time(fleet, dice >> 8, query, room);
    query->actions = audit_action_set_of(AUDIT_DEVICE_SUSPEND);
}

static void by_operator_device(const struct audit_fleet *fleet, uint64_t dice,
                               struct audit_query *query, struct audit_fleet_record *room)
{
    by_operator(fleet, dice, query, room);
    query->device = id_of(false, (dice >> 8) % fleet->devices, &room->device);
}

static void by_rule_network_time(const struct audit_fleet *fleet, uint64_t dice,
                                 struct audit_query *query, struct audit_fleet_record *room)
{
    by_rule(fleet, dice, query, room);
    by_network(fleet, dice, query, room);
    by_time(fleet, dice >> 8, query, room);
}

/* Each has many, both none: the device has another plant. */
static void by_device_and_strange_topic(const struct audit_fleet *fleet, uint64_t dice,
                                        struct audit_query *query,
                                        struct audit_fleet_record *room)
{
    by_device(fleet, dice, query, room);
    audit_fleet_topic(dice % fleet->devices + 1, &room->target);
    query->topic = buf_bytes(&room->target);
}

const struct audit_find AUDIT_FINDS[] = {
    { "device", by_device },
    { "operator", by_operator },
    { "certificate", by_certificate },
    { "serial", by_serial },
    { "issuer", by_issuer },
    { "key", by_key },
    { "correlation", by_correlation },
    { "action", by_action },
    { "action_that_never_was", by_no_such_action },
    { "decision", by_decision },
    { "version_rule", by_rule },
    { "source", by_source },
    { "address", by_address },
    { "network", by_network },
    { "target", by_target },
    { "topic_filter", by_topic },
    { "time", by_time },
    { "device_denied", by_device_denied },
    { "device_time", by_device_time },
    { "network_action", by_network_action },
    { "topic_filter_denied", by_topic_denied },
    { "operator_action_time", by_operator_action_time },
    { "operator_device", by_operator_device },
    { "rule_network_time", by_rule_network_time },
    { "device_and_topic_of_another", by_device_and_strange_topic },
};
const size_t AUDIT_FIND_COUNT = sizeof AUDIT_FINDS / sizeof *AUDIT_FINDS;

/* ---- Asking ---- */

struct asking {
    struct audit_ours *ours;
    struct audit_query query;
    uint64_t next, hits;
    bool more;
};

static enum rc note_hit(void *with, const struct audit_hit *hit)
{
    struct asking *asking = with;

    if (!audit_query_wants(&asking->query, hit->record))
        return fault(RC_CORRUPT, "record %llu is not what was asked for",
                     (unsigned long long)hit->index);
    asking->hits++;
    return RC_OK;
}

static enum rc ask_page(struct store_txn *txn, void *with)
{
    struct asking *asking = with;

    return audit_log_list(asking->ours->log, txn, &asking->query, note_hit, asking,
                          &asking->next, &asking->more);
}

static enum rc ask(struct asking *asking, size_t *pages)
{
    do {
        asking->query.most = AUDIT_FIND_HITS - (uint32_t)asking->hits;
        TRY(store_read(asking->ours->store, ask_page, asking));
        asking->query.before = asking->next;
        ++*pages;
    } while (asking->more && asking->hits < AUDIT_FIND_HITS);
    return RC_OK;
}

/* Asked as if for the first time. */
static enum rc ask_timed(struct asking *asking, size_t *pages, double *ms, double *cpu_ms)
{
    struct audit_cost began = audit_cost_now(), took = { 0 };

    TRY(ask(asking, pages));
    audit_cost_add(&took, &began);
    *ms = took.wall_us / 1000;
    *cpu_ms = took.cpu_us / 1000;
    return RC_OK;
}

static int compare(const void *a, const void *b)
{
    const double *left = a, *right = b;

    return (*left > *right) - (*left < *right);
}

enum rc audit_find_measure(struct audit_ours *ours, const struct audit_find *find, size_t times,
                           struct audit_found *found)
{
    *found = (struct audit_found){ .times = times };
    for (size_t i = 0; i < times; i++) {
        struct asking asking = { .ours = ours };
        struct audit_fleet_record *room = &ours->made;
        size_t pages = 0;
        audit_fleet_make(&ours->fleet, 0, room); /* its texts are there, and empty */
        buf_reset(&room->actor);
        buf_reset(&room->device);
        buf_reset(&room->target);
        buf_reset(&room->peer);
        find->ask(&ours->fleet, audit_fleet_mix(i) >> 8, &asking.query, room);
        struct asking again = asking;
        double cpu_ms = 0, cpu_again_ms = 0;
        TRY(ask_timed(&asking, &pages, &found->ms[i], &cpu_ms));
        TRY(ask_timed(&again, &(size_t){ 0 }, &found->again_ms[i], &cpu_again_ms));
        if (found->cpu_ms_most < cpu_ms)
            found->cpu_ms_most = cpu_ms;
        found->hits += asking.hits;
        found->pages_most = pages > found->pages_most ? pages : found->pages_most;
    }
    qsort(found->ms, times, sizeof found->ms[0], compare);
    qsort(found->again_ms, times, sizeof found->again_ms[0], compare);
    return RC_OK;
}

/* ---- Proofs ---- */

struct proving {
    struct audit_ours *ours;
    size_t times;
    struct audit_proof_cost *cost;
    struct audit_cost inclusion, consistency, verify;
    size_t nodes;
};

static enum rc prove_one(struct proving *p, struct store_txn *txn, uint64_t at,
                         const struct proof_hash *root)
{
    struct audit_log *log = p->ours->log;
    struct proof_hash nodes[PROOF_NODES_MAX], leaf;
    struct audit_entry parts;
    struct bytes entry;
    uint64_t size = p->ours->size;
    size_t count = 0;

    struct audit_cost began = audit_cost_now();
    TRY(audit_log_prove_consistency(log, txn, at + 1, size, nodes, &count));
    audit_cost_add(&p->consistency, &began);
    TRY(audit_log_get(log, txn, at, &entry));
    TRY(audit_leaf_read(entry, &parts));
    leaf = audit_log_leaf_hash(log, &parts);
    began = audit_cost_now();
    TRY(audit_log_prove_inclusion(log, txn, at, size, nodes, &count));
    audit_cost_add(&p->inclusion, &began);
    began = audit_cost_now();
    TRY(journal_proof_check_inclusion(at, size, &leaf, nodes, count, root));
    audit_cost_add(&p->verify, &began);
    p->nodes += count;
    return RC_OK;
}

static enum rc prove_all(struct store_txn *txn, void *with)
{
    struct proving *p = with;
    struct proof_hash root;

    TRY(audit_log_root(p->ours->log, txn, p->ours->size, &root));
    for (size_t i = 0; i < p->times; i++)
        TRY(prove_one(p, txn, (audit_fleet_mix(i) >> 8) % p->ours->size, &root));
    return RC_OK;
}

enum rc audit_find_prove(struct audit_ours *ours, size_t times, struct audit_proof_cost *cost)
{
    struct proving p = { .ours = ours, .times = times };
    double each = (double)times;

    TRY(store_read(ours->store, prove_all, &p));
    *cost = (struct audit_proof_cost){ p.inclusion.wall_us / each, p.consistency.wall_us / each,
                                       p.verify.wall_us / each, (double)p.nodes / each };
    return RC_OK;
}
