#include "bench/subject_enrol.h"

#include "base/own.h"
#include "base/text.h"

#include <curl/curl.h>
#include <jansson.h>
#include <openssl/pkcs7.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

AUTO_TYPE(CURL, curl_easy_cleanup)
AUTO_TYPE(X509_REQ, X509_REQ_free)
AUTO_TYPE(PKCS7, PKCS7_free)
AUTO_TYPE(json_t, json_decref)

enum {
    ANSWER_MAX = 256 * 1024,
    POLICY_ANSWER_MAX = 32 * 1024 * 1024,
    WAIT_MS = 30000,
    NAP_MS = 20
};

struct question {
    const char *path, *type;
    struct bytes body; /* empty: GET */
};

static size_t keep(char *at, size_t size, size_t count, void *with)
{
    buf_add(with, (struct bytes){ (const uint8_t *)at, size * count });
    return size * count;
}

static enum rc connect_as(const struct subject_operator *by, CURL **made)
{
    CURL *curl = curl_easy_init();

    if (curl == NULL)
        return fault(RC_NOMEM, "curl");
    curl_easy_setopt(curl, CURLOPT_CAINFO, by->ca_path);
    curl_easy_setopt(curl, CURLOPT_SSLCERT, by->certificate_path);
    curl_easy_setopt(curl, CURLOPT_SSLKEY, by->key_path);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 60L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    *made = curl;
    return RC_OK;
}

static CURLcode perform(CURL *curl, const char *url, const struct question *question,
                        struct buf *answer)
{
    AUTO_BUF(type, 128);
    const char *text = "";

    buf_addf(&type, "Content-Type: %s", question->type);
    if (buf_text(&type, &text) != RC_OK)
        return CURLE_OUT_OF_MEMORY;
    struct curl_slist *headers = curl_slist_append(NULL, text);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
    if (question->body.len > 0) {
        curl_easy_setopt(curl, CURLOPT_POST, 1L);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)question->body.len);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, question->body.at);
    }
    CURLcode done = curl_easy_perform(curl);
    curl_slist_free_all(headers);
    return done;
}

static enum rc ask(CURL *curl, const struct subject_operator *by,
                   const struct question *question, struct buf *answer)
{
    AUTO_BUF(url, 512);
    const char *text;
    long status = 0;

    buf_addf(&url, "%s%s", by->url, question->path);
    TRY(buf_text(&url, &text));
    CURLcode done = perform(curl, text, question, answer);
    if (done != CURLE_OK)
        return fault(RC_IO, "%s: %s", text, curl_easy_strerror(done));
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (status / 100 != 2)
        return fault(RC_DENIED, "%s: %ld", text, status);
    return RC_OK;
}

static enum rc add_device(CURL *curl, const struct subject_operator *by, const char *id)
{
    AUTO_BUF(body, 256);
    AUTO_BUF(answer, ANSWER_MAX);

    buf_addf(&body, "{\"id\":\"%s\"}", id);
    const struct question question = { "/v1/devices", "application/json", buf_bytes(&body) };
    return ask(curl, by, &question, &answer);
}

static enum rc find_active(CURL *curl, const struct subject_operator *by, json_t **version)
{
    const struct question question = { .path = "/v1/policies/active",
                                       .type = "application/json" };
    AUTO_BUF(answer, POLICY_ANSWER_MAX);

    TRY(ask(curl, by, &question, &answer));
    AUTO(json_t) *active = json_loadb((const char *)answer.at, answer.len, 0, NULL);
    *version = json_incref(json_object_get(active, "version"));
    return *version != NULL ? RC_OK : fault(RC_MALFORMED, "the active policy has no version");
}

enum rc subject_post_policy(const struct subject_operator *by, struct bytes text)
{
    AUTO(CURL) *curl = NULL;
    AUTO_BUF(answer, ANSWER_MAX);
    json_t *version = NULL;

    TRY(connect_as(by, &curl));
    TRY(find_active(curl, by, &version));
    AUTO(json_t) *body = json_pack("{s:s%, s:o, s:s}", "text", (const char *)text.at, text.len,
                                   "replaces", version, "why", "the benchmark's");
    char *packed = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
    if (packed == NULL)
        return fault(RC_NOMEM, "policy");
    const struct question question = { "/v1/policies", "application/json",
                                       bytes_of_text(packed) };
    enum rc rc = ask(curl, by, &question, &answer);
    free(packed);
    return rc;
}

static enum rc write_request(const char *id, EVP_PKEY *key, struct buf *out)
{
    AUTO(X509_REQ) *request = X509_REQ_new();
    unsigned char *der = NULL;

    bool ok = request != NULL &&
              X509_NAME_add_entry_by_NID(X509_REQ_get_subject_name(request), NID_serialNumber,
                                         MBSTRING_ASC, bytes_of_text(id).at, -1, -1, 0) == 1 &&
              X509_REQ_set_pubkey(request, key) == 1 &&
              X509_REQ_sign(request, key, EVP_sha256()) > 0;
    int len = ok ? i2d_X509_REQ(request, &der) : -1;
    if (len <= 0)
        return fault(RC_CRYPTO, "request of %s", id);
    text_add_base64(out, (struct bytes){ der, (size_t)len });
    OPENSSL_free(der);
    return RC_OK;
}

static enum rc read_answer(struct bytes text, struct load_identity *one)
{
    AUTO_BUF(der, ANSWER_MAX);

    TRY(text_read_base64(text, &der));
    const unsigned char *at = der.at;
    AUTO(PKCS7) *message = d2i_PKCS7(NULL, &at, (long)der.len);
    if (message == NULL || !PKCS7_type_is_signed(message) ||
        sk_X509_num(message->d.sign->cert) != 1)
        return fault(RC_MALFORMED, "simpleenroll: no certs-only message of one certificate");
    one->certificate = X509_dup(sk_X509_value(message->d.sign->cert, 0));
    one->chain = sk_X509_new_null();
    return one->certificate != NULL && one->chain != NULL ? RC_OK
                                                          : fault(RC_NOMEM, "certificate");
}

static enum rc enrol_one(CURL *curl, const struct subject_operator *by, const char *id,
                         struct load_identity *one)
{
    AUTO_BUF(request, ANSWER_MAX);
    AUTO_BUF(answer, ANSWER_MAX);

    memcpy(one->id, id, strlen(id) + 1);
    one->key = EVP_EC_gen("P-256");
    if (one->key == NULL)
        return fault(RC_CRYPTO, "key");
    TRY(add_device(curl, by, id));
    TRY(write_request(id, one->key, &request));
    const struct question question = { "/.well-known/est/simpleenroll", "application/pkcs10",
                                       buf_bytes(&request) };
    TRY(ask(curl, by, &question, &answer));
    return read_answer(buf_bytes(&answer), one);
}

enum rc subject_enrol(const struct subject_operator *by, const struct load_identities *pattern,
                      struct load_identities *out)
{
    AUTO(CURL) *curl = NULL;
    struct load_identities made = { 0 };
    enum rc rc = RC_OK;

    TRY(connect_as(by, &curl));
    made.all = calloc(pattern->count, sizeof *made.all);
    if (made.all == NULL)
        return fault(RC_NOMEM, "identities");
    while (rc == RC_OK && made.count < pattern->count) {
        const char *id = pattern->all[made.count].id;
        rc = enrol_one(curl, by, id, &made.all[made.count++]);
    }
    if (rc != RC_OK)
        load_identities_clear(&made);
    else
        *out = made;
    return rc;
}

enum rc subject_wait_doors(const struct subject_operator *by)
{
    const struct timespec nap = { .tv_nsec = NAP_MS * 1000000 };
    const struct question question = { .path = "/v1/status", .type = "application/json" };
    AUTO(CURL) *curl = NULL;

    TRY(connect_as(by, &curl));
    for (int waited = 0; waited < WAIT_MS; waited += NAP_MS) {
        AUTO_BUF(answer, ANSWER_MAX);
        const char *text;
        if (ask(curl, by, &question, &answer) == RC_OK && buf_text(&answer, &text) == RC_OK &&
            strstr(text, "\"doors_behind\":0") != NULL)
            return RC_OK;
        nanosleep(&nap, NULL);
    }
    return fault(RC_BUSY, "the doors do not follow");
}
