/* Enrolment over Secure Transport: RFC 7030 with the corrections of RFC 8951. What is served,
 * and to which client how: docs/protocol/est.md. */
#include "api/handlers.h"

#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "pki/certificate.h"
#include "pki/est_body.h"
#include "pki/request.h"

enum { CA_MAX = 8, CMS_MAX = 64 * 1024, BASIC_MAX = 512 };

static enum rc answer_certificates(struct api_request *request, const struct bytes *list,
                                   size_t count)
{
    AUTO_BUF(der, CMS_MAX);
    AUTO_BUF(body, 2 * CMS_MAX);

    TRY(pki_est_body_write_certificates(&der, list, count));
    pki_est_body_write(&body, buf_bytes(&der),
                       pki_est_body_form(api_request_header(request, "User-Agent")));
    api_answer_bytes(&request->answer, 200,
                     request->route->method[0] == 'G'
                         ? "application/pkcs7-mime"
                         : "application/pkcs7-mime; smime-type=certs-only",
                     buf_bytes(&body));
    api_answer_header(&request->answer, "Content-Transfer-Encoding", "base64");
    return RC_OK;
}

enum rc api_est_cacerts(struct api_request *request)
{
    struct reader left = READER(
        registry_projection_authorities(broker_front_projection(request->api->setup.front)));
    struct bytes list[CA_MAX];
    size_t count = 0;

    while (!reader_done(&left)) {
        if (count == CA_MAX)
            return fault(RC_CORRUPT, "more than %d CA certificates", CA_MAX);
        list[count++] = reader_sized32(&left, PKI_CERTIFICATE_MAX);
        if (left.broken)
            return fault(RC_CORRUPT, "the projection's CA certificates break their form");
    }
    if (count == 0)
        return fault(RC_BUSY, "no CA certificate is known yet");
    return answer_certificates(request, list, count);
}

/* ---- RFC 7030 3.5: the request is bound to the channel that it came through ---- */

static bool mentions_challenge(struct bytes der)
{
    /* challengePassword, 1.2.840.113549.1.9.7, as an element: without these octets there is no
     * such attribute, and the request need not be read here as well. */
    static const uint8_t OID[] = { 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 7 };

    return der.len >= sizeof OID && memmem(der.at, der.len, OID, sizeof OID) != NULL;
}

static enum rc check_binding(struct api_request *request, struct bytes der)
{
    const struct broker_peer *peer = &request->peer;
    struct pki_request csr;
    AUTO_BUF(wanted, 2 * BROKER_BINDING_MAX);

    if (!mentions_challenge(der))
        return RC_OK;
    TRY(pki_request_read(request->api->verifier, der, &csr));
    if (csr.challenge.len == 0)
        return RC_OK;
    if (peer->binding_len == 0)
        return fault(RC_DENIED, "RFC 7030 3.5: a binding in the request, and this channel has "
                                "none");
    text_add_base64(&wanted, (struct bytes){ peer->binding, peer->binding_len });
    if (!bytes_equal_secret(csr.challenge, buf_bytes(&wanted)))
        return fault(RC_DENIED, "RFC 7030 3.5: the request is bound to another channel");
    return RC_OK;
}

/* ---- Enrolling ---- */

/* RFC 7617. An Authorization of another scheme is none. */
static enum rc read_basic(const struct api_request *request, struct buf *room,
                          struct registry_question *question)
{
    struct bytes header = api_request_header(request, "Authorization");

    if (header.len < 6 || strncasecmp((const char *)header.at, "Basic ", 6) != 0)
        return fault(RC_DENIED, "RFC 7030 3.2.3: Authorization is not Basic");
    if (text_read_base64((struct bytes){ header.at + 6, header.len - 6 }, room) != RC_OK ||
        room->broken)
        return fault(RC_DENIED, "RFC 7617 2: the credentials are not base64, or too long");
    const uint8_t *colon = room->len == 0 ? NULL : memchr(room->at, ':', room->len);
    if (colon == NULL)
        return fault(RC_DENIED, "RFC 7617 2: no colon in the credentials");
    size_t len = (size_t)(colon - room->at);
    question->token_id = (struct bytes){ room->at, len };
    question->token_secret = (struct bytes){ colon + 1, room->len - len - 1 };
    if (len == 0 || len > REGISTRY_TOKEN_ID_MAX || question->token_secret.len == 0 ||
        question->token_secret.len > SECRET_MAX)
        return fault(RC_DENIED, "no token looks like these credentials");
    return RC_OK;
}

static void count_end(struct api_request *request, enum rc rc)
{
    enum api_throttle_end end = API_THROTTLE_UNDECIDED;

    if (!request->counted)
        return;
    request->counted = false;
    if (rc == RC_OK)
        end = API_THROTTLE_GOOD;
    else if (rc == RC_DENIED)
        end = API_THROTTLE_BAD;
    api_throttle_end(request->api->throttle, request->peer.address,
                     loop_now_ms(request->api->setup.loop), end);
}

/* Where the audit log says so: what to ask a proof for (docs/protocol/est.md). */
static void say_index(struct api_request *request, uint64_t index)
{
    AUTO_BUF(number, 32);
    const char *text = NULL;

    buf_addf(&number, "%llu", (unsigned long long)index);
    if (buf_text(&number, &text) == RC_OK)
        api_answer_header(&request->answer, "Log-Index", text);
}

static void enrolled(void *with, enum rc rc, const struct registry_answer *answer,
                     struct bytes reason)
{
    struct api_request *request = with;
    bool token = request->counted, by_policy = registry_is_policy_denial(rc, reason);

    /* Also of a peer that did not wait for the answer; a policy judges good tokens only. */
    count_end(request, by_policy ? RC_BUSY : rc);
    if (!api_request_resume(request))
        return;
    if (rc != RC_OK) {
        /* RFC 9110 11.6.1: credentials that are no good. The authority has recorded why. */
        if (token && rc == RC_DENIED && !by_policy)
            api_request_refuse_as(request, 401, rc, reason);
        else
            api_request_refuse(request, rc, reason);
        return;
    }
    rc = answer_certificates(request, &answer->der, 1);
    if (rc != RC_OK)
        api_request_fail(request, rc);
    else if (answer->log_number > 0)
        say_index(request, answer->log_number - 1);
}

static enum rc read_body(struct api_request *request)
{
    struct api_input *input = &request->input;

    input->der.max = REGISTRY_CSR_MAX;
    TRY(pki_est_body_read(buf_bytes(&request->body), &input->der));
    TRY(buf_done(&input->der, &input->question.der));
    return check_binding(request, input->question.der);
}

static enum rc enrol_with_token(struct api_request *request)
{
    AUTO_BUF(room, BASIC_MAX);
    struct registry_question *question = &request->input.question;

    enum rc rc = api_throttle_begin(request->api->throttle, request->peer.address,
                                    loop_now_ms(request->api->setup.loop));
    TRY(rc);
    request->counted = true;
    rc = read_basic(request, &room, question);
    if (rc == RC_DENIED) {
        count_end(request, rc);
        api_request_fail_as(request, 401, rc);
    }
    if (rc == RC_OK)
        rc = read_body(request);
    if (rc == RC_OK)
        rc = api_request_ask_for(request, REGISTRY_ASK_ENROL, enrolled);
    if (rc != RC_OK)
        count_end(request, RC_BUSY);
    /* The question is written by now. */
    question->token_id = question->token_secret = (struct bytes){ 0 };
    if (room.at != NULL)
        explicit_bzero(room.at, room.len);
    return rc;
}

/* By a one-time token; or by an operator's or a line's certificate, and then the request's
 * subject names the device. */
enum rc api_est_enroll(struct api_request *request)
{
    if (api_request_header(request, "Authorization").len > 0)
        return enrol_with_token(request);
    TRY(read_body(request));
    return api_request_ask_for(request, REGISTRY_ASK_ENROL, enrolled);
}

enum rc api_est_reenroll(struct api_request *request)
{
    TRY(read_body(request));
    return api_request_ask_for(request, REGISTRY_ASK_REENROL, enrolled);
}
