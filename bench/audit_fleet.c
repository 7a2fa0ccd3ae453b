#include "bench/audit_fleet.h"

#include <string.h>

struct audit_fleet audit_fleet_of(uint64_t records, uint64_t devices)
{
    enum { LEAST = 100, MOST = 100000, EACH = 1000 };

    if (devices == 0)
        devices = records / EACH < LEAST  ? LEAST
                  : records / EACH > MOST ? MOST
                                          : records / EACH;
    return (struct audit_fleet){ devices, records };
}

/* splitmix64 */
uint64_t audit_fleet_mix(uint64_t number)
{
    number += 0x9e3779b97f4a7c15;
    number = (number ^ (number >> 30)) * 0xbf58476d1ce4e5b9;
    number = (number ^ (number >> 27)) * 0x94d049bb133111eb;
    return number ^ (number >> 31);
}

static void fill(uint8_t *at, size_t len, uint64_t number)
{
    for (size_t i = 0; i < len; i += sizeof number) {
        number = audit_fleet_mix(number);
        memcpy(at + i, &number, sizeof number);
    }
}

void audit_fleet_id(bool operator_, uint64_t number, struct buf *id)
{
    if (operator_)
        buf_addf(id, "operator-%02u", (unsigned)number);
    else
        buf_addf(id, "pump-%06u", (unsigned)number);
}

void audit_fleet_certify(bool operator_, uint64_t number,
                         struct audit_fleet_certificate *certificate)
{
    enum { PARTS = 4, OPERATORS = 1 << 30 };
    uint64_t seed = (number + (operator_ ? OPERATORS : 0)) * PARTS;

    fill(certificate->fingerprint, sizeof certificate->fingerprint, seed);
    fill(certificate->serial, sizeof certificate->serial, seed + 1);
    fill(certificate->key, sizeof certificate->key, seed + 2);
    fill(certificate->issuer, sizeof certificate->issuer, operator_);
    certificate->serial[0] = 0x40; /* positive, and of one length */
}

void audit_fleet_address(uint64_t device, struct buf *address)
{
    buf_addf(address, "10.%u.%u.%u", (unsigned)(device >> 16) & 0xff,
             (unsigned)(device >> 8) & 0xff, (unsigned)device & 0xff);
}

void audit_fleet_topic(uint64_t device, struct buf *topic)
{
    static const char *const KINDS[] = { "temperature", "pressure", "valve" };

    buf_addf(topic, "plant/%u/line/%u/%s", (unsigned)(device % FLEET_PLANTS),
             (unsigned)(device % FLEET_LINES), KINDS[device % 3]);
}

void audit_fleet_clear(struct audit_fleet_record *made)
{
    buf_clear(&made->actor);
    buf_clear(&made->device);
    buf_clear(&made->target);
    buf_clear(&made->peer);
}

static struct audit_certificate facts_of(const struct audit_fleet_certificate *certificate)
{
    return (struct audit_certificate){ .fingerprint = BYTES_OF(certificate->fingerprint),
                                       .serial = BYTES_OF(certificate->serial),
                                       .issuer = BYTES_OF(certificate->issuer),
                                       .key = BYTES_OF(certificate->key) };
}

/* The third record of a session is one of these; of a hundred, so many. */
static const struct kind {
    unsigned share;
    enum audit_action action;
    enum audit_decision decision;
    bool by_operator;
} KINDS[] = {
    { 40, AUDIT_SUBSCRIBE, AUDIT_ALLOWED, false },
    { 25, AUDIT_RECEIVE, AUDIT_ALLOWED, false },
    { 15, AUDIT_PUBLISH, AUDIT_DENIED, false },
    { 5, AUDIT_HANDSHAKE, AUDIT_DENIED, false },
    { 5, AUDIT_CERTIFICATE_RENEW, AUDIT_ALLOWED, false },
    { 7, AUDIT_DEVICE_READ, AUDIT_ALLOWED, true },
    { 3, AUDIT_DEVICE_SUSPEND, AUDIT_ALLOWED, true },
};

static struct kind kind_of(unsigned stage, uint64_t dice)
{
    uint64_t at = dice % 100;
    size_t i = 0;

    if (stage != 2)
        return (struct kind){ 0,
                              stage == 0   ? AUDIT_SESSION_OPEN
                              : stage == 1 ? AUDIT_PUBLISH
                                           : AUDIT_SESSION_CLOSE,
                              AUDIT_ALLOWED, false };
    for (; at >= KINDS[i].share; i++)
        at -= KINDS[i].share;
    return KINDS[i];
}

static void reset(struct audit_fleet_record *made)
{
    struct buf *const texts[] = { &made->actor, &made->device, &made->target, &made->peer };

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (texts[i]->max == 0)
            *texts[i] = (struct buf)BUF_MAX(FLEET_TEXT);
        buf_reset(texts[i]);
    }
    made->record = (struct audit_record){ 0 };
}

/* What its action has besides. */
static void add_fields(struct audit_fleet_record *made, uint64_t device, uint64_t dice)
{
    struct audit_record *record = &made->record;
    unsigned fields = audit_action_get(record->action)->fields;

    if ((fields & AUDIT_POLICY_FIELD) != 0) {
        record->policy_version = FLEET_VERSION;
        record->rule =
            record->decision == AUDIT_ALLOWED ? 1 + (uint32_t)(dice % FLEET_RULES) : 0;
    }
    if ((fields & AUDIT_TOPIC_FIELD) != 0) {
        audit_fleet_topic(device, &made->target);
        record->target = buf_bytes(&made->target);
    }
    if (record->action == AUDIT_CERTIFICATE_RENEW) {
        audit_fleet_certify(false, dice, &made->other);
        record->certificate = facts_of(&made->other);
    }
    if (record->decision == AUDIT_ALLOWED &&
        (record->action == AUDIT_PUBLISH || record->action == AUDIT_RECEIVE ||
         record->action == AUDIT_SUBSCRIBE))
        record->aggregate = (struct audit_aggregate_part){ .count = 1 + dice % 500,
                                                           .first_ms = record->wall_ms - 60000,
                                                           .last_ms = record->wall_ms,
                                                           .targets = 1 };
    if (record->decision != AUDIT_ALLOWED)
        record->reason = BYTES("no rule allows it");
}

void audit_fleet_make(const struct audit_fleet *fleet, uint64_t index,
                      struct audit_fleet_record *made)
{
    uint64_t turn = index / ((uint64_t)FLEET_TURN * FLEET_SESSION);
    uint64_t session = turn * FLEET_TURN + index % FLEET_TURN;
    uint64_t device = session * 7919 % fleet->devices, dice = audit_fleet_mix(index) >> 8;
    struct kind kind = kind_of((unsigned)(index / FLEET_TURN % FLEET_SESSION), dice >> 16);
    struct audit_record *record = &made->record;

    reset(made);
    record->action = kind.action;
    record->decision = kind.decision;
    record->wall_ms = FLEET_BEGAN_MS + (int64_t)index * FLEET_STEP_MS;
    record->monotonic_ms = (int64_t)index * FLEET_STEP_MS;
    fill(record->correlation, sizeof record->correlation, kind.by_operator ? index : session);
    record->actor_kind = kind.by_operator ? AUDIT_OPERATOR : AUDIT_DEVICE;
    audit_fleet_id(kind.by_operator, kind.by_operator ? dice % FLEET_OPERATORS : device,
                   &made->actor);
    record->actor = buf_bytes(&made->actor);
    audit_fleet_certify(kind.by_operator, kind.by_operator ? dice % FLEET_OPERATORS : device,
                        &made->shown);
    record->actor_certificate = facts_of(&made->shown);
    if (kind.by_operator) {
        audit_fleet_id(false, device, &made->device);
        record->device = buf_bytes(&made->device);
        buf_addf(&made->peer, "192.0.2.%u:%u", (unsigned)(dice % FLEET_OPERATORS), 50000);
    } else {
        audit_fleet_address(device, &made->peer);
        buf_addf(&made->peer, ":%u", 32768 + (unsigned)(session % 28000));
    }
    record->peer = buf_bytes(&made->peer);
    record->tls = BYTES("TLSv1.3 TLS_AES_256_GCM_SHA384");
    add_fields(made, device, dice);
}
