/* What a hostile authority may ask: each refused with its reason, each in the journal, and the
 * signer goes on. */
#include "tests/support/check.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/file.h"
#include "base/text.h"
#include "keys/entry.h"
#include "keys/memory.h"
#include "tests/support/checkpoint_rows.h"
#include "tests/support/crl_rows.h"
#include "tests/support/hostile.h"
#include "tests/support/link_raw.h"
#include "tests/support/signing.h"

enum { PLENTY = 1000, CRL_ROOM = 8192 };

struct world {
    struct signing signing;
    struct hostile hostile;
};

static void begin(struct world *w)
{
    signing_start(&w->signing);
    memset(&w->hostile, 0, sizeof w->hostile);
    w->hostile.rules = w->signing.rules;
    w->hostile.now_s = TBS_NOW_S;
    w->hostile.socket = w->signing.ask;
}

static int prepare(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    assert_non_null(w);
    signing_make(&w->signing);
    /* So that rates do not hide the other reasons. */
    for (size_t i = 0; i < w->signing.rules->count; i++)
        w->signing.rules->rule[i].rate_burst = PLENTY;
    begin(w);
    *state = w;
    return 0;
}

static int clean(void **state)
{
    struct world *w = *state;

    signing_remove(&w->signing);
    free(w);
    return 0;
}

static void no_certificate_beside_the_rules_is_signed(void **state)
{
    struct world *w = *state;

    hostile_ask_all_certificates(&w->hostile);
    hostile_judge(&w->hostile, w->signing.journal);
}

/* ---- The wrong kind for a key ---- */

static void a_key_signs_its_own_kinds_only(void **state)
{
    static const struct hostile_row CERTIFICATE[] = {
        { "a certificate as a CRL", KEYS_ASK_CRL, "devices", RC_MALFORMED, "" },
        { "a certificate as a checkpoint", KEYS_ASK_CHECKPOINT, "devices", RC_DENIED,
          "does not sign the kind \"checkpoint\"" },
        { "a certificate by the checkpoint key", KEYS_ASK_CERTIFICATES, "checkpoints",
          RC_DENIED, "does not sign the kind \"certificate\"" },
        { "a certificate as the checkpoint key's checkpoint", KEYS_ASK_CHECKPOINT,
          "checkpoints", RC_MALFORMED, "" },
        { "a device by the doors' key", KEYS_ASK_CERTIFICATES, "doors", RC_DENIED,
          "4.1.2.4: issuer expected" },
        { "a device by the operators' key", KEYS_ASK_BATCH, "operators", RC_DENIED,
          "4.1.2.4: issuer expected" },
        { "by no key of the rules", KEYS_ASK_CERTIFICATES, "root", RC_NOT_FOUND,
          "no key root" },
        { "a CRL by no key of the rules", KEYS_ASK_CRL, "device", RC_NOT_FOUND,
          "no key device" },
    };
    static const struct hostile_row LIST[] = {
        { "a CRL as a certificate", KEYS_ASK_CERTIFICATES, "devices", RC_MALFORMED, "" },
        { "a CRL by the checkpoint key", KEYS_ASK_CRL, "checkpoints", RC_DENIED,
          "does not sign the kind \"crl\"" },
        { "the devices' CRL by the doors' key", KEYS_ASK_CRL, "doors", RC_DENIED,
          "4.1.2.4: issuer expected" },
    };
    static const struct hostile_row TEXT[] = {
        { "a checkpoint by a CA key", KEYS_ASK_CHECKPOINT, "devices", RC_DENIED,
          "does not sign the kind \"checkpoint\"" },
        { "a checkpoint as a certificate", KEYS_ASK_CERTIFICATES, "devices", RC_MALFORMED, "" },
        { "a checkpoint as a CRL", KEYS_ASK_CRL, "devices", RC_MALFORMED, "" },
        { "a checkpoint as the checkpoint key's certificate", KEYS_ASK_CERTIFICATES,
          "checkpoints", RC_DENIED, "does not sign the kind \"certificate\"" },
    };
    struct world *w = *state;
    [[gnu::cleanup(tbs_clear)]] struct tbs tbs = { 0 };
    AUTO_BUF(built, TBS_MAX);
    AUTO_BUF(list, CRL_ROOM);

    hostile_fill(&w->hostile, "devices", &tbs);
    tbs_build(&tbs, &built);
    crl_build(w->signing.rules, &(struct crl_pieces){ 0 }, &list);
    for (size_t i = 0; i < sizeof CERTIFICATE / sizeof *CERTIFICATE; i++)
        hostile_ask(&w->hostile, &CERTIFICATE[i], buf_bytes(&built), NULL, 0);
    for (size_t i = 0; i < sizeof LIST / sizeof *LIST; i++)
        hostile_ask(&w->hostile, &LIST[i], buf_bytes(&list), NULL, 0);
    for (size_t i = 0; i < sizeof TEXT / sizeof *TEXT; i++)
        hostile_ask(&w->hostile, &TEXT[i], bytes_of_text(CHECKPOINT_ROWS[0].text), NULL, 0);
    hostile_judge(&w->hostile, w->signing.journal);
}

/* ---- CRLs ---- */

static void ask_crl(struct world *w, const char *claim, const struct crl_pieces *pieces,
                    enum rc rc, const char *expected)
{
    const struct hostile_row row = { claim, KEYS_ASK_CRL, "devices", rc, expected };
    AUTO_BUF(list, CRL_ROOM);

    hostile_ask(&w->hostile, &row, crl_build(w->signing.rules, pieces, &list), NULL, 0);
}

static void no_crl_beside_the_rules_is_signed(void **state)
{
    static const struct crl_pieces GOOD = { .revoked = "" };
    struct world *w = *state;

    for (size_t i = 0; i < CRL_COUNT; i++)
        if (CRL_ROWS[i].rc != RC_OK)
            ask_crl(w, CRL_ROWS[i].claim, &CRL_ROWS[i].pieces, CRL_ROWS[i].rc,
                    CRL_ROWS[i].expected);
    ask_crl(w, "number 5", &GOOD, RC_OK, "");
    ask_crl(w, "number 5 again", &GOOD, RC_DENIED, "cRLNumber 5, expected more than 5");
    hostile_judge(&w->hostile, w->signing.journal);
}

/* ---- Checkpoints ---- */

static struct proof_hash node(const struct proof_hash *left, const struct proof_hash *right)
{
    AUTO_OF(journal_digest) *digest = NULL;

    assert_int_equal(journal_digest_new(&digest), RC_OK);
    return journal_proof_node(digest, left, right);
}

static struct journal_head head_of(const struct world *w)
{
    struct keys_head head;

    assert_int_equal(keys_client_head_and_wait(w->signing.ask, 60000, &head), RC_OK);
    return head.head;
}

struct growth {
    const char *claim;
    uint64_t size;
    struct proof_hash root;
    const struct proof_hash *proof;
    size_t proof_count;
    enum rc rc;
    const char *expected;
};

static void ask_growth(struct world *w, const struct journal_head *head,
                       const struct growth *growth)
{
    const struct hostile_row row = { growth->claim, KEYS_ASK_CHECKPOINT, "checkpoints",
                                     growth->rc, growth->expected };
    const struct keys_rule *rule = keys_rules_find(w->signing.rules, BYTES("checkpoints"));
    AUTO_BUF(text, 1024);

    buf_addf(&text, "%s\n%llu\n", rule->origin, (unsigned long long)growth->size);
    text_add_base64(&text, BYTES_OF(growth->root.at));
    buf_addf(&text, "\njournal %llu ", (unsigned long long)head->sequence);
    text_add_base64(&text, BYTES_OF(head->hash));
    buf_addf(&text, "\n");
    hostile_ask(&w->hostile, &row, buf_bytes(&text), growth->proof, growth->proof_count);
}

static void no_checkpoint_beside_the_rules_is_signed(void **state)
{
    struct world *w = *state;
    const struct proof_hash a = { { 1 } }, b = { { 2 } }, c = { { 3 } };
    const struct proof_hash two = node(&a, &b), three = node(&two, &c), other = node(&a, &c);
    const struct proof_hash false_proof[] = { b }, too_long[] = { c, b };
    const struct growth FIRST = { "two leaves", 2, two, NULL, 0, RC_OK, "" };
    const struct growth ROWS[] = {
        { "an older one", 1, a, NULL, 0, RC_DENIED, "tree size 1, expected 2 or more" },
        { "an older one with a proof", 1, a, &b, 1, RC_DENIED, "expected 2 or more" },
        { "an empty one", 0, journal_proof_empty(), NULL, 0, RC_DENIED, "expected 2 or more" },
        { "another root at the same size", 2, other, NULL, 0, RC_DENIED, "RFC 9162" },
        { "another root at the same size, with a proof", 2, other, &c, 1, RC_DENIED,
          "RFC 9162" },
        { "larger without a proof", 3, three, NULL, 0, RC_DENIED, "RFC 9162" },
        { "larger with a false proof", 3, three, false_proof, 1, RC_DENIED, "RFC 9162" },
        { "larger with a proof too long", 3, three, too_long, 2, RC_DENIED, "RFC 9162" },
        { "larger with another's root", 3, other, &c, 1, RC_DENIED, "RFC 9162" },
    };
    const struct growth LAST = { "three leaves", 3, three, &c, 1, RC_OK, "" };
    struct growth foreign = { "a journal of another hash", 3, three, &c, 1, RC_DENIED, "" };

    for (size_t i = 0; i < CHECKPOINT_COUNT; i++) {
        const struct hostile_row row = { CHECKPOINT_ROWS[i].claim, KEYS_ASK_CHECKPOINT,
                                         "checkpoints", CHECKPOINT_ROWS[i].rc,
                                         CHECKPOINT_ROWS[i].expected };
        if (row.rc != RC_OK)
            hostile_ask(&w->hostile, &row, bytes_of_text(CHECKPOINT_ROWS[i].text), NULL, 0);
    }
    struct journal_head before = head_of(w);
    ask_growth(w, &before, &FIRST);
    struct journal_head head = head_of(w), wrong = head, ahead = head;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        ask_growth(w, &head, &ROWS[i]);
    wrong.hash[31] ^= 1;
    ahead.sequence += 1000;
    ask_growth(w, &wrong, &foreign);
    foreign.claim = "a journal that is not yet written";
    ask_growth(w, &ahead, &foreign);
    foreign.claim = "the journal before the last checkpoint";
    ask_growth(w, &before, &foreign);
    ask_growth(w, &head, &LAST);
    hostile_judge(&w->hostile, w->signing.journal);
}

/* ---- Bodies ---- */

static void ask_unread(struct world *w, const char *claim, uint16_t kind, struct bytes body)
{
    const struct hostile_row row = { claim, kind, "", RC_MALFORMED, "cut short, too long" };

    hostile_ask_body(&w->hostile, &row, body, -1, body);
}

/* The correlation's first octets, and the body of one request behind it. */
static void bodies_that_cannot_be_read_are_refused(void **state)
{
    static const struct {
        const char *claim;
        uint16_t kind;
        struct bytes rest;
    } ROWS[] = {
        { "no key", KEYS_ASK_CERTIFICATES, BYTES("\x00\x01\x00\x01x") },
        { "a key that is a path", KEYS_ASK_CERTIFICATES, BYTES("\x03../\x01\x00\x01x") },
        { "a key with NUL", KEYS_ASK_CERTIFICATES,
          BYTES("\x08"
                "devices\x00\x01\x00\x01x") },
        { "a key in capitals", KEYS_ASK_CERTIFICATES,
          BYTES("\x07"
                "DEVICES\x01\x00\x01x") },
        { "a key of 33 letters", KEYS_ASK_CERTIFICATES,
          BYTES("\x21"
                "abcdefghijklmnopqrstuvwxyzabcdefg\x01\x00\x01x") },
        { "no items", KEYS_ASK_CERTIFICATES,
          BYTES("\x07"
                "devices\x00") },
        { "17 items", KEYS_ASK_BATCH,
          BYTES("\x07"
                "devices\x11\x00\x01x") },
        { "an empty item", KEYS_ASK_CERTIFICATES,
          BYTES("\x07"
                "devices\x01\x00\x00") },
        { "an item longer than the rest", KEYS_ASK_CERTIFICATES,
          BYTES("\x07"
                "devices\x01\xff\xffx") },
        { "octets behind the item", KEYS_ASK_CERTIFICATES,
          BYTES("\x07"
                "devices\x01\x00\x01xy") },
        { "a proof behind a certificate", KEYS_ASK_CERTIFICATES,
          BYTES("\x07"
                "devices\x01\x00\x01x\x00") },
        { "a checkpoint without a proof", KEYS_ASK_CHECKPOINT,
          BYTES("\x0b"
                "checkpoints\x01\x00\x01x") },
        { "a proof of 65 nodes", KEYS_ASK_CHECKPOINT,
          BYTES("\x0b"
                "checkpoints\x01\x00\x01x\x41") },
        { "a node cut short", KEYS_ASK_CHECKPOINT,
          BYTES("\x0b"
                "checkpoints\x01\x00\x01x\x01node") },
    };
    struct world *w = *state;

    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        AUTO_BUF(body, 256);

        buf_add(&body, BYTES("sixteen octets of"));
        buf_cut(&body, KEYS_CORRELATION);
        buf_add(&body, ROWS[i].rest);
        ask_unread(w, ROWS[i].claim, ROWS[i].kind, buf_bytes(&body));
    }
    hostile_judge(&w->hostile, w->signing.journal);
}

static void every_truncation_of_a_body_is_refused(void **state)
{
    static const char GOOD[] = "sixteen octets !\x0b"
                               "checkpoints\x01\x00\x05text\n\x01"
                               "a node of thirty-two octets ....";
    struct world *w = *state;

    for (size_t len = 0; len < sizeof GOOD - 1; len++)
        ask_unread(w, "a truncation", KEYS_ASK_CHECKPOINT,
                   (struct bytes){ (const uint8_t *)GOOD, len });
    hostile_judge(&w->hostile, w->signing.journal);
}

/* ---- Rates ---- */

static uint64_t entries_of(const struct world *w)
{
    AUTO_FD dir = -1;
    struct journal_recovery found;
    struct journal_head head;

    assert_int_equal(file_open_dir(AT_FDCWD, w->signing.journal, &dir), RC_OK);
    assert_int_equal(journal_verify(dir, NULL, NULL, &head, &found), RC_OK);
    return head.sequence;
}

/* Names that no rule has, as fast as they can be sent: the journal does not grow with them, and
 * what is good is signed meanwhile. */
static void a_flood_of_strays_does_not_fill_the_journal(void **state)
{
    struct world *w = *state;
    unsigned told = 0, too_fast = 0;
    AUTO_BUF(tbs, LINK_BODY_MAX);
    AUTO_BUF(reply, LINK_BODY_MAX);
    struct keys_answers last;

    for (unsigned i = 0; i < 8 * KEYS_STRAYS_AT_ONCE; i++) {
        struct bytes item = BYTES("x");
        AUTO_BUF(room, LINK_BODY_MAX);
        struct keys_answers answers;
        assert_int_equal(signing_ask(&w->signing, KEYS_ASK_CERTIFICATES, "nobodys", &item, 1,
                                     &room, &answers),
                         RC_OK);
        told += answers.at[0].rc == RC_NOT_FOUND;
        too_fast += answers.at[0].rc == RC_LIMIT;
        if (i < KEYS_STRAYS_AT_ONCE)
            assert_int_equal(too_fast, 0);
    }
    assert_int_equal(told + too_fast, 8 * KEYS_STRAYS_AT_ONCE);
    assert_true(too_fast > 0);
    assert_in_range(entries_of(w), told + 1, told + too_fast - 1);
    signing_certificate(&w->signing, 1, &tbs);
    struct bytes good = buf_bytes(&tbs);
    assert_int_equal(
        signing_ask(&w->signing, KEYS_ASK_CERTIFICATES, "devices", &good, 1, &reply, &last),
        RC_OK);
    assert_int_equal(last.at[0].rc, RC_OK);
}

static void too_many_at_once_are_refused(void **state)
{
    struct world *w = *state;
    AUTO_BUF(body, LINK_BODY_MAX);
    static const struct hostile_row row = { "three when two are allowed", KEYS_ASK_BATCH,
                                            "devices", RC_LIMIT, "devices" };

    signing_stop(&w->signing);
    w->signing.rules->rule[0].rate_per_s = 1;
    w->signing.rules->rule[0].rate_burst = 2;
    begin(w);
    buf_add(&body, BYTES("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07"
                         "\x07"
                         "devices\x03"));
    for (int i = 0; i < 3; i++)
        buf_add_sized16(&body, BYTES("x"));
    AUTO_BUF(datagram, LINK_BODY_MAX);
    AUTO_BUF(reply, LINK_BODY_MAX * 2);
    struct keys_answers answers;
    hostile_frame(&w->hostile, row.kind, buf_bytes(&body), &datagram);
    assert_true(hostile_exchange(&w->hostile, buf_bytes(&datagram), -1, &reply));
    struct bytes said = { reply.at + 12, reply.len - 12 };
    assert_int_equal(keys_protocol_read_answers(said, &answers), RC_OK);
    assert_int_equal(answers.count, 3);
    for (size_t i = 0; i < answers.count; i++) {
        struct hostile_told *told = &w->hostile.told[w->hostile.count++];
        *told = (struct hostile_told){ .claim = row.claim,
                                       .key = "devices",
                                       .correlation = { [15] = 7 },
                                       .rc = RC_LIMIT,
                                       .sequence = answers.at[i].sequence };
        assert_int_equal(answers.at[i].rc, RC_LIMIT);
        assert_int_equal(EVP_Q_digest(NULL, "SHA256", NULL, "x", 1, told->digest, NULL), 1);
        memcpy(told->text, answers.at[i].text.at, answers.at[i].text.len);
    }
    hostile_judge(&w->hostile, w->signing.journal);
}

/* ---- Messages that are none ---- */

struct broken {
    const char *claim;
    struct bytes datagram;
    int fds;
    const char *expected;
};

static enum rc see_broken(void *with, const struct journal_entry *at)
{
    struct keys_entry entry;
    struct hostile_told *last = with;

    TRY(keys_entry_read(at->kind, at->body, &entry));
    if (entry.kind != KEYS_ENTRY_REFUSED)
        return RC_OK;
    *last = (struct hostile_told){ .sequence = at->sequence, .rc = entry.rc };
    memcpy(last->text, entry.text.at, entry.text.len);
    return RC_OK;
}

/* The entry of the break is committed when the turn ends: the end of the socket comes before.
 */
static void wait_for_break(const struct world *w, uint64_t after, struct hostile_told *last)
{
    AUTO_FD dir = -1;

    assert_int_equal(file_open_dir(AT_FDCWD, w->signing.journal, &dir), RC_OK);
    while (last->sequence <= after) {
        struct journal_recovery found;
        struct journal_head head;
        assert_int_equal(journal_verify(dir, see_broken, last, &head, &found), RC_OK);
        assert_int_equal(kill(w->signing.signer, 0), 0);
        poll(NULL, 0, 5);
    }
}

static void messages_that_are_none_end_the_link_and_are_journaled(void **state)
{
    static uint8_t too_long[9000] = { 0, KEYS_ASK_CHECKPOINT };
    static const struct broken ROWS[] = {
        { "no kind", LINK_RAW("\x00", "\x00", "\x00\x00", "\x00", "\x00", ""), 0,
          "no message of kind 0" },
        { "an unknown kind", LINK_RAW("\x63", "\x00", "\x00\x00", "\x00", "\x00", ""), 0,
          "no message of kind 99" },
        { "eleven octets", BYTES("\x00\x05\x00\x00\x00\x00\x00\x00\x00\x00\x00"), 0,
          "message of 11 bytes" },
        { "one octet", BYTES("\x00"), 0, "message of 1 bytes" },
        { "a reply", LINK_RAW("\x05", "\x01", "\x00\x00", "\x00", "\x00", ""), 0, "flags 1" },
        { "an unknown flag", LINK_RAW("\x05", "\x02", "\x00\x00", "\x00", "\x00", ""), 0,
          "flags 2" },
        { "a result", LINK_RAW("\x05", "\x00", "\x00\x00", "\x01", "\x00", ""), 0, "rc 1" },
        { "reserved bits", LINK_RAW("\x05", "\x00", "\x00\x00", "\x00", "\x01", ""), 0,
          "reserved 1" },
        { "another lane's credit", LINK_RAW("\x05", "\x00", "\x00\x04", "\x00", "\x00", ""), 0,
          "no credit of its lane" },
        { "no credit at all", LINK_RAW("\x05", "\x00", "\x00\xff", "\x00", "\x00", ""), 0,
          "no credit of its lane" },
        { "a body over its cap", { too_long, sizeof too_long }, 0, "limit 8192" },
        { "a body where none belongs",
          LINK_RAW("\x05", "\x00", "\x00\x00", "\x00", "\x00", "x"), 0, "limit 0" },
        { "a descriptor", LINK_RAW("\x05", "\x00", "\x00\x00", "\x00", "\x00", ""), 1,
          "came with a descriptor" },
        { "a CRL without its memory", LINK_RAW("\x03", "\x00", "\x00\x00", "\x00", "\x00", ""),
          0, "came without its descriptor" },
        { "a CRL in two memories", LINK_RAW("\x03", "\x00", "\x00\x00", "\x00", "\x00", ""), 2,
          "more came along than one descriptor" },
        { "memory beside a certificate",
          LINK_RAW("\x01", "\x00", "\x00\x04", "\x00", "\x00", ""), 1,
          "came with a descriptor" },
        { "many descriptors", LINK_RAW("\x05", "\x00", "\x00\x00", "\x00", "\x00", ""), 50,
          "more came along than one descriptor" },
    };
    struct world *w = *state;
    struct hostile_told last = { 0 };

    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct pollfd ready = { .fd = w->signing.ask, .events = POLLIN };
        uint64_t before = last.sequence;
        uint8_t byte = 0;

        link_raw_send(w->signing.ask, ROWS[i].datagram, ROWS[i].fds);
        assert_int_equal(poll(&ready, 1, 60000), 1);
        assert_true(recv(w->signing.ask, &byte, 1, 0) <= 0);
        wait_for_break(w, before, &last);
        if (last.rc != RC_MALFORMED || strstr(last.text, "link signer: ") != last.text ||
            strstr(last.text, ROWS[i].expected) == NULL)
            fail_msg("%s: %s %s", ROWS[i].claim, rc_name(last.rc), last.text);
        assert_int_equal(kill(w->signing.signer, 0), 0);
        signing_stop(&w->signing);
        begin(w);
    }
}

#define WITH_SIGNER(test) cmocka_unit_test_setup_teardown(test, prepare, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SIGNER(no_certificate_beside_the_rules_is_signed),
        WITH_SIGNER(a_key_signs_its_own_kinds_only),
        WITH_SIGNER(no_crl_beside_the_rules_is_signed),
        WITH_SIGNER(no_checkpoint_beside_the_rules_is_signed),
        WITH_SIGNER(bodies_that_cannot_be_read_are_refused),
        WITH_SIGNER(every_truncation_of_a_body_is_refused),
        WITH_SIGNER(a_flood_of_strays_does_not_fill_the_journal),
        WITH_SIGNER(too_many_at_once_are_refused),
        WITH_SIGNER(messages_that_are_none_end_the_link_and_are_journaled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
