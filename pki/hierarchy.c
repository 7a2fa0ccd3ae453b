#include "pki/hierarchy.h"

#include <string.h>

#include "base/text.h"
#include "pki/signed.h"

enum { DAY_S = 86400, ORGANIZATION_MAX = 40, COMMON_NAME_MAX = 64, TBS_MAX = 4096 };

static const struct pki_issuing ISSUING[] = {
    { "devices", "Devices", { "device" }, 2000, 4000 },
    { "operators", "Operators", { "operator", "line" }, 50, 200 },
    { "doors", "Doors", { "door" }, 10, 100 },
};

const struct pki_issuing *pki_hierarchy_issuing(size_t *count)
{
    *count = sizeof ISSUING / sizeof *ISSUING;
    return ISSUING;
}

enum rc pki_hierarchy_check_names(const struct pki_hierarchy_names *names)
{
    struct bytes organization = names->organization, origin = bytes_of_text(names->origin);

    if (organization.len == 0 || organization.len > ORGANIZATION_MAX ||
        !text_is_printable(organization))
        return fault(RC_MALFORMED,
                     "an organization's name has 1 to %d printable ASCII characters",
                     ORGANIZATION_MAX);
    if (origin.len == 0 || origin.len > KEYS_PATTERN_MAX || !text_is_printable(origin) ||
        memchr(origin.at, ' ', origin.len) != NULL ||
        memchr(origin.at, '+', origin.len) != NULL)
        return fault(RC_MALFORMED,
                     "C2SP tlog-checkpoint: an origin has 1 to %d printable "
                     "characters, no space and no plus",
                     KEYS_PATTERN_MAX);
    if (names->host_count == 0 || names->host_count > PKI_HIERARCHY_HOSTS_MAX)
        return fault(RC_LIMIT, "1 to %d hosts for doors", PKI_HIERARCHY_HOSTS_MAX);
    for (size_t i = 0; i < names->host_count; i++)
        if (names->hosts[i].len == 0 || !text_is_printable(names->hosts[i]))
            return fault(RC_MALFORMED, "an empty host, or one that is no printable text");
    return RC_OK;
}

struct pki_issuer pki_hierarchy_issuer(const struct pki_certificate *certificate)
{
    return (struct pki_issuer){
        .name = certificate->subject,
        .key_id = certificate->key_id,
        .not_before = certificate->not_before,
        .not_after = certificate->not_after,
    };
}

static void add_common_name(struct buf *text, const struct pki_hierarchy_wish *wish)
{
    buf_add(text, wish->names->organization);
    buf_addf(text, " %s", wish->suffix);
}

/* A root's issuer is its future self. */
struct self {
    struct buf name;
    uint8_t key_id[PKI_KEY_ID_LEN];
};

static void clear_self(struct self *self)
{
    buf_clear(&self->name);
}

static enum rc describe_self(const struct pki_profile *profile, const struct pki_holder *holder,
                             const struct pki_hierarchy_wish *wish, struct bytes point,
                             struct self *self, struct pki_issuer *issuer)
{
    TRY(pki_profile_check_holder(profile, holder));
    TRY(pki_profile_write_subject(profile, holder, &self->name));
    TRY(pki_key_identifier(point, self->key_id));
    *issuer = (struct pki_issuer){
        .name = buf_bytes(&self->name),
        .key_id = BYTES_OF(self->key_id),
        .not_before = wish->now_s - profile->backdate_s,
        .not_after = wish->now_s + profile->lifetime_s,
    };
    return RC_OK;
}

enum rc pki_hierarchy_certify(const struct pki_hierarchy_wish *wish,
                              const struct pki_certificate *under,
                              struct pki_verifier *verifier, const struct pki_signing *signing,
                              const char *key, struct buf *certificate)
{
    const struct pki_profile *profile = pki_profile_find(under == NULL ? "root" : "issuing");
    AUTO_BUF(common_name, COMMON_NAME_MAX);
    [[gnu::cleanup(clear_self)]] struct self self = { .name = BUF_MAX(KEYS_NAME_DER_MAX) };
    AUTO_OF(pki_template) *template = NULL;
    struct pki_issuer issuer;
    struct pki_contents contents = { 0 };
    struct bytes id;

    add_common_name(&common_name, wish);
    TRY(buf_done(&common_name, &id));
    struct pki_holder holder = { .id = id, .organization = wish->names->organization };
    TRY(pki_key_read(wish->public_key, &contents.point));
    if (under != NULL)
        issuer = pki_hierarchy_issuer(under);
    else
        TRY(describe_self(profile, &holder, wish, contents.point, &self, &issuer));
    TRY(pki_template_new(profile, &issuer, &template));
    TRY(pki_template_validity(template, wish->now_s, 0, &contents.not_before,
                              &contents.not_after));
    TRY(pki_serial_make(contents.serial));
    contents.holder = &holder;
    return pki_issue_certificate(template, verifier, signing, key, &contents, certificate);
}

/* RFC 2986 4.1, with an extensionRequest (RFC 2985 5.4.2) that says what the key is for. */
static void write_request_info(struct buf *out, struct bytes subject, struct bytes public_key)
{
    static const struct pki_constraints CA = { .ca = true, .path_length = 0 };
    size_t info = der_begin(out, DER_SEQUENCE);

    der_add_u63(out, 0);
    buf_add(out, subject);
    buf_add(out, public_key);
    size_t attributes = der_begin(out, DER_CONTEXT_CONSTRUCTED(0));
    size_t attribute = der_begin(out, DER_SEQUENCE);
    der_add_oid(out, "1.2.840.113549.1.9.14");
    size_t values = der_begin(out, DER_SET), extensions = der_begin(out, DER_SEQUENCE);
    pki_extension_add_constraints(out, &CA);
    pki_extension_add_key_usage(out, PKI_KEY_CERT_SIGN | PKI_CRL_SIGN);
    der_end(out, extensions);
    der_end(out, values);
    der_end(out, attribute);
    der_end(out, attributes);
    der_end(out, info);
}

enum rc pki_hierarchy_request(const struct pki_hierarchy_wish *wish,
                              const struct pki_signing *signing, const char *key,
                              struct buf *request)
{
    AUTO_BUF(common_name, COMMON_NAME_MAX);
    AUTO_BUF(subject, KEYS_NAME_DER_MAX);
    AUTO_BUF(info, TBS_MAX);
    AUTO_BUF(signature, 256);
    struct pki_name name = { .organization = wish->names->organization };
    struct bytes to_be_signed;

    add_common_name(&common_name, wish);
    TRY(buf_done(&common_name, &name.common_name));
    TRY(pki_name_write(&subject, &name));
    write_request_info(&info, buf_bytes(&subject), wish->public_key);
    TRY(buf_done(&info, &to_be_signed));
    TRY(signing->sign(signing->with, key, KEYS_CERTIFICATE, to_be_signed, &signature));
    return pki_signed_assemble(to_be_signed, buf_bytes(&signature), request);
}

enum rc pki_hierarchy_check_issuing(const struct pki_certificate *certificate,
                                    struct bytes public_key, int64_t now_s)
{
    const uint16_t usage = PKI_KEY_CERT_SIGN | PKI_CRL_SIGN;

    if (!bytes_equal(certificate->public_key, public_key))
        return fault(RC_DENIED, "a certificate for another public key");
    if (!certificate->constraints.ca)
        return fault(RC_DENIED, "RFC 5280 4.2.1.9: basicConstraints do not say CA");
    if ((certificate->key_usage & usage) != usage)
        return fault(RC_DENIED, "RFC 5280 4.2.1.3: key usage lacks keyCertSign or cRLSign");
    if (certificate->key_id.len == 0)
        return fault(RC_DENIED, "RFC 5280 4.2.1.2: a CA has a subjectKeyIdentifier");
    if (certificate->not_before > now_s || certificate->not_after < now_s + 365LL * DAY_S)
        return fault(RC_DENIED, "not valid now, or for less than a year more");
    return RC_OK;
}
