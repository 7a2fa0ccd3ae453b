#include "tests/support/check.h"

#include <string.h>

#include "keys/entry.h"
#include "keys/protocol.h"

static struct keys_ask example(size_t count)
{
    struct keys_ask ask = { .correlation = { 1, 2, 3 }, .key = "devices", .count = count };

    for (size_t i = 0; i < count && i < KEYS_ITEMS_MAX; i++)
        ask.items[i] = BYTES("to be signed");
    return ask;
}

static void an_ask_is_read_as_written_at_each_bound(void **state)
{
    static const struct {
        enum keys_request request;
        size_t count, proof;
        enum rc rc;
    } ROWS[] = {
        { KEYS_ASK_CERTIFICATES, 0, 0, RC_LIMIT }, { KEYS_ASK_CERTIFICATES, 1, 0, RC_OK },
        { KEYS_ASK_CERTIFICATES, 1, 1, RC_LIMIT }, { KEYS_ASK_BATCH, 16, 0, RC_OK },
        { KEYS_ASK_BATCH, 17, 0, RC_LIMIT },       { KEYS_ASK_CHECKPOINT, 1, 0, RC_OK },
        { KEYS_ASK_CHECKPOINT, 1, 64, RC_OK },     { KEYS_ASK_CHECKPOINT, 1, 65, RC_LIMIT },
        { KEYS_ASK_CHECKPOINT, 2, 0, RC_LIMIT },
    };

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        AUTO_BUF(body, LINK_BODY_MAX);
        struct keys_ask ask = example(ROWS[i].count), read;

        ask.proof_count = ROWS[i].proof;
        assert_int_equal(keys_protocol_write_ask(ROWS[i].request, &ask, &body), ROWS[i].rc);
        if (ROWS[i].rc != RC_OK)
            continue;
        assert_int_equal(keys_protocol_read_ask(ROWS[i].request, buf_bytes(&body), &read),
                         RC_OK);
        assert_string_equal(read.key, "devices");
        assert_memory_equal(read.correlation, ask.correlation, sizeof ask.correlation);
        assert_int_equal(read.count, ask.count);
        assert_int_equal(read.proof_count, ask.proof_count);
        assert_true(bytes_equal(read.items[read.count - 1], BYTES("to be signed")));
    }
}

static void a_crl_is_a_length_and_nothing_else(void **state)
{
    static const struct {
        struct keys_ask ask;
        enum rc rc;
    } ROWS[] = {
        { { .key = "devices", .sealed = 0 }, RC_LIMIT },
        { { .key = "devices", .sealed = 1 }, RC_OK },
        { { .key = "devices", .sealed = KEYS_CRL_MAX }, RC_OK },
        { { .key = "devices", .sealed = KEYS_CRL_MAX + 1 }, RC_LIMIT },
        { { .key = "devices", .sealed = 1, .count = 1 }, RC_LIMIT },
        { { .key = "devices", .sealed = 1, .proof_count = 1 }, RC_LIMIT },
    };

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        AUTO_BUF(body, LINK_BODY_MAX);
        struct keys_ask read;

        assert_int_equal(keys_protocol_write_ask(KEYS_ASK_CRL, &ROWS[i].ask, &body),
                         ROWS[i].rc);
        if (ROWS[i].rc != RC_OK)
            continue;
        assert_int_equal(keys_protocol_read_ask(KEYS_ASK_CRL, buf_bytes(&body), &read), RC_OK);
        assert_int_equal(read.sealed, ROWS[i].ask.sealed);
        assert_int_equal(read.count, 0);
        assert_string_equal(read.key, "devices");
    }
}

static void every_truncation_of_every_message_is_refused(void **state)
{
    AUTO_BUF(ask_body, LINK_BODY_MAX);
    AUTO_BUF(work_body, LINK_BODY_MAX);
    AUTO_BUF(results_body, LINK_BODY_MAX);
    AUTO_BUF(answers_body, LINK_BODY_MAX);
    struct keys_ask ask = example(2), ask_read;
    struct keys_work work = { .kind = KEYS_CERTIFICATE, .ask = ask }, work_read;
    struct keys_results results = { .count = 2,
                                    .at = { { .rc = RC_OK, .signature = BYTES("0123456789") },
                                            { .rc = RC_DENIED, .text = BYTES("no") } } };
    struct keys_answers answers = { .count = 2,
                                    .at = { { .rc = RC_OK, .signature = BYTES("0123456789") },
                                            { .rc = RC_DENIED, .text = BYTES("no") } } };

    (void)state;
    assert_int_equal(keys_protocol_write_ask(KEYS_ASK_BATCH, &ask, &ask_body), RC_OK);
    for (size_t len = 0; len < ask_body.len; len++)
        assert_int_equal(keys_protocol_read_ask(KEYS_ASK_BATCH,
                                                (struct bytes){ ask_body.at, len }, &ask_read),
                         RC_MALFORMED);
    struct keys_ask crl = { .key = "devices", .sealed = 70000 };
    AUTO_BUF(crl_body, LINK_BODY_MAX);
    assert_int_equal(keys_protocol_write_ask(KEYS_ASK_CRL, &crl, &crl_body), RC_OK);
    for (size_t len = 0; len < crl_body.len; len++)
        assert_int_equal(
            keys_protocol_read_ask(KEYS_ASK_CRL, (struct bytes){ crl_body.at, len }, &ask_read),
            RC_MALFORMED);
    assert_int_equal(keys_protocol_write_work(&work, &work_body), RC_OK);
    for (size_t len = 0; len < work_body.len; len++)
        assert_int_equal(
            keys_protocol_read_work((struct bytes){ work_body.at, len }, &work_read),
            RC_MALFORMED);
    assert_int_equal(keys_protocol_write_results(&results, &results_body), RC_OK);
    for (size_t len = 0; len < results_body.len; len++)
        assert_int_equal(
            keys_protocol_read_results((struct bytes){ results_body.at, len }, &results),
            RC_MALFORMED);
    assert_int_equal(keys_protocol_write_answers(&answers, &answers_body), RC_OK);
    for (size_t len = 0; len < answers_body.len; len++)
        assert_int_equal(
            keys_protocol_read_answers((struct bytes){ answers_body.at, len }, &answers),
            RC_MALFORMED);
}

static void a_workers_signature_and_serial_have_their_bounds(void **state)
{
    static const struct {
        size_t signature, serial;
        enum rc rc;
    } ROWS[] = {
        { 0, 16, RC_MALFORMED },  { 1, 0, RC_OK },          { 72, 20, RC_OK },
        { 73, 20, RC_MALFORMED }, { 72, 21, RC_MALFORMED },
    };
    static const uint8_t MANY[128];

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        AUTO_BUF(body, 512);
        struct keys_results read;

        buf_add_u8(&body, 1);
        buf_add_u8(&body, RC_OK);
        buf_add_sized16(&body, (struct bytes){ MANY, ROWS[i].signature });
        buf_add_u8(&body, (uint8_t)ROWS[i].serial);
        buf_add(&body, (struct bytes){ MANY, ROWS[i].serial });
        buf_add(&body, (struct bytes){ MANY, 32 + 8 + 8 + 8 + 8 + 32 });
        assert_int_equal(keys_protocol_read_results(buf_bytes(&body), &read), ROWS[i].rc);
    }
}

static void a_reason_is_cut_to_its_bound(void **state)
{
    static uint8_t text[1000];
    AUTO_BUF(body, LINK_BODY_MAX);
    struct keys_answers answers = { .count = 1,
                                    .at = { { .rc = RC_DENIED, .text = BYTES_OF(text) } } };

    (void)state;
    memset(text, 'x', sizeof text);
    assert_int_equal(keys_protocol_write_answers(&answers, &body), RC_OK);
    assert_int_equal(keys_protocol_read_answers(buf_bytes(&body), &answers), RC_OK);
    assert_int_equal(answers.at[0].text.len, KEYS_TEXT_MAX);
}

static void a_foreign_journal_entry_is_corrupt(void **state)
{
    struct keys_entry entry = { .key = "untouched" };

    (void)state;
    for (uint16_t kind = 0; kind < 6; kind++)
        assert_int_equal(keys_entry_read(kind, BYTES("\x01x"), &entry), RC_CORRUPT);
    assert_string_equal(entry.key, "untouched");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ask_is_read_as_written_at_each_bound),
        cmocka_unit_test(a_crl_is_a_length_and_nothing_else),
        cmocka_unit_test(every_truncation_of_every_message_is_refused),
        cmocka_unit_test(a_workers_signature_and_serial_have_their_bounds),
        cmocka_unit_test(a_reason_is_cut_to_its_bound),
        cmocka_unit_test(a_foreign_journal_entry_is_corrupt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
