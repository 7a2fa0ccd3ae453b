#include "integration/post.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

enum { BODY_MAX = 64 * 1024 };

struct integration_post {
    struct integration_post_setup setup;
    char *url;
    CURLM *multi;
    CURL *curl;
    struct curl_slist *headers, *places;
    struct loop_watch watch; /* of the one connection */
    struct loop_timer timer;
    struct buf body, answer;
    bool too_long, sending;
    char error[CURL_ERROR_SIZE];
};

/* ---- libcurl in our loop ---- */

static enum rc result_of(struct integration_post *post, CURLcode code)
{
    if (code == CURLE_OK)
        return RC_OK;
    if (post->too_long)
        return fault(RC_LIMIT, "%s: an answer of more than %zu octets", post->url,
                     post->setup.answer_max);
    return fault(RC_IO, "%s: %s", post->url,
                 post->error[0] != '\0' ? post->error : curl_easy_strerror(code));
}

static void tell(struct integration_post *post, CURLcode code)
{
    struct integration_post_answer answer = { .type = "" };
    const char *type = NULL;
    long status = 0;

    answer.rc = result_of(post, code);
    if (answer.rc == RC_OK) {
        (void)curl_easy_getinfo(post->curl, CURLINFO_RESPONSE_CODE, &status);
        (void)curl_easy_getinfo(post->curl, CURLINFO_CONTENT_TYPE, &type);
        answer.status = (unsigned)status;
        answer.type = type == NULL ? "" : type;
        answer.body = buf_bytes(&post->answer);
    }
    post->setup.done(post->setup.with, &answer);
}

static enum rc act(struct integration_post *post, curl_socket_t socket, int ready)
{
    const CURLMsg *message;
    int running = 0, left = 0;

    if (curl_multi_socket_action(post->multi, socket, ready, &running) != CURLM_OK)
        return fault(RC_IO, "libcurl does not run");
    while ((message = curl_multi_info_read(post->multi, &left)) != NULL)
        if (message->msg == CURLMSG_DONE) {
            CURLcode code = message->data.result; /* the message goes with the handle */
            curl_multi_remove_handle(post->multi, post->curl);
            post->sending = false;
            tell(post, code);
            return RC_OK; /* there is one handle */
        }
    return RC_OK;
}

static enum rc is_ready(struct loop_watch *watch, unsigned ready)
{
    struct integration_post *post =
        (void *)((char *)watch - offsetof(struct integration_post, watch));

    return act(post, watch->fd,
               (ready & LOOP_READ ? CURL_CSELECT_IN : 0) |
                   (ready & LOOP_WRITE ? CURL_CSELECT_OUT : 0));
}

static enum rc is_due(struct loop_timer *timer)
{
    return act((void *)((char *)timer - offsetof(struct integration_post, timer)),
               CURL_SOCKET_TIMEOUT, 0);
}

static int on_socket(CURL *curl, curl_socket_t socket, int what, void *with, void *of_socket)
{
    struct integration_post *post = with;
    unsigned wanted =
        (what & CURL_POLL_IN ? LOOP_READ : 0U) | (what & CURL_POLL_OUT ? LOOP_WRITE : 0U);

    (void)curl;
    (void)of_socket;
    if (what == CURL_POLL_REMOVE) {
        if (post->watch.loop != NULL && post->watch.fd == socket)
            loop_remove(&post->watch);
        return 0;
    }
    if (post->watch.loop == NULL)
        return loop_add(post->setup.loop, &post->watch, socket, wanted) == RC_OK ? 0 : -1;
    return post->watch.fd == socket && loop_want(&post->watch, wanted) == RC_OK ? 0 : -1;
}

static int on_timer(CURLM *multi, long delay_ms, void *with)
{
    struct integration_post *post = with;

    (void)multi;
    if (delay_ms < 0) {
        loop_disarm(&post->timer);
        return 0;
    }
    return loop_arm(post->setup.loop, &post->timer, delay_ms) == RC_OK ? 0 : -1;
}

static size_t on_body(char *at, size_t one, size_t len, void *with)
{
    struct integration_post *post = with;

    (void)one; /* always 1 */
    buf_add(&post->answer, (struct bytes){ (const uint8_t *)at, len });
    post->too_long = post->answer.broken;
    return post->too_long ? CURL_WRITEFUNC_ERROR : len;
}

/* ---- Life ---- */

/* Every option is one that libcurl 7.88 has: a refusal is lack of memory. */
static enum rc check(CURLcode code)
{
    return code == CURLE_OK ? RC_OK : fault(RC_NOMEM, "libcurl: %s", curl_easy_strerror(code));
}

/* Nothing of the environment or of the answer leads anywhere else. */
static enum rc set_bounds(CURL *curl, bool tls)
{
    TRY(check(curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, tls ? "https" : "http")));
    TRY(check(curl_easy_setopt(curl, CURLOPT_PROXY, "")));
    TRY(check(curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L)));
    TRY(check(curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L)));
    TRY(check(curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L)));
    TRY(check(curl_easy_setopt(curl, CURLOPT_USERAGENT, "touchmark")));
    return check(curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1));
}

/* libcurl is about to connect. It looks at the name itself, too. */
static CURLcode on_tls(CURL *curl, void *context, void *with)
{
    const struct integration_post *post = with;

    (void)curl;
    return integration_tls_identity_lend(post->setup.identity, context) == RC_OK
               ? CURLE_OK
               : CURLE_OUT_OF_MEMORY;
}

/* No authorities but the identity's: none of a file that this machine trusts. */
static enum rc set_tls(struct integration_post *post)
{
    CURL *curl = post->curl;

    if (post->setup.identity == NULL)
        return RC_OK;
    TRY(check(curl_easy_setopt(curl, CURLOPT_CAINFO, NULL)));
    TRY(check(curl_easy_setopt(curl, CURLOPT_CAPATH, NULL)));
    TRY(check(curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L)));
    TRY(check(curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L)));
    TRY(check(curl_easy_setopt(curl, CURLOPT_SSL_SESSIONID_CACHE, 0L)));
    TRY(check(curl_easy_setopt(curl, CURLOPT_SSL_CTX_FUNCTION, on_tls)));
    return check(curl_easy_setopt(curl, CURLOPT_SSL_CTX_DATA, post));
}

static enum rc set_place(struct integration_post *post)
{
    AUTO_BUF(line, 256);
    const char *text = NULL;

    if (post->setup.connect_to == NULL)
        return RC_OK;
    buf_addf(&line, "::%s", post->setup.connect_to); /* whatever host and port */
    TRY(buf_text(&line, &text));
    post->places = curl_slist_append(NULL, text);
    if (post->places == NULL)
        return fault(RC_NOMEM, "libcurl");
    return check(curl_easy_setopt(post->curl, CURLOPT_CONNECT_TO, post->places));
}

static enum rc add_header(struct integration_post *post, const char *name, const char *value)
{
    AUTO_BUF(line, 256);
    const char *text = NULL;

    buf_addf(&line, "%s:%s%s", name, *value == '\0' ? "" : " ", value);
    TRY(buf_text(&line, &text));
    struct curl_slist *more = curl_slist_append(post->headers, text);
    if (more == NULL)
        return fault(RC_NOMEM, "HTTP headers");
    post->headers = more;
    return RC_OK;
}

static enum rc set_request(struct integration_post *post)
{
    CURL *curl = post->curl;
    const struct integration_post_setup *setup = &post->setup;

    TRY(add_header(post, "Content-Type", setup->type));
    TRY(add_header(post, "Expect", "")); /* none: the body comes at once */
    TRY(check(curl_easy_setopt(curl, CURLOPT_URL, post->url)));
    TRY(check(curl_easy_setopt(curl, CURLOPT_HTTPHEADER, post->headers)));
    TRY(check(curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)setup->connect_ms)));
    TRY(check(curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)setup->whole_ms)));
    TRY(check(curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, post->error)));
    TRY(check(curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body)));
    return check(curl_easy_setopt(curl, CURLOPT_WRITEDATA, post));
}

static enum rc set_loop(struct integration_post *post)
{
    CURLM *multi = post->multi;

    post->watch.ready = is_ready;
    post->timer.due = is_due;
    if (curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket) != CURLM_OK ||
        curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, post) != CURLM_OK ||
        curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer) != CURLM_OK ||
        curl_multi_setopt(multi, CURLMOPT_TIMERDATA, post) != CURLM_OK)
        return fault(RC_NOMEM, "libcurl in a loop");
    return RC_OK;
}

enum rc integration_post_new(const struct integration_post_setup *setup,
                             struct integration_post **post)
{
    AUTO_OF(integration_post) *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "HTTP");
    made->setup = *setup;
    made->body = BUF_MAX(BODY_MAX);
    made->answer = BUF_MAX(setup->answer_max);
    made->url = strdup(setup->url);
    made->curl = curl_easy_init();
    made->multi = curl_multi_init();
    if (made->url == NULL || made->curl == NULL || made->multi == NULL)
        return fault(RC_NOMEM, "libcurl");
    TRY(set_bounds(made->curl, setup->identity != NULL));
    TRY(set_tls(made));
    TRY(set_place(made));
    TRY(set_request(made));
    TRY(set_loop(made));
    *post = TAKE(made);
    return RC_OK;
}

void integration_post_free(struct integration_post *post)
{
    if (post == NULL)
        return;
    if (post->sending)
        curl_multi_remove_handle(post->multi, post->curl);
    curl_easy_cleanup(post->curl);
    curl_multi_cleanup(post->multi);
    loop_remove(&post->watch);
    loop_disarm(&post->timer);
    curl_slist_free_all(post->headers);
    curl_slist_free_all(post->places);
    free(post->url);
    buf_clear(&post->body);
    buf_clear(&post->answer);
    free(post);
}

enum rc integration_post_send(struct integration_post *post, struct bytes body)
{
    struct bytes kept;

    buf_reset(&post->body);
    buf_reset(&post->answer);
    post->too_long = false;
    post->error[0] = '\0';
    buf_add(&post->body, body);
    TRY(buf_done(&post->body, &kept));
    TRY(check(curl_easy_setopt(post->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)kept.len)));
    TRY(check(curl_easy_setopt(post->curl, CURLOPT_POSTFIELDS, (const char *)kept.at)));
    if (curl_multi_add_handle(post->multi, post->curl) != CURLM_OK)
        return fault(RC_NOMEM, "libcurl");
    post->sending = true;
    return RC_OK;
}
