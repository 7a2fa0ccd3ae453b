#include "pki/template.h"

#include <stdlib.h>
#include <string.h>

#include "pki/oid.h"

enum { MEMORY_MAX = 8192, URL_MAX = 512, KEY_ID_MIN = 8, KEY_ID_MAX = 32, V3 = 2 };

static enum rc check_url(const char *url)
{
    struct pki_alt_name uri = { .kind = PKI_ALT_URI };

    if (url == NULL)
        return RC_OK;
    uri.value = bytes_of_text(url);
    if (uri.value.len > URL_MAX || !bytes_start_with(uri.value, BYTES("http://")))
        return fault(RC_MALFORMED,
                     "RFC 5280 4.2.1.13: not an http:// URL of at most %d letters", URL_MAX);
    return pki_alt_name_check(&uri);
}

static enum rc check_issuer(const struct pki_issuer *issuer)
{
    TRY(pki_name_check(issuer->name));
    if (pki_name_count(issuer->name) == 0)
        return fault(RC_MALFORMED, "RFC 5280 4.1.2.4: an issuer without a name");
    if (issuer->key_id.len < KEY_ID_MIN || issuer->key_id.len > KEY_ID_MAX)
        return fault(RC_MALFORMED, "issuer's key identifier of %zu octets, not %d to %d",
                     issuer->key_id.len, KEY_ID_MIN, KEY_ID_MAX);
    TRY(check_url(issuer->crl_url));
    return check_url(issuer->issuer_url);
}

/* Where a piece lies in memory: it may still move while more is added. */
struct piece {
    size_t at, len;
};

static struct piece since(const struct buf *memory, size_t start)
{
    return (struct piece){ start, memory->len - start };
}

static struct bytes found(const struct buf *memory, struct piece piece)
{
    return (struct bytes){ memory->at + piece.at, piece.len };
}

static struct piece add_version(struct buf *memory)
{
    size_t start = memory->len, mark = der_begin(memory, DER_CONTEXT_CONSTRUCTED(0));

    der_add_u63(memory, V3);
    der_end(memory, mark);
    return since(memory, start);
}

static struct piece add_constant_extensions(struct buf *memory,
                                            const struct pki_profile *profile,
                                            const struct pki_issuer *issuer)
{
    size_t start = memory->len;

    pki_extension_add_authority(memory, issuer->key_id);
    pki_extension_add_constraints(memory, &profile->constraints);
    pki_extension_add_key_usage(memory, profile->key_usage);
    if (profile->purposes != 0)
        pki_extension_add_purposes(memory, profile->purposes);
    if (issuer->crl_url != NULL)
        pki_extension_add_crl_url(memory, issuer->crl_url);
    if (issuer->issuer_url != NULL)
        pki_extension_add_issuer_url(memory, issuer->issuer_url);
    return since(memory, start);
}

static struct piece add_text(struct buf *memory, const char *text)
{
    size_t start = memory->len;

    if (text != NULL) {
        buf_add(memory, bytes_of_text(text));
        buf_add_u8(memory, 0);
    }
    return since(memory, start);
}

static const char *found_text(const struct buf *memory, struct piece piece)
{
    return piece.len == 0 ? NULL : (const char *)memory->at + piece.at;
}

static enum rc fill(struct pki_template *t, const struct pki_issuer *issuer)
{
    struct buf *memory = &t->memory;
    struct piece version = add_version(memory);
    size_t start = memory->len;

    pki_key_add_algorithm(memory);
    size_t algorithm_end = memory->len;
    buf_add(memory, issuer->name);
    struct piece both = since(memory, start), name = since(memory, algorithm_end);
    struct piece extensions = add_constant_extensions(memory, t->profile, issuer);
    start = memory->len;
    buf_add(memory, issuer->key_id);
    struct piece key_id = since(memory, start);
    struct piece crl_url = add_text(memory, issuer->crl_url);
    struct piece issuer_url = add_text(memory, issuer->issuer_url);
    struct bytes all;

    TRY(buf_done(memory, &all));
    t->version = found(memory, version);
    t->algorithm_and_issuer = found(memory, both);
    t->extensions = found(memory, extensions);
    t->issuer = *issuer;
    t->issuer.name = found(memory, name);
    t->issuer.key_id = found(memory, key_id);
    t->issuer.crl_url = found_text(memory, crl_url);
    t->issuer.issuer_url = found_text(memory, issuer_url);
    return RC_OK;
}

enum rc pki_template_new(const struct pki_profile *profile, const struct pki_issuer *issuer,
                         struct pki_template **template)
{
    TRY(check_issuer(issuer));
    AUTO_OF(pki_template) *made = calloc(1, sizeof *made);
    if (made == NULL)
        return fault(RC_NOMEM, "template");
    made->profile = profile;
    made->memory = BUF_MAX(MEMORY_MAX);
    TRY(fill(made, issuer));
    *template = TAKE(made);
    return RC_OK;
}

void pki_template_free(struct pki_template *template)
{
    if (template == NULL)
        return;
    buf_clear(&template->memory);
    free(template);
}

enum rc pki_template_validity(const struct pki_template *template, int64_t now,
                              int64_t lifetime_s, int64_t *not_before, int64_t *not_after)
{
    const struct pki_profile *profile = template->profile;
    const struct pki_issuer *issuer = &template->issuer;

    if (lifetime_s < 0 || lifetime_s > profile->lifetime_most_s)
        return fault(RC_LIMIT, "profile %s: lifetime of %lld s, at most %lld s", profile->name,
                     (long long)lifetime_s, (long long)profile->lifetime_most_s);
    if (now < issuer->not_before || now >= issuer->not_after)
        return fault(RC_DENIED, "RFC 5280 4.1.2.5: the issuer is not valid now");
    int64_t start = now - profile->backdate_s;
    int64_t end = now + (lifetime_s > 0 ? lifetime_s : profile->lifetime_s);
    *not_before = start < issuer->not_before ? issuer->not_before : start;
    *not_after = end > issuer->not_after ? issuer->not_after : end;
    return RC_OK;
}

static enum rc write_extensions(const struct pki_template *template,
                                const struct pki_contents *contents, struct buf *tbs)
{
    const struct pki_profile *profile = template->profile;
    size_t outer = der_begin(tbs, DER_CONTEXT_CONSTRUCTED(3));
    size_t list = der_begin(tbs, DER_SEQUENCE);
    uint8_t key_id[PKI_KEY_ID_LEN];

    buf_add(tbs, template->extensions);
    TRY(pki_key_identifier(contents->point, key_id));
    pki_extension_add_key_id(tbs, BYTES_OF(key_id));
    if (profile->uri_prefix != NULL || profile->hosts) {
        struct pki_extension_mark mark =
            pki_extension_begin(tbs, PKI_OID_SUBJECT_ALT_NAME, false);
        pki_profile_write_alt_names(profile, contents->holder, tbs);
        pki_extension_end(tbs, mark);
    }
    der_end(tbs, list);
    der_end(tbs, outer);
    return RC_OK;
}

static enum rc write_all(const struct pki_template *template,
                         const struct pki_contents *contents, struct buf *tbs)
{
    size_t outer = der_begin(tbs, DER_SEQUENCE);

    buf_add(tbs, template->version);
    der_add_unsigned(tbs, BYTES_OF(contents->serial));
    buf_add(tbs, template->algorithm_and_issuer);
    size_t validity = der_begin(tbs, DER_SEQUENCE);
    der_add_time(tbs, contents->not_before);
    der_add_time(tbs, contents->not_after);
    der_end(tbs, validity);
    TRY(pki_profile_write_subject(template->profile, contents->holder, tbs));
    pki_key_add(tbs, contents->point);
    TRY(write_extensions(template, contents, tbs));
    der_end(tbs, outer);
    struct bytes done;
    return buf_done(tbs, &done);
}

enum rc pki_template_write(const struct pki_template *template,
                           const struct pki_contents *contents, struct buf *tbs)
{
    size_t before = tbs->len;

    if (contents->point.len != PKI_POINT_LEN)
        return fault(RC_MALFORMED, "RFC 5480 2.2: no point of %d octets", PKI_POINT_LEN);
    if (contents->not_before >= contents->not_after)
        return fault(RC_MALFORMED, "RFC 5280 4.1.2.5: notAfter is not after notBefore");
    TRY(pki_profile_check_holder(template->profile, contents->holder));
    enum rc rc = write_all(template, contents, tbs);
    if (rc != RC_OK)
        buf_cut(tbs, before);
    return rc;
}
