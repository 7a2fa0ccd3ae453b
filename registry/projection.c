#include "registry/projection.h"

#include <stdlib.h>
#include <string.h>

#include "registry/index.h"

enum { CRLS_MAX = 32, TEXT_MAX = 64 * 1024 };

/* A subject as registry_subject_write() packs it: the struct has room for all its groups. */
struct packed {
    enum registry_kind kind;
    char id[REGISTRY_ID_MAX + 1];
    uint64_t revision;
    size_t len;
    uint8_t form[];
};

struct registry_projection {
    struct registry_observer observer;
    struct registry_index certificates, subjects;
    uint64_t policy_version;
    struct buf policy, authorities;
    struct registry_name policy_name;
    size_t crl_count;
    struct registry_crl crls[CRLS_MAX];
    struct registry_subject *unpacked; /* the last one that was looked up */
};

static uint64_t hash_fingerprint(const struct registry_fingerprint *fingerprint)
{
    struct reader r = READER(BYTES_OF(fingerprint->at));

    return reader_u64(&r);
}

static bool has_fingerprint(const void *item, const void *key)
{
    const struct registry_certificate *certificate = item;
    const struct registry_fingerprint *fingerprint = key;

    return bytes_equal(BYTES_OF(certificate->fingerprint.at), BYTES_OF(fingerprint->at));
}

struct subject_key {
    enum registry_kind kind;
    struct bytes id;
};

static uint64_t hash_subject(const struct subject_key *key)
{
    return registry_index_hash(key->id) + (uint64_t)key->kind;
}

static bool has_id(const void *item, const void *key)
{
    const struct packed *subject = item;
    const struct subject_key *wanted = key;

    return subject->kind == wanted->kind && bytes_equal_text(wanted->id, subject->id);
}

enum rc registry_projection_new(const struct registry_observer *observer,
                                struct registry_projection **projection)
{
    struct registry_projection *made = calloc(1, sizeof *made);

    if (made == NULL || (made->unpacked = calloc(1, sizeof *made->unpacked)) == NULL) {
        free(made);
        return fault(RC_NOMEM, "a projection");
    }
    if (observer != NULL)
        made->observer = *observer;
    made->policy = BUF_MAX(TEXT_MAX);
    made->authorities = BUF_MAX(TEXT_MAX);
    *projection = made;
    return RC_OK;
}

void registry_projection_reset(struct registry_projection *projection)
{
    registry_index_clear(&projection->certificates);
    registry_index_clear(&projection->subjects);
    projection->policy_version = 0;
    buf_clear(&projection->policy);
    projection->policy_name = (struct registry_name){ 0 };
    buf_clear(&projection->authorities);
    projection->crl_count = 0;
}

void registry_projection_free(struct registry_projection *projection)
{
    if (projection == NULL)
        return;
    registry_projection_reset(projection);
    free(projection->unpacked);
    free(projection);
}

/* ---- Applying ---- */

static enum rc pack(struct bytes form, const struct registry_subject *subject,
                    struct packed **packed)
{
    struct packed *made = malloc(sizeof *made + form.len);

    if (made == NULL)
        return fault(RC_NOMEM, "a subject in the projection");
    made->kind = subject->kind;
    memcpy(made->id, subject->id, sizeof made->id);
    made->revision = subject->revision;
    made->len = form.len;
    memcpy(made->form, form.at, form.len);
    *packed = made;
    return RC_OK;
}

static enum rc apply_subject(struct registry_projection *projection, struct bytes body,
                             bool *changed)
{
    struct registry_subject subject;
    struct packed *packed = NULL;

    TRY(registry_subject_read(body, &subject));
    const struct subject_key key = { subject.kind, bytes_of_text(subject.id) };
    uint64_t hash = hash_subject(&key);
    const struct packed *old = registry_index_find(&projection->subjects, hash, has_id, &key);
    if (old != NULL && old->revision >= subject.revision)
        return RC_OK;
    TRY(pack(body, &subject, &packed));
    TRY(registry_index_put(&projection->subjects, hash, has_id, &key, packed));
    *changed = true;
    return RC_OK;
}

static enum rc apply_certificate(struct registry_projection *projection, struct bytes body,
                                 bool *changed)
{
    struct registry_certificate certificate;

    TRY(registry_certificate_read(body, &certificate));
    if (certificate.kind == REGISTRY_DOOR)
        return fault(RC_MALFORMED, "change: a door's own certificate admits nobody");
    uint64_t hash = hash_fingerprint(&certificate.fingerprint);
    const struct registry_certificate *old = registry_index_find(
        &projection->certificates, hash, has_fingerprint, &certificate.fingerprint);
    if (old != NULL && old->revision >= certificate.revision)
        return RC_OK;
    struct registry_certificate *copy = malloc(sizeof *copy);
    if (copy == NULL)
        return fault(RC_NOMEM, "a certificate in the projection");
    *copy = certificate;
    TRY(registry_index_put(&projection->certificates, hash, has_fingerprint, &copy->fingerprint,
                           copy));
    *changed = true;
    return RC_OK;
}

/* Whole or not at all. */
static enum rc replace(struct buf *buf, struct bytes with)
{
    struct buf copy = BUF_MAX(TEXT_MAX);
    struct bytes done;

    buf_add(&copy, with);
    if (buf_done(&copy, &done) != RC_OK) {
        buf_clear(&copy);
        return fault(RC_NOMEM, "%zu octets for the projection", with.len);
    }
    buf_clear(buf);
    *buf = copy;
    return RC_OK;
}

static enum rc apply_policy(struct registry_projection *projection, struct bytes body,
                            bool *changed)
{
    struct reader r = READER(body);
    uint64_t version = reader_u64(&r);
    struct registry_text text;

    if (r.broken || version == 0)
        return fault(RC_MALFORMED, "change: a policy without its version");
    TRY(registry_text_read(r.left, &text));
    if (version <= projection->policy_version)
        return RC_OK;
    TRY(replace(&projection->policy, text.octets));
    projection->policy_name = text.name;
    projection->policy_version = version;
    *changed = true;
    return RC_OK;
}

static const struct registry_crl *find_crl(const struct registry_projection *projection,
                                           struct bytes key)
{
    for (size_t i = 0; i < projection->crl_count; i++)
        if (bytes_equal_text(key, projection->crls[i].key))
            return &projection->crls[i];
    return NULL;
}

static enum rc apply_crl(struct registry_projection *projection, struct bytes body,
                         bool *changed)
{
    struct registry_crl crl;

    TRY(registry_crl_read(body, &crl));
    const struct registry_crl *old = find_crl(projection, bytes_of_text(crl.key));
    if (old != NULL && old->number >= crl.number)
        return RC_OK;
    if (old == NULL && projection->crl_count == CRLS_MAX)
        return fault(RC_LIMIT, "change: more than %d CRLs", CRLS_MAX);
    size_t place = old == NULL ? projection->crl_count++ : (size_t)(old - projection->crls);
    projection->crls[place] = crl;
    *changed = true;
    return RC_OK;
}

static enum rc apply_authorities(struct registry_projection *projection, struct bytes body,
                                 bool *changed)
{
    struct reader r = READER(body);

    while (!r.broken && r.left.len > 0)
        if (reader_sized32(&r, REGISTRY_CERTIFICATE_MAX).len == 0)
            r.broken = true;
    if (r.broken || body.len == 0)
        return fault(RC_MALFORMED, "change: the CAs' certificates are not whole");
    if (bytes_equal(body, buf_bytes(&projection->authorities)))
        return RC_OK;
    TRY(replace(&projection->authorities, body));
    *changed = true;
    return RC_OK;
}

enum rc registry_projection_apply(struct registry_projection *projection,
                                  const struct registry_change *change)
{
    static enum rc (*const APPLY[])(struct registry_projection *, struct bytes, bool *) = {
        [REGISTRY_CHANGE_SUBJECT] = apply_subject,
        [REGISTRY_CHANGE_CERTIFICATE] = apply_certificate,
        [REGISTRY_CHANGE_POLICY] = apply_policy,
        [REGISTRY_CHANGE_CRL] = apply_crl,
        [REGISTRY_CHANGE_AUTHORITIES] = apply_authorities,
    };
    bool changed = false;

    if (change->kind >= sizeof APPLY / sizeof *APPLY || APPLY[change->kind] == NULL)
        return fault(RC_MALFORMED, "change: of kind %d", (int)change->kind);
    TRY(APPLY[change->kind](projection, change->body, &changed));
    if (changed && projection->observer.changed != NULL)
        projection->observer.changed(projection->observer.with, change);
    return RC_OK;
}

/* ---- Looking up ---- */

const struct registry_certificate *
registry_projection_certificate(const struct registry_projection *projection,
                                const struct registry_fingerprint *fingerprint)
{
    return registry_index_find(&projection->certificates, hash_fingerprint(fingerprint),
                               has_fingerprint, fingerprint);
}

const struct registry_subject *
registry_projection_subject(const struct registry_projection *projection,
                            enum registry_kind kind, struct bytes id)
{
    const struct subject_key key = { kind, id };
    const struct packed *packed =
        registry_index_find(&projection->subjects, hash_subject(&key), has_id, &key);

    if (packed == NULL || registry_subject_read((struct bytes){ packed->form, packed->len },
                                                projection->unpacked) != RC_OK)
        return NULL;
    return projection->unpacked;
}

struct registry_text registry_projection_policy(const struct registry_projection *projection,
                                                uint64_t *version)
{
    *version = projection->policy_version;
    return (struct registry_text){ buf_bytes(&projection->policy), projection->policy_name };
}

enum rc registry_projection_crl(const struct registry_projection *projection,
                                struct bytes issuing_key, struct registry_crl *crl)
{
    const struct registry_crl *found = find_crl(projection, issuing_key);

    if (found == NULL)
        return fault(RC_NOT_FOUND, "no CRL of that key is known");
    *crl = *found;
    return RC_OK;
}

const struct registry_crl *
registry_projection_crls(const struct registry_projection *projection, size_t *count)
{
    *count = projection->crl_count;
    return projection->crls;
}

struct bytes registry_projection_authorities(const struct registry_projection *projection)
{
    return buf_bytes(&projection->authorities);
}

size_t registry_projection_count(const struct registry_projection *projection)
{
    return projection->certificates.count;
}

static const char *const VERDICTS[] = {
    [REGISTRY_ACCEPTED] = "accepted",
    [REGISTRY_UNKNOWN] = "unknown",
    [REGISTRY_NOT_YET_VALID] = "not-yet-valid",
    [REGISTRY_EXPIRED] = "expired",
    [REGISTRY_CERTIFICATE_WAS_REVOKED] = "certificate-revoked",
    [REGISTRY_SUBJECT_SUSPENDED] = "subject-suspended",
    [REGISTRY_SUBJECT_REVOKED] = "subject-revoked",
    [REGISTRY_ALTERED] = "altered",
    [REGISTRY_FOREIGN] = "foreign",
};

const char *registry_verdict_name(enum registry_verdict verdict)
{
    return (unsigned)verdict <= REGISTRY_FOREIGN ? VERDICTS[verdict] : "unknown";
}

enum registry_verdict registry_verdict_of(const struct registry_certificate *certificate,
                                          const struct registry_subject *subject, int64_t now_s)
{
    if (certificate->state != REGISTRY_CERTIFICATE_ACTIVE)
        return REGISTRY_CERTIFICATE_WAS_REVOKED;
    if (subject == NULL || subject->state == REGISTRY_REVOKED)
        return REGISTRY_SUBJECT_REVOKED;
    if (subject->state != REGISTRY_ACTIVE)
        return REGISTRY_SUBJECT_SUSPENDED;
    if (now_s < certificate->not_before_s)
        return REGISTRY_NOT_YET_VALID;
    if (now_s > certificate->not_after_s)
        return REGISTRY_EXPIRED;
    return REGISTRY_ACCEPTED;
}

enum registry_verdict registry_projection_judge(const struct registry_projection *projection,
                                                const struct registry_fingerprint *fingerprint,
                                                int64_t now_s,
                                                const struct registry_certificate **certificate,
                                                const struct registry_subject **subject)
{
    *subject = NULL;
    *certificate = registry_projection_certificate(projection, fingerprint);
    if (*certificate == NULL)
        return REGISTRY_UNKNOWN;
    *subject = registry_projection_subject(projection, (*certificate)->kind,
                                           bytes_of_text((*certificate)->subject));
    return registry_verdict_of(*certificate, *subject, now_s);
}
