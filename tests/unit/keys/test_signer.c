#include "tests/support/check.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/der.h"
#include "base/file.h"
#include "base/text.h"
#include "keys/entry.h"
#include "tests/support/signing.h"
#include "tests/support/tbs.h"

enum { TBS_ROOM = 4096 };

static int prepare(void **state)
{
    struct signing *s = calloc(1, sizeof *s);

    assert_non_null(s);
    signing_make(s);
    signing_start(s);
    *state = s;
    return 0;
}

static int clean(void **state)
{
    signing_remove(*state);
    free(*state);
    return 0;
}

/* ---- The journal, read by the offline judge ---- */

struct seen {
    unsigned count[4];   /* by enum keys_entry_kind */
    struct bytes wanted; /* a digest */
    unsigned found;
    uint64_t refusals; /* told one by one, or as a number of those before */
    struct keys_entry last;
    char last_text[KEYS_TEXT_MAX + 1];
};

static enum rc see(void *with, const struct journal_entry *at)
{
    struct seen *seen = with;
    struct keys_entry entry;

    TRY(keys_entry_read(at->kind, at->body, &entry));
    seen->count[entry.kind]++;
    if (entry.kind == KEYS_ENTRY_SIGNED && bytes_equal(BYTES_OF(entry.digest), seen->wanted))
        seen->found++;
    seen->last = entry;
    memset(seen->last_text, 0, sizeof seen->last_text);
    if (entry.text.len > 0)
        memcpy(seen->last_text, entry.text.at, entry.text.len);
    const char *more = strstr(seen->last_text, "; and ");
    if (entry.kind == KEYS_ENTRY_REFUSED)
        seen->refusals += 1 + (more == NULL ? 0 : strtoull(more + 6, NULL, 10));
    return RC_OK;
}

static void read_journal(const struct signing *s, struct bytes message, struct seen *seen)
{
    uint8_t digest[32];
    struct journal_recovery found;
    struct journal_head head;
    AUTO_FD dir = -1;

    *seen = (struct seen){ .wanted = BYTES_OF(digest) };
    assert_int_equal(EVP_Digest(message.at, message.len, digest, NULL, EVP_sha256(), NULL), 1);
    assert_int_equal(file_open_dir(AT_FDCWD, s->journal, &dir), RC_OK);
    assert_int_equal(journal_verify(dir, see, seen, &head, &found), RC_OK);
    seen->wanted = (struct bytes){ NULL, 0 };
}

static struct bytes one_device(struct signing *s, unsigned number, struct buf *tbs)
{
    signing_certificate(s, number, tbs);
    return buf_bytes(tbs);
}

static void a_certificate_is_signed_and_in_the_journal(void **state)
{
    struct signing *s = *state;
    AUTO_BUF(tbs, TBS_ROOM);
    AUTO_BUF(room, LINK_BODY_MAX);
    struct bytes item = one_device(s, 1, &tbs);
    struct keys_answers answers;
    struct seen seen;

    assert_int_equal(
        signing_ask(s, KEYS_ASK_CERTIFICATES, "devices", &item, 1, &room, &answers), RC_OK);
    assert_int_equal(answers.at[0].rc, RC_OK);
    assert_int_equal(answers.at[0].sequence, 1);
    assert_true(signing_verifies(s, "devices", item, answers.at[0].signature));
    assert_false(signing_verifies(s, "doors", item, answers.at[0].signature));

    read_journal(s, item, &seen);
    assert_int_equal(seen.found, 1);
    assert_string_equal(seen.last.key, "devices");
    assert_int_equal(seen.last.serial_len, 16);
    assert_int_equal(seen.last.serial[15], 1);
    assert_int_equal(seen.last.correlation[1], 0xde);
    assert_true(seen.last.not_after_s > TBS_NOW_S);
}

static void a_batch_of_sixteen_is_signed_item_by_item(void **state)
{
    struct signing *s = *state;
    struct buf tbs[KEYS_ITEMS_MAX];
    struct bytes items[KEYS_ITEMS_MAX];
    AUTO_BUF(room, LINK_BODY_MAX);
    struct keys_answers answers;

    for (unsigned i = 0; i < KEYS_ITEMS_MAX; i++) {
        tbs[i] = BUF_MAX(TBS_ROOM);
        items[i] = one_device(s, i, &tbs[i]);
    }
    items[7] = BYTES("not a certificate");
    assert_int_equal(
        signing_ask(s, KEYS_ASK_BATCH, "devices", items, KEYS_ITEMS_MAX, &room, &answers),
        RC_OK);
    assert_int_equal(answers.count, KEYS_ITEMS_MAX);
    for (unsigned i = 0; i < KEYS_ITEMS_MAX; i++) {
        assert_int_equal(answers.at[i].sequence, i + 1);
        assert_int_equal(answers.at[i].rc, i == 7 ? RC_MALFORMED : RC_OK);
        if (i != 7)
            assert_true(signing_verifies(s, "devices", items[i], answers.at[i].signature));
        buf_clear(&tbs[i]);
    }
}

static void what_the_rules_forbid_is_refused_and_journaled(void **state)
{
    static const struct {
        enum keys_request request;
        const char *key, *constraints;
        enum rc rc;
    } ROWS[] = {
        { KEYS_ASK_CERTIFICATES, "devices", "300f0603551d130101ff040530030101ff", RC_DENIED },
        { KEYS_ASK_CERTIFICATES, "doors", NULL, RC_DENIED },
        { KEYS_ASK_CERTIFICATES, "checkpoints", NULL, RC_DENIED },
        { KEYS_ASK_CERTIFICATES, "nobodys", NULL, RC_NOT_FOUND },
        { KEYS_ASK_CRL, "devices", NULL, RC_MALFORMED },
    };
    struct signing *s = *state;

    for (unsigned i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct tbs pieces = { 0 };
        AUTO_BUF(tbs, TBS_ROOM);
        AUTO_BUF(room, LINK_BODY_MAX);
        struct keys_answers answers;
        struct seen seen;

        tbs_fill_device(&pieces, keys_rules_find(s->rules, BYTES("devices")), "dev-1");
        if (ROWS[i].constraints != NULL)
            tbs_set_hex(&pieces, TBS_BC, ROWS[i].constraints);
        struct bytes item = tbs_build(&pieces, &tbs);
        tbs_clear(&pieces);
        assert_int_equal(
            signing_ask(s, ROWS[i].request, ROWS[i].key, &item, 1, &room, &answers), RC_OK);
        assert_int_equal(answers.at[0].rc, ROWS[i].rc);
        assert_true(answers.at[0].text.len > 0);

        read_journal(s, item, &seen);
        assert_int_equal(seen.found, 0);
        assert_int_equal(seen.count[KEYS_ENTRY_SIGNED], 0);
        assert_int_equal(seen.count[KEYS_ENTRY_REFUSED], i + 1);
        assert_int_equal(seen.last.rc, ROWS[i].rc);
        assert_true(bytes_equal_text(answers.at[0].text, seen.last_text));
    }
}

/* ---- Checkpoints ---- */

static struct proof_hash leaf(uint8_t number)
{
    AUTO_OF(journal_digest) *digest = NULL;

    assert_int_equal(journal_digest_new(&digest), RC_OK);
    return journal_proof_leaf(digest, (struct bytes){ &number, 1 });
}

static struct proof_hash node(const struct proof_hash *left, const struct proof_hash *right)
{
    AUTO_OF(journal_digest) *digest = NULL;

    assert_int_equal(journal_digest_new(&digest), RC_OK);
    return journal_proof_node(digest, left, right);
}

static void checkpoint_text(const struct signing *s, uint64_t size, struct proof_hash root,
                            const struct journal_head *head, struct buf *text)
{
    const struct keys_rule *rule = keys_rules_find(s->rules, BYTES("checkpoints"));

    buf_addf(text, "%s\n%llu\n", rule->origin, (unsigned long long)size);
    text_add_base64(text, BYTES_OF(root.at));
    buf_addf(text, "\njournal %llu ", (unsigned long long)head->sequence);
    text_add_base64(text, BYTES_OF(head->hash));
    buf_addf(text, "\n");
}

static enum rc ask_checkpoint(const struct signing *s, uint64_t size, struct proof_hash root,
                              const struct journal_head *head, const struct proof_hash *proof,
                              size_t proof_count)
{
    AUTO_BUF(text, 1024);
    AUTO_BUF(room, LINK_BODY_MAX);
    struct keys_answers answers;
    struct keys_ask ask = { .count = 1, .key = "checkpoints", .proof_count = proof_count };

    checkpoint_text(s, size, root, head, &text);
    ask.items[0] = buf_bytes(&text);
    if (proof_count > 0)
        memcpy(ask.proof, proof, proof_count * sizeof *proof);
    assert_int_equal(
        keys_client_sign_and_wait(s->ask, KEYS_ASK_CHECKPOINT, &ask, 20000, &room, &answers),
        RC_OK);
    if (answers.at[0].rc == RC_OK)
        assert_true(signing_verifies(s, "checkpoints", ask.items[0], answers.at[0].signature));
    return answers.at[0].rc;
}

static struct journal_head head_of(const struct signing *s)
{
    struct keys_head head;

    assert_int_equal(keys_client_head_and_wait(s->ask, 20000, &head), RC_OK);
    assert_int_equal(head.first, 1);
    return head.head;
}

static void a_checkpoint_never_goes_back_not_even_after_a_kill(void **state)
{
    struct signing *s = *state;
    struct proof_hash a = leaf(1), b = leaf(2), c = leaf(3);
    struct proof_hash two = node(&a, &b), other = node(&a, &c);
    struct journal_head head = head_of(s);

    assert_int_equal(ask_checkpoint(s, 1, a, &head, NULL, 0), RC_OK);
    head = head_of(s);
    assert_int_equal(ask_checkpoint(s, 2, two, &head, NULL, 0), RC_DENIED);
    assert_int_equal(ask_checkpoint(s, 2, two, &head, &c, 1), RC_DENIED);
    assert_int_equal(ask_checkpoint(s, 2, two, &head, &b, 1), RC_OK);
    head = head_of(s);
    assert_int_equal(ask_checkpoint(s, 1, a, &head, NULL, 0), RC_DENIED);

    signing_stop(s);
    signing_start(s);
    head = head_of(s);
    assert_int_equal(ask_checkpoint(s, 1, a, &head, NULL, 0), RC_DENIED);
    assert_int_equal(ask_checkpoint(s, 2, other, &head, NULL, 0), RC_DENIED);
    assert_int_equal(ask_checkpoint(s, 2, two, &head, NULL, 0), RC_OK);
    struct keys_list list;
    assert_int_equal(keys_client_list_and_wait(s->ask, 20000, &list), RC_OK);
    for (size_t i = 0; i < list.count; i++) {
        bool checkpoints = strcmp(list.at[i].name, "checkpoints") == 0;
        assert_int_equal(list.at[i].tree_size, checkpoints ? 2 : 0);
        assert_int_equal(bytes_equal(BYTES_OF(list.at[i].tree_root.at), BYTES_OF(two.at)),
                         checkpoints);
    }
}

static void a_checkpoint_vouches_for_the_signers_own_journal(void **state)
{
    struct signing *s = *state;
    struct journal_head head = head_of(s), wrong = head, ahead = head;

    wrong.hash[0] ^= 1;
    ahead.sequence = 1000;
    assert_int_equal(ask_checkpoint(s, 1, leaf(1), &wrong, NULL, 0), RC_DENIED);
    assert_int_equal(ask_checkpoint(s, 1, leaf(1), &ahead, NULL, 0), RC_DENIED);
    assert_int_equal(ask_checkpoint(s, 1, leaf(1), &head, NULL, 0), RC_OK);
    /* The head from before the last checkpoint would hide what was signed since. */
    assert_int_equal(ask_checkpoint(s, 1, leaf(1), &head, NULL, 0), RC_DENIED);
}

/* ---- CRLs ---- */

static void crl(const struct signing *s, uint64_t number, struct buf *out)
{
    const struct keys_rule *rule = keys_rules_find(s->rules, BYTES("devices"));
    size_t list = der_begin(out, DER_SEQUENCE);

    der_add_u63(out, 1);
    size_t algorithm = der_begin(out, DER_SEQUENCE);
    der_add_oid(out, "1.2.840.10045.4.3.2");
    der_end(out, algorithm);
    buf_add(out, (struct bytes){ rule->issuer, rule->issuer_len });
    der_add_time(out, TBS_NOW_S);
    der_add_time(out, TBS_NOW_S + 86400);
    size_t tagged = der_begin(out, DER_CONTEXT_CONSTRUCTED(0));
    size_t extensions = der_begin(out, DER_SEQUENCE);
    for (int i = 0; i < 2; i++) {
        size_t extension = der_begin(out, DER_SEQUENCE);
        der_add_oid(out, i == 0 ? "2.5.29.35" : "2.5.29.20");
        size_t value = der_begin(out, DER_OCTET_STRING);
        if (i == 0) {
            size_t aki = der_begin(out, DER_SEQUENCE);
            der_add(out, DER_CONTEXT(0), (struct bytes){ rule->key_id, rule->key_id_len });
            der_end(out, aki);
        } else {
            der_add_u63(out, number);
        }
        der_end(out, value);
        der_end(out, extension);
    }
    der_end(out, extensions);
    der_end(out, tagged);
    der_end(out, list);
}

static enum rc ask_crl(struct signing *s, uint64_t number)
{
    AUTO_BUF(tbs, TBS_ROOM);
    AUTO_BUF(room, LINK_BODY_MAX);
    struct keys_answers answers;

    crl(s, number, &tbs);
    struct bytes item = buf_bytes(&tbs);
    assert_int_equal(signing_ask(s, KEYS_ASK_CRL, "devices", &item, 1, &room, &answers), RC_OK);
    return answers.at[0].rc;
}

static void a_crl_number_never_goes_back_not_even_after_a_kill(void **state)
{
    struct signing *s = *state;

    assert_int_equal(ask_crl(s, 5), RC_OK);
    assert_int_equal(ask_crl(s, 5), RC_DENIED);
    signing_stop(s);
    signing_start(s);
    assert_int_equal(ask_crl(s, 4), RC_DENIED);
    assert_int_equal(ask_crl(s, 6), RC_OK);
}

/* ---- Rates ---- */

static void too_fast_is_refused_and_journaled_once_a_second(void **state)
{
    struct signing *s = *state;
    struct keys_rule *rule = &s->rules->rule[0];
    AUTO_BUF(tbs, TBS_ROOM);
    AUTO_BUF(room, LINK_BODY_MAX);
    struct keys_answers answers;
    struct seen seen;
    unsigned made = 0, refused = 0;

    assert_string_equal(rule->name, "devices");
    signing_stop(s);
    rule->rate_per_s = 1;
    rule->rate_burst = 2;
    signing_start(s);
    for (unsigned i = 0; i < 5; i++) {
        struct bytes item = one_device(s, i, &tbs);
        assert_int_equal(
            signing_ask(s, KEYS_ASK_CERTIFICATES, "devices", &item, 1, &room, &answers), RC_OK);
        made += answers.at[0].rc == RC_OK;
        refused += answers.at[0].rc == RC_LIMIT;
    }
    assert_true(made >= 2);
    assert_true(refused >= 1);
    assert_int_equal(made + refused, 5);
    read_journal(s, BYTES(""), &seen);
    assert_int_equal(seen.count[KEYS_ENTRY_SIGNED], made);
    assert_true(seen.count[KEYS_ENTRY_REFUSED] >= 1);
    assert_true(seen.count[KEYS_ENTRY_REFUSED] <= refused);
    usleep(1100000); /* the next one is told, and how many were not */
    for (unsigned i = 5, before = refused; refused == before; i++) {
        struct bytes item = one_device(s, i, &tbs);
        assert_int_equal(
            signing_ask(s, KEYS_ASK_CERTIFICATES, "devices", &item, 1, &room, &answers), RC_OK);
        refused += answers.at[0].rc == RC_LIMIT;
    }
    read_journal(s, BYTES(""), &seen);
    assert_int_equal(seen.refusals, refused);
}

/* ---- Deaths ---- */

static void a_killed_worker_ends_the_signer_and_a_new_start_goes_on(void **state)
{
    struct signing *s = *state;
    AUTO_BUF(tbs, TBS_ROOM);
    AUTO_BUF(room, LINK_BODY_MAX);
    struct bytes item = one_device(s, 1, &tbs);
    struct keys_answers answers;

    assert_int_equal(kill(s->workers[1], SIGKILL), 0);
    assert_int_equal(signing_wait(s), SIGNING_ENDED_CLOSED);
    assert_int_equal(
        signing_ask(s, KEYS_ASK_CERTIFICATES, "devices", &item, 1, &room, &answers), RC_CLOSED);
    signing_stop(s);
    signing_start(s);
    assert_int_equal(
        signing_ask(s, KEYS_ASK_CERTIFICATES, "devices", &item, 1, &room, &answers), RC_OK);
    assert_int_equal(answers.at[0].rc, RC_OK);
}

static void
a_token_folder_that_goes_refuses_then_ends_and_recovers_when_it_returns(void **state)
{
    struct signing *s = *state;
    AUTO_BUF(tbs, TBS_ROOM);
    AUTO_BUF(room, LINK_BODY_MAX);
    AUTO_BUF(away, 128);
    const char *aside = NULL;
    struct bytes item = one_device(s, 1, &tbs);
    struct keys_answers answers;
    struct seen seen;

    buf_addf(&away, "%s.away", s->hsm.tokens);
    assert_int_equal(buf_text(&away, &aside), RC_OK);
    assert_int_equal(rename(s->hsm.tokens, aside), 0);
    assert_int_equal(
        signing_ask(s, KEYS_ASK_CERTIFICATES, "devices", &item, 1, &room, &answers), RC_OK);
    assert_int_equal(answers.at[0].rc, RC_CRYPTO);
    assert_int_equal(signing_wait(s), SIGNING_ENDED_CLOSED);
    read_journal(s, item, &seen);
    assert_int_equal(seen.found, 0);
    assert_int_equal(seen.count[KEYS_ENTRY_REFUSED], 1);

    assert_int_equal(rename(aside, s->hsm.tokens), 0);
    signing_stop(s);
    signing_start(s);
    assert_int_equal(
        signing_ask(s, KEYS_ASK_CERTIFICATES, "devices", &item, 1, &room, &answers), RC_OK);
    assert_int_equal(answers.at[0].rc, RC_OK);
}

struct burst {
    const struct signing *s;
    unsigned signed_count;
};

static void count_signed(void *with, enum rc rc, const struct keys_answers *answers)
{
    struct burst *burst = with;
    struct seen seen;

    if (rc != RC_OK)
        return;
    assert_int_equal(answers->at[0].rc, RC_OK);
    burst->signed_count++;
    /* Read while the signer still appends: what is answered is on disk by now. */
    if (burst->signed_count % 8 == 0) {
        read_journal(burst->s, BYTES(""), &seen);
        assert_true(seen.count[KEYS_ENTRY_SIGNED] >= burst->signed_count);
    }
}

static void link_gone(void *with)
{
    bool *gone = with;

    *gone = true;
}

static void every_signature_that_left_is_in_the_journal_after_kill_9(void **state)
{
    struct signing *s = *state;
    AUTO_OF(loop) *loop = NULL;
    AUTO_OF(keys_client) *client = NULL;
    AUTO_BUF(tbs, TBS_ROOM);
    struct keys_ask ask = { .count = 1, .key = "devices" };
    struct burst burst = { .s = s };
    struct seen seen;
    bool gone = false;

    assert_int_equal(loop_new(&s->clock, &loop), RC_OK);
    assert_int_equal(keys_client_open(loop, s->ask, link_gone, &gone, &client), RC_OK);
    s->ask = -1;
    for (unsigned i = 0; i < 64; i++) {
        ask.items[0] = one_device(s, i, &tbs);
        assert_int_equal(
            keys_client_sign(client, KEYS_ASK_CERTIFICATES, &ask, count_signed, &burst), RC_OK);
    }
    while (burst.signed_count < 20)
        assert_int_equal(loop_turn_once(loop, 1000), RC_OK);
    assert_int_equal(kill(s->signer, SIGKILL), 0);
    while (!gone)
        assert_int_equal(loop_turn_once(loop, 1000), RC_OK);
    read_journal(s, BYTES(""), &seen);
    assert_true(seen.count[KEYS_ENTRY_SIGNED] >= burst.signed_count);
}

static void the_journal_tells_the_asker_what_it_never_heard_of(void **state)
{
    struct signing *s = *state;
    AUTO_BUF(tbs, TBS_ROOM);
    AUTO_BUF(room, LINK_BODY_MAX);
    struct keys_answers answers;
    struct keys_entries entries;
    struct keys_entry entry;
    struct keys_head head;

    for (unsigned i = 1; i <= 3; i++) {
        struct bytes item = one_device(s, i, &tbs);
        assert_int_equal(
            signing_ask(s, KEYS_ASK_CERTIFICATES, "devices", &item, 1, &room, &answers), RC_OK);
    }
    assert_int_equal(keys_client_head_and_wait(s->ask, 20000, &head), RC_OK);
    for (uint64_t from = 1; from <= 4; from++) {
        assert_int_equal(keys_client_entries_and_wait(s->ask, from, 20000, &room, &entries),
                         RC_OK);
        assert_int_equal(entries.count, 4 - from);
        for (size_t i = 0; i < entries.count; i++) {
            assert_int_equal(entries.at[i].sequence, from + i);
            assert_int_equal(keys_entry_read(entries.at[i].kind, entries.at[i].body, &entry),
                             RC_OK);
            assert_int_equal(entry.serial[15], from + i);
        }
        if (from <= 3)
            assert_memory_equal(entries.at[3 - from].hash, head.head.hash, JOURNAL_HASH);
    }
    assert_int_equal(keys_client_entries_and_wait(s->ask, 0, 20000, &room, &entries),
                     RC_MALFORMED);
}

static void the_list_of_keys_is_the_rules(void **state)
{
    struct signing *s = *state;
    struct keys_list list;

    assert_int_equal(keys_client_list_and_wait(s->ask, 20000, &list), RC_OK);
    assert_int_equal(list.revision, s->rules->revision);
    assert_int_equal(list.count, s->rules->count);
    for (size_t i = 0; i < list.count; i++) {
        assert_string_equal(list.at[i].name, s->rules->rule[i].name);
        assert_memory_equal(list.at[i].public_key, s->rules->rule[i].public_key,
                            KEYS_PUBLIC_KEY);
        assert_string_equal(list.at[i].origin, s->rules->rule[i].origin);
        assert_int_equal(list.at[i].tree_size, 0);
    }
}

#define WITH_SIGNER(test) cmocka_unit_test_setup_teardown(test, prepare, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SIGNER(a_certificate_is_signed_and_in_the_journal),
        WITH_SIGNER(a_batch_of_sixteen_is_signed_item_by_item),
        WITH_SIGNER(what_the_rules_forbid_is_refused_and_journaled),
        WITH_SIGNER(a_checkpoint_never_goes_back_not_even_after_a_kill),
        WITH_SIGNER(a_checkpoint_vouches_for_the_signers_own_journal),
        WITH_SIGNER(a_crl_number_never_goes_back_not_even_after_a_kill),
        WITH_SIGNER(too_fast_is_refused_and_journaled_once_a_second),
        WITH_SIGNER(a_killed_worker_ends_the_signer_and_a_new_start_goes_on),
        WITH_SIGNER(a_token_folder_that_goes_refuses_then_ends_and_recovers_when_it_returns),
        WITH_SIGNER(every_signature_that_left_is_in_the_journal_after_kill_9),
        WITH_SIGNER(the_journal_tells_the_asker_what_it_never_heard_of),
        WITH_SIGNER(the_list_of_keys_is_the_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
