/* Witnesses' keys and signatures; OpenSSL's own verification is the judge where ours is asked.
 */
#include "tests/support/check.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "audit/cosignature.h"
#include "base/text.h"

#define TEXT "log.example/1\n5\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"

enum { WHEN = 1679315147 };

struct ground {
    struct audit_cosigner *one, *two, *other;
    struct audit_witnesses set; /* one and two */
    struct buf note;            /* signed by a log's key that nobody here knows */
};

static struct audit_cosigner *cosigner(const char *name)
{
    struct audit_cosigner *made = NULL;

    assert_int_equal(audit_cosigner_new(bytes_of_text(name), &made), RC_OK);
    return made;
}

static void add_to(struct audit_witnesses *set, const struct audit_cosigner *who)
{
    AUTO_BUF(vkey, AUDIT_VKEY_MAX);

    audit_witness_write(audit_cosigner_witness(who), &vkey);
    assert_int_equal(audit_witnesses_add(set, buf_bytes(&vkey)), RC_OK);
}

static int set_up(void **state)
{
    struct ground *g = calloc(1, sizeof *g);

    g->one = cosigner("witness.example/one");
    g->two = cosigner("witness.example/two");
    g->other = cosigner("witness.example/other");
    add_to(&g->set, g->one);
    add_to(&g->set, g->two);
    g->note = (struct buf)BUF_MAX(AUDIT_NOTE_MAX);
    buf_add(&g->note, BYTES(TEXT "\n"));
    audit_note_add_line(&g->note, BYTES("log.example/1"), (const uint8_t[]){ 1, 2, 3, 4 },
                        BYTES("a signature"));
    *state = g;
    return 0;
}

static int tear_down(void **state)
{
    struct ground *g = *state;

    audit_cosigner_free(g->one);
    audit_cosigner_free(g->two);
    audit_cosigner_free(g->other);
    buf_clear(&g->note);
    free(g);
    return 0;
}

static void sign(const struct audit_cosigner *by, struct buf *lines)
{
    assert_int_equal(audit_cosigner_sign(by, BYTES(TEXT), WHEN, lines), RC_OK);
}

static void a_key_goes_out_and_comes_back(void **state)
{
    struct ground *g = *state;
    AUTO_BUF(pem, 4096);
    AUTO_BUF(vkey, AUDIT_VKEY_MAX);
    AUTO_OF(audit_cosigner) *again = NULL;
    const struct audit_witness *want = audit_cosigner_witness(g->one);
    struct audit_witness got;

    assert_int_equal(audit_cosigner_write(g->one, &pem), RC_OK);
    assert_int_equal(audit_cosigner_read(bytes_of_text(want->name), buf_bytes(&pem), &again),
                     RC_OK);
    assert_memory_equal(audit_cosigner_witness(again), want, sizeof *want);
    audit_witness_write(want, &vkey);
    assert_int_equal(audit_witness_read(buf_bytes(&vkey), &got), RC_OK);
    assert_memory_equal(&got, want, sizeof got);
}

/* C2SP tlog-cosignature, "Format" and "Ed25519 signed message", put together by hand. */
static void signs_what_the_specification_says(void **state)
{
    struct ground *g = *state;
    const struct audit_witness *w = audit_cosigner_witness(g->one);
    AUTO_BUF(line, 1024);
    AUTO_BUF(room, 1024);
    AUTO_BUF(hashed, 1024);
    static const char MESSAGE[] = "cosignature/v1\ntime 1679315147\n" TEXT;
    struct audit_note_line parts;
    uint8_t hash[32];

    sign(g->one, &line);
    struct reader r = READER(buf_bytes(&line));
    assert_int_equal(audit_note_next(&r, &room, &parts), RC_OK);
    assert_true(reader_done(&r));
    buf_addf(&hashed, "%s\n\x04", w->name);
    buf_add(&hashed, BYTES_OF(w->key));
    EVP_Digest(hashed.at, hashed.len, hash, NULL, EVP_sha256(), NULL);
    assert_memory_equal(parts.id.at, hash, 4);
    struct reader blob = READER(parts.signature);
    assert_int_equal(reader_u64(&blob), WHEN);
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, w->key, sizeof w->key);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestVerifyInit(context, NULL, NULL, NULL, key), 1);
    assert_int_equal(EVP_DigestVerify(context, blob.left.at, blob.left.len,
                                      (const uint8_t *)MESSAGE, sizeof MESSAGE - 1),
                     1);
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
}

static void each_witness_counts_once_and_strangers_do_not(void **state)
{
    struct ground *g = *state;
    size_t count = 9;

    assert_int_equal(audit_cosignature_count(&g->set, buf_bytes(&g->note), &count), RC_OK);
    assert_int_equal(count, 0);
    sign(g->other, &g->note);
    sign(g->one, &g->note);
    sign(g->one, &g->note);
    assert_int_equal(audit_cosignature_count(&g->set, buf_bytes(&g->note), &count), RC_OK);
    assert_int_equal(count, 1);
    g->set.quorum = 1;
    assert_int_equal(audit_cosignature_demand(&g->set, buf_bytes(&g->note)), RC_OK);
    g->set.quorum = 2;
    assert_int_equal(audit_cosignature_demand(&g->set, buf_bytes(&g->note)), RC_DENIED);
    sign(g->two, &g->note);
    assert_int_equal(audit_cosignature_demand(&g->set, buf_bytes(&g->note)), RC_OK);
}

/* In the text, in the time, in the signature: refused, never passed over. */
static void a_changed_bit_is_refused(void **state)
{
    struct ground *g = *state;
    AUTO_BUF(line, 1024);
    AUTO_BUF(room, 1024);
    const struct audit_witness *w = audit_cosigner_witness(g->one);
    struct audit_note_line parts;
    uint8_t text[] = TEXT;
    uint64_t time_s = 0;

    sign(g->one, &line);
    struct reader r = READER(buf_bytes(&line));
    assert_int_equal(audit_note_next(&r, &room, &parts), RC_OK);
    struct bytes whole = { text, sizeof text - 1 };
    assert_int_equal(audit_cosignature_check(w, whole, parts.signature, &time_s), RC_OK);
    assert_int_equal(time_s, WHEN);
    for (size_t bit = 0; bit < whole.len * 8; bit++) {
        text[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(audit_cosignature_check(w, whole, parts.signature, &time_s),
                         RC_DENIED);
        text[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t bit = 0; bit < parts.signature.len * 8; bit++) {
        room.at[AUDIT_KEY_ID + bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(audit_cosignature_check(w, whole, parts.signature, &time_s),
                         RC_DENIED);
        room.at[AUDIT_KEY_ID + bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t len = 0; len < parts.signature.len; len++)
        assert_int_equal(audit_cosignature_check(
                             w, whole, (struct bytes){ parts.signature.at, len }, &time_s),
                         RC_DENIED);
}

static void lines_are_merged_once(void **state)
{
    struct ground *g = *state;
    AUTO_BUF(lines, 2048);
    size_t added = 9, count = 0;

    sign(g->other, &lines);
    sign(g->two, &lines);
    sign(g->two, &lines);
    assert_int_equal(audit_cosignature_merge(&g->set, buf_bytes(&lines), &g->note, &added),
                     RC_OK);
    assert_int_equal(added, 1);
    assert_int_equal(audit_cosignature_merge(&g->set, buf_bytes(&lines), &g->note, &added),
                     RC_OK);
    assert_int_equal(added, 0);
    sign(g->one, &lines);
    assert_int_equal(audit_cosignature_merge(&g->set, buf_bytes(&lines), &g->note, &added),
                     RC_OK);
    assert_int_equal(added, 1);
    assert_int_equal(audit_cosignature_count(&g->set, buf_bytes(&g->note), &count), RC_OK);
    assert_int_equal(count, 2);
}

static void a_wrong_line_adds_nothing(void **state)
{
    struct ground *g = *state;
    AUTO_BUF(lines, 2048);
    size_t added = 9, before = g->note.len;

    sign(g->one, &lines);
    assert_int_equal(audit_cosigner_sign(g->two, BYTES("another\n5\ntext\n"), WHEN, &lines),
                     RC_OK);
    assert_int_equal(audit_cosignature_merge(&g->set, buf_bytes(&lines), &g->note, &added),
                     RC_DENIED);
    assert_int_equal(g->note.len, before);
    for (size_t len = 1; len < lines.len; len++) {
        enum rc rc =
            audit_cosignature_merge(&g->set, (struct bytes){ lines.at, len }, &g->note, &added);
        if (rc != RC_OK)
            assert_int_equal(g->note.len, before);
        else /* exactly at the end of the right line */
            buf_cut(&g->note, before);
    }
}

static void verifier_keys_are_read_strictly(void **state)
{
    struct ground *g = *state;
    AUTO_BUF(vkey, AUDIT_VKEY_MAX);
    AUTO_BUF(twice, 2 * AUDIT_VKEY_MAX);
    struct audit_witness read;
    struct audit_witnesses set = { .count = 0 };

    audit_witness_write(audit_cosigner_witness(g->one), &vkey);
    for (size_t len = 0; len < vkey.len; len++)
        assert_int_not_equal(audit_witness_read((struct bytes){ vkey.at, len }, &read), RC_OK);
    for (size_t bit = 0; bit < vkey.len * 8; bit++) {
        vkey.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
        struct audit_witness was = *audit_cosigner_witness(g->one);
        /* Upper-case digits of the id say the same. */
        if (audit_witness_read(buf_bytes(&vkey), &read) == RC_OK)
            assert_memory_equal(&read, &was, sizeof was);
        vkey.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    buf_add(&twice, buf_bytes(&vkey));
    buf_addf(&twice, " \n\t");
    buf_add(&twice, buf_bytes(&vkey));
    assert_int_equal(audit_witnesses_add(&set, buf_bytes(&twice)), RC_EXISTS);
    assert_int_equal(set.count, 0);
    assert_int_equal(audit_witnesses_add(&set, BYTES(" \n")), RC_OK);
    assert_int_equal(set.count, 0);
}

/* The verifier key of the Go checksum database: of type 0x01, so no witness's. */
static void keys_of_other_types_are_told_from_wrong_ones(void **state)
{
    struct audit_witness read;

    (void)state;
    assert_int_equal(
        audit_witness_read(
            BYTES("sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"),
            &read),
        RC_DENIED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_key_goes_out_and_comes_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(signs_what_the_specification_says, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_witness_counts_once_and_strangers_do_not, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_changed_bit_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lines_are_merged_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_wrong_line_adds_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(verifier_keys_are_read_strictly, set_up, tear_down),
        cmocka_unit_test(keys_of_other_types_are_told_from_wrong_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
