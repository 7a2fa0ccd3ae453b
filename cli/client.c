#include "cli/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "pki/certificate.h"
#include "pki/pem.h"
#include "pki/profile.h"

enum { CONNECT_MS = 10 * 1000, ANSWER_MS = 120 * 1000, URL_MAX = 16 * 1024, REASON_MAX = 256 };

typedef struct curl_slist curl_headers;
AUTO_TYPE(curl_headers, curl_slist_free_all)

struct cli_client {
    CURL *curl;
    char *server;
    const char *door;
    bool is_door;             /* the connection that libcurl keeps was looked at */
    char refused[REASON_MAX]; /* why it was not */
    char error[CURL_ERROR_SIZE];
};

/* Every option is one that libcurl 7.88 has: a refusal is lack of memory, or a build without
 * TLS. */
static enum rc check(CURLcode code)
{
    return code == CURLE_OK ? RC_OK : fault(RC_NOMEM, "libcurl: %s", curl_easy_strerror(code));
}

static enum rc check_file(const char *name)
{
    if (access(name, R_OK) == 0)
        return RC_OK;
    return errno == ENOENT ? fault(RC_NOT_FOUND, "%s: no such file", name)
                           : fault_errno("read %s", name);
}

static enum rc set_trust(CURL *curl, const struct cli_client_setup *setup)
{
    TRY(check_file(setup->authorities));
    TRY(check(curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2)));
    TRY(check(curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L)));
    TRY(check(curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L)));
    TRY(check(curl_easy_setopt(curl, CURLOPT_CAINFO, setup->authorities)));
    TRY(check(curl_easy_setopt(curl, CURLOPT_CAPATH, NULL)));
    if (setup->certificate == NULL)
        return RC_OK;
    TRY(check_file(setup->certificate));
    TRY(check_file(setup->key));
    TRY(check(curl_easy_setopt(curl, CURLOPT_SSLCERT, setup->certificate)));
    return check(curl_easy_setopt(curl, CURLOPT_SSLKEY, setup->key));
}

/* Nothing of the environment or of the answer leads anywhere else. */
static enum rc set_bounds(CURL *curl)
{
    TRY(check(curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https")));
    TRY(check(curl_easy_setopt(curl, CURLOPT_PROXY, "")));
    TRY(check(curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED)));
    TRY(check(curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L)));
    TRY(check(curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L)));
    TRY(check(curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS)));
    TRY(check(curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)ANSWER_MS)));
    return check(curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1));
}

/* ---- Which door is it? ---- */

static enum rc check_uri(const struct cli_client *client, struct bytes der)
{
    struct pki_certificate certificate;
    struct bytes uri, prefix = BYTES(PKI_DOOR_URI);

    TRY(pki_certificate_read(der, &certificate));
    if (!pki_certificate_uri(&certificate, &uri) || !bytes_start_with(uri, prefix) ||
        !text_is_printable(uri))
        return fault(RC_DENIED, "its certificate does not say which door it is");
    struct bytes name = { uri.at + prefix.len, uri.len - prefix.len };
    if (!bytes_equal_text(name, client->door))
        return fault(RC_DENIED, "this is the %.*s, not the %s", BYTES_FMT(name), client->door);
    return RC_OK;
}

/* The first in the chain is the server's own, verified by now. */
static enum rc check_door(const struct cli_client *client)
{
    static const char PREFIX[] = "Cert:";
    struct curl_certinfo *told = NULL;
    AUTO_BUF(der, PKI_CERTIFICATE_MAX);

    TRY(check(curl_easy_getinfo(client->curl, CURLINFO_CERTINFO, &told)));
    if (told == NULL || told->num_of_certs == 0)
        return fault(RC_DENIED, "it showed no certificate");
    for (const struct curl_slist *at = told->certinfo[0]; at != NULL; at = at->next) {
        if (strncmp(at->data, PREFIX, sizeof PREFIX - 1) != 0)
            continue;
        struct bytes pem = bytes_of_text(at->data + sizeof PREFIX - 1);
        TRY(pki_pem_next(&pem, "CERTIFICATE", &der));
        return check_uri(client, buf_bytes(&der));
    }
    return fault(RC_DENIED, "libcurl does not show its certificate");
}

/* Once there is a connection, before anything is sent over it. */
static int before_request(void *with, char *, char *, int, int)
{
    struct cli_client *client = with;
    long fresh = 1;

    enum rc rc = check(curl_easy_getinfo(client->curl, CURLINFO_NUM_CONNECTS, &fresh));
    if (rc == RC_OK && (fresh > 0 || !client->is_door))
        rc = check_door(client);
    client->is_door = rc == RC_OK;
    if (rc == RC_OK)
        return CURL_PREREQFUNC_OK;
    memset(client->refused, 0, sizeof client->refused);
    memcpy(client->refused, fault_text(), strnlen(fault_text(), sizeof client->refused - 1));
    return CURL_PREREQFUNC_ABORT;
}

static enum rc set_door(struct cli_client *client)
{
    if (client->door == NULL)
        return RC_OK;
    TRY(check(curl_easy_setopt(client->curl, CURLOPT_CERTINFO, 1L)));
    TRY(check(curl_easy_setopt(client->curl, CURLOPT_PREREQDATA, client)));
    return check(curl_easy_setopt(client->curl, CURLOPT_PREREQFUNCTION, before_request));
}

enum rc cli_client_open(const struct cli_client_setup *setup, struct cli_client **client)
{
    AUTO_OF(cli_client) *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "client");
    (void)unsetenv("SSLKEYLOGFILE"); /* libcurl writes the sessions' keys where it says */
    made->server = strdup(setup->server);
    made->curl = curl_easy_init();
    if (made->curl == NULL || made->server == NULL)
        return fault(RC_NOMEM, "client");
    TRY(check(curl_easy_setopt(made->curl, CURLOPT_ERRORBUFFER, made->error)));
    TRY(set_bounds(made->curl));
    TRY(set_trust(made->curl, setup));
    made->door = setup->door;
    TRY(set_door(made));
    *client = TAKE(made);
    return RC_OK;
}

void cli_client_close(struct cli_client *client)
{
    if (client == NULL)
        return;
    curl_easy_cleanup(client->curl);
    free(client->server);
    free(client);
}

static size_t take_body(char *at, size_t size, size_t count, void *with)
{
    struct buf *body = with;

    buf_add(body, (struct bytes){ (const uint8_t *)at, size * count });
    return body->broken ? 0 : size * count;
}

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The value of this header, without the white space around it. */
static bool header_is(struct bytes line, const char *name, struct bytes *value)
{
    size_t len = strlen(name);

    if (line.len <= len || line.at[len] != ':' ||
        strncasecmp((const char *)line.at, name, len) != 0)
        return false;
    *value = (struct bytes){ line.at + len + 1, line.len - len - 1 };
    while (value->len > 0 && is_space(value->at[0]))
        *value = (struct bytes){ value->at + 1, value->len - 1 };
    while (value->len > 0 && is_space(value->at[value->len - 1]))
        value->len--;
    return true;
}

static void keep_text(char *to, size_t room, struct bytes value)
{
    if (value.len < room && text_is_printable(value)) {
        memcpy(to, value.at, value.len);
        to[value.len] = '\0';
    }
}

static size_t take_header(char *at, size_t size, size_t count, void *with)
{
    struct cli_client_answer *answer = with;
    struct bytes line = { (const uint8_t *)at, size * count }, value;
    uint64_t seconds = 0;

    if (header_is(line, "X-Request-Id", &value))
        keep_text(answer->request, sizeof answer->request, value);
    else if (header_is(line, "Content-Type", &value))
        keep_text(answer->content_type, sizeof answer->content_type, value);
    else if (header_is(line, "Retry-After", &value) &&
             text_read_u64(value, 86400, &seconds) == RC_OK)
        answer->retry_after_s = (unsigned)seconds;
    return size * count;
}

static enum rc add_header(curl_headers **headers, const char *name, const char *value)
{
    AUTO_BUF(line, 512);
    const char *text = NULL;

    buf_addf(&line, "%s: %s", name, value);
    TRY(buf_text(&line, &text));
    curl_headers *more = curl_slist_append(*headers, text);
    if (more == NULL)
        return fault(RC_NOMEM, "header");
    *headers = more;
    return RC_OK;
}

static enum rc set_body(CURL *curl, const struct cli_client_question *question,
                        curl_headers **headers)
{
    bool get = strcmp(question->method, "GET") == 0;

    TRY(check(curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L)));
    if (get)
        return RC_OK;
    TRY(check(curl_easy_setopt(curl, CURLOPT_POST, 1L)));
    TRY(check(curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, question->method)));
    TRY(check(
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)question->body.len)));
    TRY(check(
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS,
                         question->body.at != NULL ? (const char *)question->body.at : "")));
    TRY(add_header(headers, "Expect", ""));
    return question->content_type == NULL
               ? RC_OK
               : add_header(headers, "Content-Type", question->content_type);
}

/* libcurl splits at the first colon, as RFC 7617 2 says. */
static enum rc set_credentials(CURL *curl, const struct secret *credentials)
{
    char text[SECRET_MAX + 1] = "";

    if (credentials == NULL)
        return check(curl_easy_setopt(curl, CURLOPT_USERPWD, NULL));
    memcpy(text, credentials->at, credentials->len);
    CURLcode code = curl_easy_setopt(curl, CURLOPT_USERPWD, text);
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
    explicit_bzero(text, sizeof text);
    return check(code);
}

/* libcurl has one code for what TLS refuses and for a connection that ended or broke while it
 * was being set up: its own words (7.88) tell them apart. */
static bool is_lost(const char *why)
{
    static const char *const WORDS[] = { "SSL_connect: ", "unexpected eof",
                                         "Recv failure: ", "Send failure: " };

    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++)
        if (strstr(why, WORDS[i]) != NULL)
            return true;
    return false;
}

static enum rc tell_failure(const struct cli_client *client, CURLcode code,
                            const struct buf *body)
{
    const char *why = client->error[0] != '\0' ? client->error : curl_easy_strerror(code);

    if (body->broken)
        return fault(RC_LIMIT, "%s: an answer of more than %zu bytes", client->server,
                     body->max);
    switch ((int)code) {
    case CURLE_ABORTED_BY_CALLBACK:
        return fault(RC_DENIED, "%s: %s", client->server, client->refused);
    case CURLE_PEER_FAILED_VERIFICATION:
        return fault(RC_DENIED, "%s: its certificate is not one of our doors': %s",
                     client->server, why);
    case CURLE_SSL_CERTPROBLEM:
        return fault(RC_MALFORMED, "certificate or key: %s", why);
    case CURLE_SSL_CACERT_BADFILE:
        return fault(RC_MALFORMED, "authorities: %s", why);
    case CURLE_SSL_CONNECT_ERROR:
        if (is_lost(why))
            break;
        return fault(RC_DENIED, "%s: TLS: %s", client->server, why);
    /* With TLS 1.3 a refused client certificate shows at the first read. */
    case CURLE_RECV_ERROR:
        if (strstr(why, "alert") != NULL)
            return fault(RC_DENIED, "%s refused our certificate: %s", client->server, why);
        break;
    default:
        break;
    }
    return fault(RC_BUSY, "%s is not reachable now: %s", client->server, why);
}

static enum rc perform(struct cli_client *client, struct cli_client_answer *answer,
                       struct buf *body)
{
    long status = 0;

    client->error[0] = '\0';
    CURLcode code = curl_easy_perform(client->curl);
    if (code != CURLE_OK)
        return tell_failure(client, code, body);
    TRY(check(curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status)));
    answer->status = (unsigned)status;
    return RC_OK;
}

enum rc cli_client_ask(struct cli_client *client, const struct cli_client_question *question,
                       struct cli_client_answer *answer, struct buf *body)
{
    AUTO(curl_headers) *headers = NULL;
    AUTO_BUF(url, URL_MAX);
    const char *text = NULL;
    CURL *curl = client->curl;

    *answer = (struct cli_client_answer){ 0 };
    buf_addf(&url, "%s%s", client->server, question->path);
    TRY(buf_text(&url, &text));
    TRY(check(curl_easy_setopt(curl, CURLOPT_URL, text)));
    TRY(check(curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, NULL)));
    TRY(set_body(curl, question, &headers));
    TRY(set_credentials(curl, question->credentials));
    TRY(check(curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers)));
    TRY(check(curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body)));
    TRY(check(curl_easy_setopt(curl, CURLOPT_WRITEDATA, body)));
    TRY(check(curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header)));
    TRY(check(curl_easy_setopt(curl, CURLOPT_HEADERDATA, answer)));
    enum rc rc = perform(client, answer, body);
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, NULL); /* they end with this function */
    return rc;
}

const char *cli_client_versions(void)
{
    return curl_version();
}
