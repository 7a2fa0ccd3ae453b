#include "tests/unit/api/world.h"

#include <openssl/x509.h>

#include "base/text.h"
#include "pki/est_body.h"
#include "pki/pem.h"
#include "pki/request.h"

#define EST_TYPE "Content-Type: application/pkcs10\r\n"
/* "tok1:secret" */
#define BASIC "Authorization: Basic dG9rMTpzZWNyZXQ=\r\n"

static int open_devices(void **state)
{
    *state = world_open(REGISTRY_DEVICE_DOOR);
    return 0;
}

static int close_world(void **state)
{
    world_close(*state);
    return 0;
}

static void make_request(const struct soft_key *key, const char *challenge, struct buf *der)
{
    X509_REQ *r = X509_REQ_new();
    unsigned char *at = NULL;

    X509_REQ_set_version(r, 0);
    X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(r), "serialNumber", MBSTRING_ASC,
                               (const unsigned char *)"dev-1", -1, -1, 0);
    X509_REQ_set_pubkey(r, key->key);
    if (challenge != NULL)
        X509_REQ_add1_attr_by_NID(r, NID_pkcs9_challengePassword, MBSTRING_UTF8,
                                  (const unsigned char *)challenge, -1);
    assert_true(X509_REQ_sign(r, key->key, EVP_sha256()) > 0);
    int len = i2d_X509_REQ(r, &at);
    buf_add(der, (struct bytes){ at, (size_t)len });
    OPENSSL_free(at);
    X509_REQ_free(r);
}

static void post(struct world *world, const struct broker_peer *peer, const char *path,
                 const char *headers, struct bytes body, struct reply *reply)
{
    AUTO_BUF(line, 128);
    const char *text = NULL;
    int fd = world_dial_as(world, peer, API_PUBLIC | API_EST);

    buf_addf(&line, "POST /.well-known/est/%s", path);
    assert_int_equal(buf_text(&line, &text), RC_OK);
    world_say(world, fd, text, headers, body, reply);
    close(fd);
}

static void add_base64(struct buf *out, struct bytes der, size_t columns, const char *end)
{
    AUTO_BUF(text, 64 * 1024);

    text_add_base64(&text, der);
    for (size_t at = 0; at < text.len; at += columns) {
        size_t n = text.len - at < columns ? text.len - at : columns;
        buf_add(out, (struct bytes){ text.at + at, n });
        buf_add(out, bytes_of_text(end));
    }
}

static void ca_certificates_are_anybodys(void **state)
{
    static const struct {
        const char *agent;
        bool lines;
    } ROWS[] = { { "", false },
                 { "User-Agent: curl/7.88.1\r\n", false },
                 { "User-Agent: libest 3.2.0p\r\n", true } };
    struct world *world = *state;

    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        AUTO_REPLY(reply);
        AUTO_BUF(der, 64 * 1024);
        AUTO_BUF(wanted, 64 * 1024);
        const struct bytes list[] = { buf_bytes(&world->ca.root_der),
                                      buf_bytes(&world->ca.issuing_der) };
        int fd = world_dial(world, STRANGER, API_PUBLIC | API_EST);
        world_say(world, fd, "GET /.well-known/est/cacerts", ROWS[i].agent, BYTES(""), &reply);
        close(fd);
        assert_int_equal(reply.status, 200);
        assert_true(reply_has(&reply, "Content-Type: application/pkcs7-mime\r\n"));
        assert_true(reply_has(&reply, "Content-Transfer-Encoding: base64\r\n"));
        assert_int_equal(strchr(reply.body, '\n') + 1 != reply.body + reply.body_len,
                         ROWS[i].lines);
        struct bytes body = { (const uint8_t *)reply.body, reply.body_len };
        assert_int_equal(text_read_base64(body, &der), RC_OK);
        assert_int_equal(pki_est_body_write_certificates(&wanted, list, 2), RC_OK);
        assert_true(bytes_equal(buf_bytes(&der), buf_bytes(&wanted)));
    }
    AUTO_REPLY(stray);
    int fd = world_dial(world, STRANGER, API_EST);
    world_say(world, fd, "GET /.well-known/est/cacerts", "", BYTES("stray"), &stray);
    assert_int_equal(stray.status, 200);
    close(fd);
    assert_int_equal(world->asks, 0);
}

static void every_spelling_of_a_body_is_taken(void **state)
{
    struct world *world = *state;
    struct broker_peer peer = world_peer(STRANGER);
    AUTO_BUF(der, 4096);

    make_request(&world->ca.issuing, NULL, &der);
    world->answer.der = buf_bytes(&world->ca.issuing_der);
    for (int form = 0; form < 7; form++) {
        AUTO_BUF(body, 64 * 1024);
        AUTO_REPLY(reply);
        switch (form) {
        case 0:
            add_base64(&body, buf_bytes(&der), SIZE_MAX / 2, "");
            break;
        case 1:
            add_base64(&body, buf_bytes(&der), SIZE_MAX / 2, "\n");
            break;
        case 2:
            add_base64(&body, buf_bytes(&der), 64, "\n");
            break;
        case 3:
            add_base64(&body, buf_bytes(&der), 76, "\r\n");
            break;
        case 4:
            add_base64(&body, buf_bytes(&der), 5, " \t");
            break;
        case 5:
            pki_pem_add(&body, "CERTIFICATE REQUEST", buf_bytes(&der));
            break;
        default:
            pki_pem_add(&body, "NEW CERTIFICATE REQUEST", buf_bytes(&der));
            break;
        }
        post(world, &peer, "simpleenroll",
             form % 2 == 0 ? BASIC EST_TYPE "Content-Transfer-Encoding: base64\r\n"
                           : BASIC EST_TYPE,
             buf_bytes(&body), &reply);
        if (reply.status != 200)
            fail_msg("form %d: %u", form, reply.status);
        assert_true(reply_has(&reply, "Content-Type: application/pkcs7-mime; "
                                      "smime-type=certs-only\r\n"));
        assert_int_equal(world->asked, REGISTRY_ASK_ENROL);
        assert_true(bytes_equal(world->question.der, buf_bytes(&der)));
        assert_true(bytes_equal_text(world->question.token_id, "tok1"));
        assert_true(bytes_equal_text(world->question.token_secret, "secret"));
        assert_false(world->question.preamble.actor.known);
    }
}

static void what_is_no_request_is_refused(void **state)
{
    static const struct {
        const char *headers, *body;
        unsigned status;
    } ROWS[] = {
        { BASIC EST_TYPE, "", 400 },
        { BASIC EST_TYPE, "not base64!", 400 },
        { BASIC EST_TYPE, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
          400 },
        { BASIC "Content-Type: text/plain\r\n", "AAAA", 415 },
        { BASIC, "AAAA", 415 },
        { EST_TYPE, "AAAA", 401 },
        { EST_TYPE "Authorization: Bearer abc\r\n", "AAAA", 401 },
        { EST_TYPE "Authorization: Basic !!!\r\n", "AAAA", 401 },
        { EST_TYPE "Authorization: Basic AAAA\r\n", "AAAA", 401 },
        { EST_TYPE "Authorization: Basic\r\n", "AAAA", 401 },
        { EST_TYPE "Authorization: Basic OnNlY3JldA==\r\n", "AAAA", 401 }, /* ":secret" */
        { EST_TYPE "Authorization: Basic dG9rMTo=\r\n", "AAAA", 401 },     /* "tok1:" */
    };
    struct world *world = *state;
    struct broker_peer peer = world_peer(STRANGER);

    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        AUTO_REPLY(reply);
        post(world, &peer, "simpleenroll", ROWS[i].headers, bytes_of_text(ROWS[i].body),
             &reply);
        if (reply.status != ROWS[i].status)
            fail_msg("%zu: %u", i, reply.status);
        assert_true(reply.status != 401 ||
                    reply_has(&reply, "WWW-Authenticate: Basic realm=\"touchmark\""));
        assert_false(reply_has(&reply, "detail"));
    }
    assert_int_equal(world->asks, 0);
}

static void a_device_renews_with_its_certificate(void **state)
{
    struct world *world = *state;
    struct broker_peer device = world_peer(DEVICE), stranger = world_peer(STRANGER);
    AUTO_BUF(der, 4096);
    AUTO_BUF(body, 8192);
    AUTO_REPLY(yes);
    AUTO_REPLY(no);

    make_request(&world->ca.issuing, NULL, &der);
    add_base64(&body, buf_bytes(&der), 64, "\n");
    world->answer.der = buf_bytes(&world->ca.issuing_der);
    post(world, &device, "simplereenroll", EST_TYPE, buf_bytes(&body), &yes);
    assert_int_equal(yes.status, 200);
    assert_int_equal(world->asked, REGISTRY_ASK_REENROL);
    assert_int_equal(world->question.preamble.actor.fingerprint.at[0], DEVICE);
    /* A token is for the first certificate only. */
    post(world, &stranger, "simplereenroll", BASIC EST_TYPE, buf_bytes(&body), &no);
    assert_int_equal(no.status, 401);
    assert_int_equal(world->asks, 1);
}

static void a_line_enrols_for_a_device(void **state)
{
    struct world *door = *state;
    struct broker_peer line = world_peer(LINE);
    AUTO_BUF(der, 4096);
    AUTO_BUF(body, 8192);
    AUTO_REPLY(no);
    AUTO_REPLY(yes);

    make_request(&door->ca.issuing, NULL, &der);
    add_base64(&body, buf_bytes(&der), 64, "\n");
    door->answer.der = buf_bytes(&door->ca.issuing_der);
    post(door, &line, "simpleenroll", EST_TYPE, buf_bytes(&body), &yes);
    /* The authority takes nobody for a line through the device door; that is its no. */
    assert_int_equal(yes.status, 200);
    assert_int_equal(door->asked, REGISTRY_ASK_ENROL);
    assert_int_equal(door->question.token_id.len, 0);
    struct broker_peer device = world_peer(DEVICE);
    post(door, &device, "simpleenroll", EST_TYPE, buf_bytes(&body), &no);
    assert_int_equal(no.status, 401);
}

static void a_request_is_bound_to_its_channel(void **state)
{
    static const struct {
        const char *challenge;
        size_t binding_len;
        unsigned status;
    } ROWS[] = {
        { "AQIDBAUGBwgJCgsM", 12, 200 },
        { "AQIDBAUGBwgJCgsN", 12, 403 },
        { "AQIDBAUGBwgJCgsM", 11, 403 },
        { "AQIDBAUGBwgJCgsM", 0, 403 },
        { "AQIDBAUGBwgJCgsM=", 12, 403 },
        { NULL, 12, 200 },
        { NULL, 0, 200 },
    };
    struct world *world = *state;

    world->answer.der = buf_bytes(&world->ca.issuing_der);
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct broker_peer device = world_peer(DEVICE);
        AUTO_BUF(der, 4096);
        AUTO_BUF(body, 8192);
        AUTO_REPLY(reply);
        for (size_t n = 0; n < ROWS[i].binding_len; n++)
            device.binding[n] = (uint8_t)(n + 1);
        device.binding_len = ROWS[i].binding_len;
        make_request(&world->ca.issuing, ROWS[i].challenge, &der);
        add_base64(&body, buf_bytes(&der), 64, "\n");
        post(world, &device, "simplereenroll", EST_TYPE, buf_bytes(&body), &reply);
        if (reply.status != ROWS[i].status)
            fail_msg("%zu: %u", i, reply.status);
    }
}

static void guessing_tokens_is_throttled(void **state)
{
    struct world *world = *state;
    struct broker_peer peer = world_peer(STRANGER), neighbour = world_peer(STRANGER);
    AUTO_BUF(der, 4096);
    AUTO_BUF(body, 8192);

    world_copy(neighbour.address, sizeof neighbour.address, "192.0.2.2:55000");
    make_request(&world->ca.issuing, NULL, &der);
    add_base64(&body, buf_bytes(&der), 64, "\n");
    world->says = RC_DENIED;
    for (int i = 0; i < 12; i++) {
        AUTO_REPLY(reply);
        post(world, &peer, "simpleenroll", BASIC EST_TYPE, buf_bytes(&body), &reply);
        assert_int_equal(reply.status, i < 10 ? 401 : 429);
    }
    assert_int_equal(world->asks, 10);
    assert_int_equal(world->refused_status, 429);
    world->says = RC_OK;
    world->answer.der = buf_bytes(&world->ca.issuing_der);
    AUTO_REPLY(other);
    post(world, &neighbour, "simpleenroll", BASIC EST_TYPE, buf_bytes(&body), &other);
    assert_int_equal(other.status, 200);
    world->shift_ms += 61000;
    world_turn(world);
    AUTO_REPLY(later);
    post(world, &peer, "simpleenroll", BASIC EST_TYPE, buf_bytes(&body), &later);
    assert_int_equal(later.status, 200);
}

/* Who does not wait for the answer has tried all the same, and his try has an end. */
static void a_try_that_was_given_up_counts(void **state)
{
    struct world *world = *state;
    struct broker_peer peer = world_peer(STRANGER);
    AUTO_BUF(der, 4096);
    AUTO_BUF(body, 8192);
    AUTO_BUF(sent, 16384);

    make_request(&world->ca.issuing, NULL, &der);
    add_base64(&body, buf_bytes(&der), 64, "\n");
    buf_addf(&sent,
             "POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: door\r\n" BASIC EST_TYPE
             "Content-Length: %zu\r\n\r\n",
             body.len);
    buf_add(&sent, buf_bytes(&body));
    world->says = RC_DENIED;
    world->silent = true;
    for (int i = 0; i < 10; i++) {
        unsigned asks = world->asks;
        int fd = world_dial_as(world, &peer, API_PUBLIC | API_EST);
        assert_int_equal(write(fd, sent.at, sent.len), (ssize_t)sent.len);
        for (int turn = 0; turn < TURNS_MOST && world->asks == asks; turn++)
            world_turn(world);
        assert_int_equal(world->asks, asks + 1);
        close(fd);
        world_turn(world);
        link_answer(&world->kept, RC_DENIED, BYTES(""), -1);
        world->has_kept = false;
        world_turn(world);
    }
    world->silent = false;
    AUTO_REPLY(reply);
    post(world, &peer, "simpleenroll", BASIC EST_TYPE, buf_bytes(&body), &reply);
    assert_int_equal(reply.status, 429);
}

static void a_busy_authority_asks_to_come_again(void **state)
{
    struct world *world = *state;
    struct broker_peer peer = world_peer(STRANGER);
    AUTO_BUF(der, 4096);
    AUTO_BUF(body, 8192);

    make_request(&world->ca.issuing, NULL, &der);
    add_base64(&body, buf_bytes(&der), 64, "\n");
    world->says = RC_BUSY;
    for (int i = 0; i < 15; i++) { /* and counts as no failure */
        AUTO_REPLY(reply);
        post(world, &peer, "simpleenroll", BASIC EST_TYPE, buf_bytes(&body), &reply);
        assert_int_equal(reply.status, 503);
        assert_true(reply_has(&reply, "Retry-After: 2\r\n"));
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_devices, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ca_certificates_are_anybodys),        TEST(every_spelling_of_a_body_is_taken),
        TEST(what_is_no_request_is_refused),       TEST(a_device_renews_with_its_certificate),
        TEST(a_line_enrols_for_a_device),          TEST(a_request_is_bound_to_its_channel),
        TEST(a_try_that_was_given_up_counts),      TEST(guessing_tokens_is_throttled),
        TEST(a_busy_authority_asks_to_come_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
