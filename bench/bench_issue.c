/* One certificate from a request: our path, the cryptography alone, and libcrypto's objects. */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "pki/certificate.h"
#include "pki/issue.h"
#include "pki/request.h"

enum { ROUNDS = 7, OPS = 1500, NOW = 1767225600, LIFETIME = 365 * 86400 };

#define CRL_URL    "http://pki.example/devices.crl"
#define ISSUER_URL "http://pki.example/devices.cer"

/* What all three subjects work with. */
struct work {
    EVP_PKEY *ca, *device;
    EVP_MD_CTX *sign, *verify;
    X509_NAME *issuer;
    struct bytes request; /* DER */
    struct bytes info, signature, tbs;
    struct pki_verifier *verifier;
    struct pki_template *template;
};

static void must(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "%s: %s\n", what, fault_reason());
    exit(1);
}

static double cpu_now(void)
{
    struct rusage used;

    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

static enum rc sign(void *with, const char *key, enum keys_kind kind, struct bytes tbs,
                    struct buf *signature)
{
    struct work *work = with;
    uint8_t made[128];
    size_t len = sizeof made;

    (void)key;
    (void)kind;
    if (EVP_DigestSignInit(work->sign, NULL, EVP_sha256(), NULL, work->ca) != 1 ||
        EVP_DigestSign(work->sign, made, &len, tbs.at, tbs.len) != 1)
        return fault(RC_CRYPTO, "sign");
    buf_add(signature, (struct bytes){ made, len });
    return RC_OK;
}

static void issue_ours(struct work *work)
{
    const struct pki_holder holder = { .id = BYTES("TM-0001") };
    const struct pki_signing signing = { sign, work };
    struct pki_contents contents = { .holder = &holder };
    struct pki_request request;
    AUTO_BUF(differences, 4096);
    AUTO_BUF(certificate, PKI_CERTIFICATE_MAX);

    must(pki_request_read(work->verifier, work->request, &request) == RC_OK, "request");
    must(pki_profile_compare(work->template->profile, &holder, &request, &differences) == RC_OK,
         "compare");
    contents.point = request.point;
    must(pki_template_validity(work->template, NOW, 0, &contents.not_before,
                               &contents.not_after) == RC_OK,
         "validity");
    must(pki_serial_make(contents.serial) == RC_OK, "serial");
    must(pki_issue_certificate(work->template, work->verifier, &signing, "devices", &contents,
                               &certificate) == RC_OK,
         "issue");
}

static void issue_floor(struct work *work)
{
    AUTO_BUF(signature, 128);

    must(EVP_DigestVerifyInit(work->verify, NULL, EVP_sha256(), NULL, work->device) == 1 &&
             EVP_DigestVerify(work->verify, work->signature.at, work->signature.len,
                              work->info.at, work->info.len) == 1,
         "verify");
    must(sign(work, "", KEYS_CERTIFICATE, work->tbs, &signature) == RC_OK, "sign");
}

static void add_extension(X509 *x, X509V3_CTX *context, int nid, const char *value)
{
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, context, nid, value);

    must(e != NULL && X509_add_ext(x, e, -1) == 1, "extension");
    X509_EXTENSION_free(e);
}

static void fill_naive(X509 *x, X509_REQ *request, struct work *work)
{
    uint8_t random[PKI_SERIAL_LEN];
    X509V3_CTX context;

    must(pki_serial_make(random) == RC_OK, "serial");
    BIGNUM *serial = BN_bin2bn(random, sizeof random, NULL);
    X509_set_version(x, X509_VERSION_3);
    BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(x));
    BN_free(serial);
    X509_set_issuer_name(x, work->issuer);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "serialNumber", V_ASN1_PRINTABLESTRING,
                               (const unsigned char *)"TM-0001", -1, -1, 0);
    ASN1_TIME_set(X509_getm_notBefore(x), NOW);
    ASN1_TIME_set(X509_getm_notAfter(x), NOW + LIFETIME);
    X509_set_pubkey(x, X509_REQ_get0_pubkey(request));
    X509V3_set_ctx(&context, x, x, NULL, NULL, 0);
    add_extension(x, &context, NID_subject_key_identifier, "hash");
    add_extension(x, &context, NID_authority_key_identifier, "keyid:always");
    add_extension(x, &context, NID_basic_constraints, "critical,CA:FALSE");
    add_extension(x, &context, NID_key_usage, "critical,digitalSignature");
    add_extension(x, &context, NID_ext_key_usage, "clientAuth");
    add_extension(x, &context, NID_crl_distribution_points, "URI:" CRL_URL);
    add_extension(x, &context, NID_info_access, "caIssuers;URI:" ISSUER_URL);
    add_extension(x, &context, NID_subject_alt_name, "URI:urn:touchmark:device:TM-0001");
}

static void issue_naive(struct work *work)
{
    const unsigned char *at = work->request.at;
    unsigned char *der = NULL;
    X509_REQ *request = d2i_X509_REQ(NULL, &at, (long)work->request.len);
    X509 *x = X509_new();

    must(request != NULL && X509_REQ_verify(request, X509_REQ_get0_pubkey(request)) == 1,
         "naive request");
    fill_naive(x, request, work);
    must(X509_sign(x, work->ca, EVP_sha256()) > 0 && i2d_X509(x, &der) > 0, "naive sign");
    OPENSSL_free(der);
    X509_free(x);
    X509_REQ_free(request);
}

static double measure(struct work *work, void (*issue)(struct work *work))
{
    double start = cpu_now();

    for (int i = 0; i < OPS; i++)
        issue(work);
    return (cpu_now() - start) / OPS;
}

static void keep_least(double *least, double cost)
{
    *least = *least == 0 || cost < *least ? cost : *least;
}

static void get_point(EVP_PKEY *key, uint8_t point[PKI_POINT_LEN])
{
    size_t len = 0;

    must(EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point, PKI_POINT_LEN,
                                         &len) == 1 &&
             len == PKI_POINT_LEN,
         "point");
}

static void make_request(struct work *work)
{
    X509_REQ *r = X509_REQ_new();
    unsigned char *der = NULL;

    X509_REQ_set_version(r, 0);
    X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(r), "CN", MBSTRING_ASC,
                               (const unsigned char *)"TM-0001", -1, -1, 0);
    X509_REQ_set_pubkey(r, work->device);
    must(X509_REQ_sign(r, work->device, EVP_sha256()) > 0, "make request");
    work->request.len = (size_t)i2d_X509_REQ(r, &der);
    work->request.at = der;
    X509_REQ_free(r);

    struct der file = der_open(work->request);
    struct der outer = der_enter(&file, DER_SEQUENCE);
    work->info = der_take_whole(&outer);
    der_take_whole(&outer);
    work->signature = der_take_bits(&outer);
}

static void make_template(struct work *work)
{
    static uint8_t key_id[PKI_KEY_ID_LEN];
    uint8_t point[PKI_POINT_LEN];
    AUTO_BUF(name, 256);
    struct pki_issuer issuer = { .not_after = INT64_MAX,
                                 .crl_url = CRL_URL,
                                 .issuer_url = ISSUER_URL };

    get_point(work->ca, point);
    must(pki_key_identifier(BYTES_OF(point), key_id) == RC_OK, "key identifier");
    must(pki_name_write(&name, &(struct pki_name){ .common_name = BYTES("Bench devices") }) ==
             RC_OK,
         "name");
    issuer.name = buf_bytes(&name);
    issuer.key_id = BYTES_OF(key_id);
    const unsigned char *at = name.at;
    work->issuer = d2i_X509_NAME(NULL, &at, (long)name.len);
    must(pki_template_new(pki_profile_find("device"), &issuer, &work->template) == RC_OK,
         "template");
}

/* The bytes that the floor signs: one certificate of the very same size. */
static void make_tbs(struct work *work, struct buf *tbs)
{
    const struct pki_holder holder = { .id = BYTES("TM-0001") };
    uint8_t point[PKI_POINT_LEN];
    struct pki_contents contents = { .holder = &holder, .not_before = NOW };

    get_point(work->device, point);
    contents.point = BYTES_OF(point);
    contents.not_after = NOW + LIFETIME;
    must(pki_serial_make(contents.serial) == RC_OK, "serial");
    must(pki_issue_prepare(work->template, work->verifier, &contents, tbs) == RC_OK, "tbs");
    work->tbs = buf_bytes(tbs);
}

int main(void)
{
    struct work work = { .ca = EVP_EC_gen("P-256"),
                         .device = EVP_EC_gen("P-256"),
                         .sign = EVP_MD_CTX_new(),
                         .verify = EVP_MD_CTX_new() };
    double ours = 0, floor = 0, naive = 0;
    AUTO_BUF(tbs, PKI_CERTIFICATE_MAX);

    must(pki_verifier_new(&work.verifier) == RC_OK, "verifier");
    make_request(&work);
    make_template(&work);
    make_tbs(&work, &tbs);
    for (int round = 0; round < ROUNDS; round++) {
        keep_least(&floor, measure(&work, issue_floor));
        keep_least(&ours, measure(&work, issue_ours));
        keep_least(&naive, measure(&work, issue_naive));
    }
    printf("{\"bench\":\"issue.software\",\"ours\":%.2f,\"unit\":\"cpu_us/op\",\"floor\":%.2f,"
           "\"peer\":%.2f,\"peer_name\":\"naive libcrypto issue\",\"ratio_floor\":%.2f,"
           "\"ratio_peer\":%.2f}\n",
           ours, floor, naive, ours / floor, ours / naive);
    return 0;
}
