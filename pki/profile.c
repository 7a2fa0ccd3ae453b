#include "pki/profile.h"

#include "pki/oid.h"

enum { DAY = 86400, YEAR = 365 * DAY, BACKDATE = 300 };

static const struct pki_profile PROFILES[] = {
    {
        .name = "root",
        .id_place = PKI_ID_IN_COMMON_NAME,
        .constraints = { .ca = true, .path_length = 1 },
        .key_usage = PKI_KEY_CERT_SIGN | PKI_CRL_SIGN,
        .lifetime_s = 20LL * YEAR,
        .lifetime_most_s = 30LL * YEAR,
        .backdate_s = BACKDATE,
    },
    {
        .name = "issuing",
        .id_place = PKI_ID_IN_COMMON_NAME,
        .constraints = { .ca = true, .path_length = 0 },
        .key_usage = PKI_KEY_CERT_SIGN | PKI_CRL_SIGN,
        .lifetime_s = 10LL * YEAR,
        .lifetime_most_s = 15LL * YEAR,
        .backdate_s = BACKDATE,
    },
    {
        .name = "device",
        .id_place = PKI_ID_IN_SERIAL_NUMBER,
        .uri_prefix = "urn:touchmark:device:",
        .constraints = { .path_length = -1 },
        .key_usage = PKI_DIGITAL_SIGNATURE,
        .purposes = PKI_CLIENT_AUTH,
        .lifetime_s = YEAR,
        .lifetime_most_s = 3LL * YEAR,
        .backdate_s = BACKDATE,
    },
    {
        .name = "operator",
        .id_place = PKI_ID_IN_COMMON_NAME,
        .uri_prefix = "urn:touchmark:operator:",
        .constraints = { .path_length = -1 },
        .key_usage = PKI_DIGITAL_SIGNATURE,
        .purposes = PKI_CLIENT_AUTH,
        .lifetime_s = 90 * DAY,
        .lifetime_most_s = YEAR,
        .backdate_s = BACKDATE,
    },
    {
        .name = "line",
        .id_place = PKI_ID_IN_COMMON_NAME,
        .uri_prefix = "urn:touchmark:line:",
        .constraints = { .path_length = -1 },
        .key_usage = PKI_DIGITAL_SIGNATURE,
        .purposes = PKI_CLIENT_AUTH,
        .lifetime_s = 180 * DAY,
        .lifetime_most_s = YEAR,
        .backdate_s = BACKDATE,
    },
    {
        .name = "door",
        .id_place = PKI_ID_IN_COMMON_NAME,
        .uri_prefix = PKI_DOOR_URI,
        .hosts = true,
        .constraints = { .path_length = -1 },
        .key_usage = PKI_DIGITAL_SIGNATURE,
        .purposes = PKI_SERVER_AUTH,
        .lifetime_s = 7 * DAY,
        .lifetime_most_s = 30 * DAY,
        .backdate_s = BACKDATE,
    },
};

const struct pki_profile *pki_profile_all(size_t *count)
{
    *count = sizeof PROFILES / sizeof *PROFILES;
    return PROFILES;
}

const struct pki_profile *pki_profile_find(const char *name)
{
    for (size_t i = 0; i < sizeof PROFILES / sizeof *PROFILES; i++)
        if (bytes_equal_text(bytes_of_text(PROFILES[i].name), name))
            return &PROFILES[i];
    return NULL;
}

/* Letters that mean themselves in a URN (RFC 8141 2.2), a topic and a file name. */
static bool is_id(const struct pki_profile *profile, struct bytes id)
{
    for (size_t i = 0; i < id.len; i++) {
        uint8_t c = id.at[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool also = (c >= '0' && c <= '9') || c == '.' || c == '-' ||
                    (c == '_' && profile->id_place != PKI_ID_IN_SERIAL_NUMBER);
        if (!letter && !also)
            return false;
    }
    return id.len > 0 && id.len <= PKI_ID_MAX;
}

static enum rc check_hosts(const struct pki_profile *profile, const struct pki_holder *holder)
{
    if (!profile->hosts && holder->hosts_count > 0)
        return fault(RC_MALFORMED, "profile %s has no host names", profile->name);
    if (profile->hosts && (holder->hosts_count == 0 || holder->hosts_count > PKI_HOSTS_MAX))
        return fault(RC_LIMIT, "profile %s needs 1 to %d host names, got %zu", profile->name,
                     PKI_HOSTS_MAX, holder->hosts_count);
    for (size_t i = 0; i < holder->hosts_count; i++) {
        if (holder->hosts[i].kind == PKI_ALT_URI)
            return fault(RC_MALFORMED, "profile %s: a URI is no host name", profile->name);
        TRY(pki_alt_name_check(&holder->hosts[i]));
    }
    return RC_OK;
}

enum rc pki_profile_check_holder(const struct pki_profile *profile,
                                 const struct pki_holder *holder)
{
    AUTO_BUF(name, 1024);

    if (profile->uri_prefix != NULL && !is_id(profile, holder->id))
        return fault(RC_MALFORMED, "profile %s: id not of 1 to %d letters, digits, '.', '-'%s",
                     profile->name, PKI_ID_MAX,
                     profile->id_place == PKI_ID_IN_SERIAL_NUMBER ? "" : ", '_'");
    if (holder->id.len == 0)
        return fault(RC_MALFORMED, "profile %s: an id is missing", profile->name);
    TRY(check_hosts(profile, holder));
    return pki_profile_write_subject(profile, holder, &name);
}

enum rc pki_profile_write_subject(const struct pki_profile *profile,
                                  const struct pki_holder *holder, struct buf *name)
{
    bool serial = profile->id_place == PKI_ID_IN_SERIAL_NUMBER;

    return pki_name_write(name, &(struct pki_name){
                                    .organization = holder->organization,
                                    .common_name = serial ? (struct bytes){ 0 } : holder->id,
                                    .serial_number = serial ? holder->id : (struct bytes){ 0 },
                                });
}

void pki_profile_write_alt_names(const struct pki_profile *profile,
                                 const struct pki_holder *holder, struct buf *value)
{
    if (profile->uri_prefix == NULL && !profile->hosts)
        return;
    size_t names = der_begin(value, DER_SEQUENCE);
    if (profile->uri_prefix != NULL) {
        size_t uri = der_begin(value, DER_CONTEXT(PKI_ALT_URI));
        buf_add(value, bytes_of_text(profile->uri_prefix));
        buf_add(value, holder->id);
        der_end(value, uri);
    }
    for (size_t i = 0; i < holder->hosts_count; i++)
        pki_alt_name_add(value, &holder->hosts[i]);
    der_end(value, names);
}

static enum rc compare_subject(const struct pki_profile *profile,
                               const struct pki_holder *holder, struct bytes asked,
                               struct buf *differences)
{
    AUTO_BUF(given, 1024);

    TRY(pki_profile_write_subject(profile, holder, &given));
    if (pki_name_count(asked) == 0 || pki_name_matches(asked, buf_bytes(&given)))
        return RC_OK;
    buf_addf(differences, "subject: asked ");
    pki_name_add_text(differences, asked);
    buf_addf(differences, ", given ");
    pki_name_add_text(differences, buf_bytes(&given));
    buf_addf(differences, "\n");
    return RC_OK;
}

static void add_alt_names_text(struct buf *buf, struct bytes value)
{
    struct der der = der_open(value);
    struct der names = der_enter(&der, DER_SEQUENCE);
    struct pki_alt_name name;

    while (pki_alt_name_next(&names, &name)) {
        buf_addf(buf, " ");
        pki_alt_name_add_text(buf, &name);
    }
}

static bool same_alt_names(const struct pki_profile *profile, const struct pki_holder *holder,
                           struct bytes asked)
{
    AUTO_BUF(given, 8192);

    pki_profile_write_alt_names(profile, holder, &given);
    return bytes_equal(buf_bytes(&given), asked);
}

/* Is this wish exactly what the profile gives anyway? */
static bool is_granted(const struct pki_profile *profile, const struct pki_holder *holder,
                       const struct pki_extension *asked)
{
    struct pki_constraints constraints;
    uint16_t bits = 0;
    unsigned purposes = 0;

    if (der_oid_is(asked->oid, PKI_OID_SUBJECT_ALT_NAME))
        return same_alt_names(profile, holder, asked->value);
    if (der_oid_is(asked->oid, PKI_OID_KEY_USAGE))
        return pki_extension_read_key_usage(asked->value, &bits) == RC_OK &&
               bits == profile->key_usage;
    if (der_oid_is(asked->oid, PKI_OID_EXTENDED_KEY_USAGE))
        return pki_extension_read_purposes(asked->value, &purposes) == RC_OK &&
               purposes == profile->purposes;
    if (der_oid_is(asked->oid, PKI_OID_BASIC_CONSTRAINTS))
        return pki_extension_read_constraints(asked->value, &constraints) == RC_OK &&
               constraints.ca == profile->constraints.ca &&
               constraints.path_length == profile->constraints.path_length;
    return false;
}

enum rc pki_profile_compare(const struct pki_profile *profile, const struct pki_holder *holder,
                            const struct pki_request *request, struct buf *differences)
{
    TRY(compare_subject(profile, holder, request->subject, differences));
    for (size_t i = 0; i < request->extensions.count; i++) {
        const struct pki_extension *asked = &request->extensions.at[i];
        if (is_granted(profile, holder, asked))
            continue;
        pki_extension_add_text(differences, asked->oid);
        buf_addf(differences, ": asked otherwise than profile %s gives", profile->name);
        if (der_oid_is(asked->oid, PKI_OID_SUBJECT_ALT_NAME)) {
            buf_addf(differences, ":");
            add_alt_names_text(differences, asked->value);
        }
        buf_addf(differences, "\n");
    }
    return RC_OK;
}
