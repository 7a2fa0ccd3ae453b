#include "tests/support/check.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/text.h"
#include "keys/rules.h"
#include "keys/terms.h"
#include "tests/support/tbs.h"

AUTO_STRUCT(keys_rules, free)
AUTO_TYPE(EVP_PKEY, EVP_PKEY_free)
AUTO_TYPE(EVP_MD_CTX, EVP_MD_CTX_free)
AUTO_TYPE(ASN1_OBJECT, ASN1_OBJECT_free)

/* The example with the first `old` replaced; read; does the fault say what is expected? */
static bool is_refused(const char *claim, const char *old, const char *new_text,
                       const char *expected)
{
    AUTO_BUF(example, KEYS_RULES_TEXT_MAX);
    AUTO_BUF(edited, 2 * KEYS_RULES_TEXT_MAX);
    AUTO_OF(keys_rules) *rules = NULL;
    const char *text, *at;

    tbs_example_text(&example);
    assert_int_equal(buf_text(&example, &text), RC_OK);
    at = strstr(text, old);
    if (at == NULL)
        fail_msg("%s: the example has no \"%s\"", claim, old);
    buf_add(&edited, (struct bytes){ (const uint8_t *)text, (size_t)(at - text) });
    buf_add(&edited, bytes_of_text(new_text));
    buf_add(&edited, bytes_of_text(at + strlen(old)));
    if (keys_rules_read(buf_bytes(&edited), &rules) != RC_MALFORMED)
        print_error("%s: was read\n", claim);
    else if (strstr(fault_text(), expected) == NULL)
        print_error("%s: \"%s\" does not say \"%s\"\n", claim, fault_text(), expected);
    else
        return rules == NULL;
    return false;
}

static void reads_the_documents_example(void **state)
{
    AUTO_OF(keys_rules) *rules = tbs_example_rules();
    const struct keys_rule *devices = keys_rules_find(rules, BYTES("devices"));
    const struct keys_rule *checkpoints = keys_rules_find(rules, BYTES("checkpoints"));

    (void)state;
    assert_int_equal(rules->revision, 1);
    assert_int_equal(rules->count, 4);
    assert_null(keys_rules_find(rules, BYTES("device")));
    assert_non_null(devices);
    assert_int_equal(devices->purpose, KEYS_PURPOSE_CA);
    assert_int_equal(devices->kinds, KEYS_CERTIFICATE | KEYS_CRL);
    assert_int_equal(devices->rate_per_s, 2000);
    assert_int_equal(devices->rate_burst, 4000);
    assert_int_equal(devices->backdate_most_s, 300);
    assert_int_equal(devices->certificate.lifetime_most_s, 398 * 86400);
    assert_int_equal(devices->certificate.key_usage, KEYS_DIGITAL_SIGNATURE);
    assert_int_equal(devices->certificate.extended_key_usage, KEYS_CLIENT_AUTH);
    assert_false(devices->certificate.ca);
    assert_int_equal(devices->next_update_most_s, 7 * 86400);
    assert_non_null(checkpoints);
    assert_string_equal(checkpoints->origin, "acme.example/touchmark");
}

static void writes_what_it_read(void **state)
{
    AUTO_BUF(text, KEYS_RULES_TEXT_MAX);
    AUTO_BUF(again, KEYS_RULES_TEXT_MAX);
    AUTO_OF(keys_rules) *rules = tbs_example_rules();
    AUTO_OF(keys_rules) *twice = NULL;

    (void)state;
    tbs_example_text(&text);
    assert_int_equal(keys_rules_write(rules, &again), RC_OK);
    assert_true(bytes_equal(buf_bytes(&text), buf_bytes(&again)));
    assert_int_equal(keys_rules_read(buf_bytes(&again), &twice), RC_OK);
    assert_memory_equal(rules, twice, sizeof *rules);
}

static void refuses_every_truncation(void **state)
{
    AUTO_BUF(text, KEYS_RULES_TEXT_MAX);
    struct bytes all;
    size_t accepted = 0;

    (void)state;
    tbs_example_text(&text);
    all = buf_bytes(&text);
    for (size_t len = 0; len < all.len; len++) {
        AUTO_OF(keys_rules) *rules = NULL;
        uint8_t *exact = malloc(len + 1);

        memcpy(exact, all.at, len);
        /* Whole blocks left out are rules with fewer keys: only the signature covers that. */
        if (keys_rules_read((struct bytes){ exact, len }, &rules) == RC_OK) {
            accepted++;
            assert_true(bytes_start_with((struct bytes){ all.at + len, all.len - len },
                                         BYTES("\nkey ")));
        }
        free(exact);
    }
    assert_int_equal(accepted, 3);
}

/* One edit a row: what to find in the example, what to put there, what the fault must say. */
static const struct {
    const char *claim, *old, *new_text, *expected;
} EDITS[] = {
    { "another format", "rules 1\n", "rules 2\n", "line 1 column 1" },
    { "revision 0", "revision 1", "revision 0", "revisions count from 1" },
    { "revision with a leading zero", "revision 1", "revision 01", "line 2 column 10" },
    { "no empty line", "\n\nkey devices", "\nkey devices", "line 3 column 1" },
    { "two empty lines", "\n\nkey devices", "\n\n\nkey devices",
      "line 4 column 1: expected `key`" },
    { "unknown word", "purpose ca", "porpoise ca", "line 5 column 1: expected purpose" },
    { "unknown purpose", "purpose ca", "purpose cat", "line 5 column 9" },
    { "purpose twice", "purpose ca\n", "purpose ca\npurpose ca\n", "line 6 column 1" },
    { "field left out", "rate 2000 burst 4000\n", "", "`issuer` stands twice, out of order" },
    { "fields exchanged", "backdate 5m\npostdate 0s\n", "postdate 0s\nbackdate 5m\n",
      "`postdate` stands twice, out of order" },
    { "kind twice", "kinds certificate crl", "kinds crl crl",
      "line 6 column 11: \"crl\" given twice" },
    { "kinds in another order", "kinds certificate crl", "kinds crl certificate", "line 6" },
    { "kind of another purpose", "kinds certificate crl", "kinds certificate checkpoint",
      "line 6: a key of this purpose" },
    { "checkpoint kind of a CA", "kinds checkpoint", "kinds certificate",
      "a key of this purpose" },
    { "no kinds", "kinds certificate crl", "kinds", "line 6 column 6: expected" },
    { "two spaces", "purpose ca", "purpose  ca", "line 5 column 9" },
    { "space at the end", "purpose ca\n", "purpose ca \n", "line 5" },
    { "carriage return", "purpose ca\n", "purpose ca\r\n", "line 5 column 11: byte 0x0d" },
    { "tab", "purpose ca", "purpose\tca", "byte 0x09" },
    { "not ASCII", "= Acme", "= Acm\xc3\xa9", "byte 0xc3" },
    { "upper-case name", "key devices", "key Devices", "a name is" },
    { "name of a digit", "key devices", "key 1devices", "a name is" },
    { "empty name", "key devices", "key", "line 4 column 4: expected a text" },
    { "name too long", "key devices", "key d23456789012345678901234567890123",
      "33 characters" },
    { "same name twice", "key operators", "key devices", "has the name of key devices" },
    { "comment that lies", "commonName=Acme Devices\n", "commonName=Acme Doors\n",
      "not as these rules are written" },
    { "comment left out", "# organizationName=Acme, commonName=Acme Devices\n", "",
      "`key-id`" },
    { "comment elsewhere", "lifetime 398d\n", "# be careful\nlifetime 398d\n", "line 15" },
    { "base64 broken", "public-key MFkw", "public-key MF-w", "line 7 column 12" },
    { "public key short", "public-key MFkw", "public-key ", "RFC 5480 2" },
    { "point off the curve", "ZLw==\n", "ZLg==\n", "not on P-256" },
    { "issuer no Name", "issuer MCYx", "issuer MCYw", "RFC 5280 4.1.2.4" },
    { "key-id in upper case", "key-id 5fe8", "key-id 5FE8", "not as these rules are written" },
    { "key-id too short", "key-id 5fe82ceca48d78771db12b8988e52ad0fe755298",
      "key-id 5fe82ceca48d78", "7 octets" },
    { "not-after with a fraction", "2036-11-22T00:00:00Z", "2036-11-22T00:00:00.500Z",
      "a time such as" },
    { "not-after with a zero fraction", "2036-11-22T00:00:00Z", "2036-11-22T00:00:00.0Z",
      "not as these rules are written" },
    { "no such day", "2036-11-22T", "2036-02-30T", "a time such as" },
    { "duration in a smaller unit", "backdate 5m", "backdate 300s",
      "not as these rules are written" },
    { "duration without a unit", "backdate 5m", "backdate 300", "a duration such as" },
    { "negative duration", "backdate 5m", "backdate -5m", "a duration such as" },
    { "backdate beyond a week", "backdate 5m", "backdate 8d", "backdate of" },
    { "postdate beyond a day", "postdate 0s", "postdate 2d", "postdate of" },
    { "no lifetime", "lifetime 398d", "lifetime 0s", "lifetime of" },
    { "lifetime past the calendar", "lifetime 398d", "lifetime 4000000d", "lifetime of" },
    { "rate without burst", "rate 2000 burst 4000", "rate 2000", "`burst`" },
    { "rate of zero", "rate 2000 burst 4000", "rate 0 burst 4000", "both zero or both not" },
    { "CA without keyCertSign", "basic-constraints end-entity", "basic-constraints ca",
      "RFC 5280 4.2.1.9" },
    { "unknown constraint", "basic-constraints end-entity", "basic-constraints maybe",
      "`end-entity`" },
    { "path length of an end entity", "basic-constraints end-entity",
      "basic-constraints end-entity path-length 0", "the end of the line" },
    { "end entity that signs certificates", "key-usage digitalSignature",
      "key-usage digitalSignature keyCertSign", "RFC 5280 4.2.1.9" },
    { "end entity that signs CRLs", "key-usage digitalSignature", "key-usage cRLSign",
      "RFC 5280 4.2.1.9" },
    { "unknown usage", "key-usage digitalSignature", "key-usage everything",
      "RFC 5280 4.2.1.3" },
    { "any extended usage", "ext-key-usage clientAuth", "ext-key-usage anyExtendedKeyUsage",
      "`serverAuth`, `clientAuth` or `none`" },
    { "extended usage none, and yet required", "ext-key-usage clientAuth", "ext-key-usage none",
      "extKeyUsage is required" },
    { "subject twice", "subject serialNumber required\n",
      "subject serialNumber required\nsubject serialNumber required\n", "given twice" },
    { "subject forbidden", "subject serialNumber required", "subject serialNumber forbidden",
      "`optional` or `required`" },
    { "unknown attribute", "subject serialNumber", "subject pseudonym",
      "an attribute such as" },
    { "subject pinned to nothing", "= Acme", "=", "expected a text" },
    { "extension twice", "extension keyUsage required critical\n",
      "extension keyUsage required critical\nextension keyUsage required critical\n",
      "given twice" },
    { "unknown extension", "extension keyUsage", "extension nameConstraints",
      "an extension such as" },
    { "no key usage", "extension keyUsage required", "extension keyUsage optional",
      "always required" },
    { "no authority key identifier", "extension authorityKeyIdentifier required plain\n", "",
      "always required" },
    { "critical key identifier", "authorityKeyIdentifier required plain",
      "authorityKeyIdentifier required critical", "never critical" },
    { "location without a prefix", "plain http://crl.acme.example/", "plain",
      "a prefix such as" },
    { "host without its slash", "http://crl.acme.example/", "http://crl.acme.example",
      "a prefix such as" },
    { "prefix of another scheme", "http://crl.acme.example/", "file://crl.acme.example/",
      "a prefix such as" },
    { "prefix where none belongs", "keyUsage required critical",
      "keyUsage required critical http://a/", "has no URIs" },
    { "san without the extension", "extension subjectAltName required plain\n", "",
      "need each other" },
    { "extension without san", "san uri 1 to 1 urn:touchmark:device:{serialNumber}\n", "",
      "need each other" },
    { "required san in an optional extension", "subjectAltName required",
      "subjectAltName optional", "required names" },
    { "san of none", "san uri 1 to 1", "san uri 0 to 0", "0 to 0 names" },
    { "san range turned round", "san uri 1 to 1", "san uri 2 to 1", "2 to 1 names" },
    { "san of an unknown kind", "san uri", "san email", "`uri`, `dns` or `ip`" },
    { "san of an unknown attribute", "{serialNumber}", "{pseudonym}", "no such attribute" },
    { "san of an attribute not required", "{serialNumber}", "{organizationName}",
      "not required" },
    { "tail that runs into the prefix", "device:{serial", "device{serial", "stands : or /" },
    { "two tails", "device:{serialNumber}", "{commonName}:{serialNumber}",
      "no such attribute" },
    { "host in upper case", ".acme.example\n", ".ACME.example\n", "not a host name" },
    { "network without length", "10.0.0.0/8", "10.0.0.0", "not a network" },
    { "network with host bits", "10.0.0.0/8", "10.0.0.1/8", "bits beyond" },
    { "network too long", "10.0.0.0/8", "10.0.0.0/33", "not a network" },
    { "address in another form", "10.0.0.0/8", "010.0.0.0/8", "not a network" },
    { "no next update", "next-update 7d", "next-update 0s", "next-update of" },
    { "origin with a space", "acme.example/touchmark", "acme example", "origin" },
    { "origin with a plus", "acme.example/touchmark", "acme+example", "origin" },
    { "text behind the last key", "acme.example/touchmark\n", "acme.example/touchmark\nmore\n",
      "an empty line before" },
    { "empty line at the end", "acme.example/touchmark\n", "acme.example/touchmark\n\n",
      "`key`" },
    { "no newline at the end", "acme.example/touchmark\n", "acme.example/touchmark",
      "newline" },
};

static void refuses_each_edit_by_its_place(void **state)
{
    size_t good = 0, count = sizeof EDITS / sizeof *EDITS;

    (void)state;
    for (size_t i = 0; i < count; i++)
        good += is_refused(EDITS[i].claim, EDITS[i].old, EDITS[i].new_text, EDITS[i].expected);
    assert_int_equal(good, count);
}

/* Change the example as a program would, and ask whether it makes sense. */
static void assert_senseless(struct keys_rules *rules, const char *expected)
{
    AUTO_BUF(text, KEYS_RULES_TEXT_MAX);

    assert_int_equal(keys_rules_check(rules), RC_MALFORMED);
    if (strstr(fault_text(), expected) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", fault_text(), expected);
    assert_int_equal(keys_rules_write(rules, &text), RC_MALFORMED);
    assert_int_equal(text.len, 0);
}

static void two_keys_share_nothing(void **state)
{
    AUTO_OF(keys_rules) *rules = tbs_example_rules();
    struct keys_rule *a = &rules->rule[0], *b = &rules->rule[1], *checkpoints = &rules->rule[3];
    struct keys_rule before = *b, last = *checkpoints;

    (void)state;
    memcpy(b->public_key, a->public_key, sizeof b->public_key);
    assert_senseless(rules, "key operators: has the public key of key devices");
    *b = before;
    memcpy(b->issuer, a->issuer, sizeof b->issuer);
    b->issuer_len = a->issuer_len;
    assert_senseless(rules, "has the issuer of key devices");
    *b = before;
    memcpy(b->key_id, a->key_id, sizeof b->key_id);
    assert_senseless(rules, "has the key-id of key devices");
    *b = before;
    memcpy(checkpoints->public_key, a->public_key, sizeof b->public_key);
    assert_senseless(rules, "key checkpoints: has the public key of key devices");
    *checkpoints = last;
    rules->rule[rules->count++] = last;
    assert_senseless(rules, "has the name of key checkpoints");
    rules->count--;
    assert_int_equal(keys_rules_check(rules), RC_OK);
}

static void a_key_may_make_cas_if_its_rule_says_so(void **state)
{
    AUTO_BUF(text, KEYS_RULES_TEXT_MAX);
    AUTO_OF(keys_rules) *rules = tbs_example_rules();
    AUTO_OF(keys_rules) *again = NULL;
    struct keys_certificate_rule *c = &rules->rule[0].certificate;

    (void)state;
    c->ca = true;
    c->key_usage = KEYS_KEY_CERT_SIGN | KEYS_CRL_SIGN;
    assert_senseless(rules, "required and critical");
    c->extension[KEYS_BASIC_CONSTRAINTS].presence = KEYS_REQUIRED;
    for (c->path_length = -1; c->path_length <= 9; c->path_length += 5) {
        buf_reset(&text);
        assert_int_equal(keys_rules_write(rules, &text), RC_OK);
        assert_int_equal(keys_rules_read(buf_bytes(&text), &again), RC_OK);
        assert_memory_equal(rules, again, sizeof *rules);
        free(again);
        again = NULL;
    }
    c->path_length = 10;
    assert_senseless(rules, "path length");
    c->path_length = -2;
    assert_senseless(rules, "path length");
}

static void no_rule_is_no_rules(void **state)
{
    AUTO_OF(keys_rules) *rules = tbs_example_rules();

    (void)state;
    rules->count = 0;
    assert_senseless(rules, "0 keys");
    rules->count = KEYS_PER_RULES_MAX + 1;
    assert_senseless(rules, "33 keys");
}

struct ceremony {
    uint8_t key[KEYS_PUBLIC_KEY], pin[32], signature[80];
    size_t signature_len;
};

static void sign(struct bytes text, EVP_PKEY *key, struct ceremony *made)
{
    AUTO(EVP_MD_CTX) *context = EVP_MD_CTX_new();
    uint8_t *at = made->key;

    assert_int_equal(i2d_PUBKEY(key, &at), KEYS_PUBLIC_KEY);
    SHA256(made->key, sizeof made->key, made->pin);
    made->signature_len = sizeof made->signature;
    assert_int_equal(EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key), 1);
    assert_int_equal(
        EVP_DigestSign(context, made->signature, &made->signature_len, text.at, text.len), 1);
}

static enum rc verify(struct bytes text, const struct ceremony *c)
{
    return keys_rules_verify(text, (struct bytes){ c->signature, c->signature_len },
                             BYTES_OF(c->key), BYTES_OF(c->pin));
}

static void only_the_pinned_ceremony_key_makes_rules(void **state)
{
    AUTO(EVP_PKEY) *key = EVP_EC_gen("P-256"), *other_key = EVP_EC_gen("P-256");
    AUTO_BUF(text, KEYS_RULES_TEXT_MAX);
    struct ceremony good = { 0 }, other = { 0 };

    (void)state;
    tbs_example_text(&text);
    sign(buf_bytes(&text), key, &good);
    sign(buf_bytes(&text), other_key, &other);
    assert_int_equal(verify(buf_bytes(&text), &good), RC_OK);

    memcpy(good.pin, other.pin, sizeof good.pin);
    assert_int_equal(verify(buf_bytes(&text), &good), RC_DENIED);
    assert_non_null(strstr(fault_text(), "pin"));
    memcpy(good.key, other.key, sizeof good.key);
    assert_int_equal(verify(buf_bytes(&text), &good), RC_DENIED);
    assert_int_equal(verify(buf_bytes(&text), &other), RC_OK);
    assert_int_equal(keys_rules_verify(buf_bytes(&text),
                                       (struct bytes){ other.signature, other.signature_len },
                                       BYTES_OF(other.key), (struct bytes){ 0 }),
                     RC_DENIED);
}

static void one_changed_bit_ends_the_signature(void **state)
{
    AUTO(EVP_PKEY) *key = EVP_EC_gen("P-256");
    AUTO_BUF(text, KEYS_RULES_TEXT_MAX);
    struct ceremony good = { 0 };

    (void)state;
    tbs_example_text(&text);
    sign(buf_bytes(&text), key, &good);
    for (size_t i = 0; i < good.signature_len; i++) {
        good.signature[i] ^= 1;
        assert_int_equal(verify(buf_bytes(&text), &good), RC_DENIED);
        good.signature[i] ^= 1;
    }
    for (size_t i = 0; i < text.len; i += 97) {
        text.at[i] ^= 1;
        assert_int_equal(verify(buf_bytes(&text), &good), RC_DENIED);
        text.at[i] ^= 1;
    }
    for (size_t len = 0; len < good.signature_len; len++)
        assert_int_equal(keys_rules_verify(buf_bytes(&text),
                                           (struct bytes){ good.signature, len },
                                           BYTES_OF(good.key), BYTES_OF(good.pin)),
                         RC_DENIED);
    assert_int_equal(verify(buf_bytes(&text), &good), RC_OK);
}

static void a_ceremony_key_of_another_curve_is_no_key(void **state)
{
    AUTO(EVP_PKEY) *key = EVP_EC_gen("P-384");
    uint8_t spki[256], *at = spki, pin[32];
    size_t len = (size_t)i2d_PUBKEY(key, NULL);

    (void)state;
    assert_true(len <= sizeof spki);
    i2d_PUBKEY(key, &at);
    SHA256(spki, len, pin);
    assert_int_equal(
        keys_rules_verify(BYTES("x"), BYTES("y"), (struct bytes){ spki, len }, BYTES_OF(pin)),
        RC_MALFORMED);
}

static void assert_oids(struct keys_terms terms)
{
    for (size_t i = 0; i < terms.count; i++) {
        AUTO(ASN1_OBJECT) *object = OBJ_txt2obj(terms.term[i].word, 0);

        if (object == NULL)
            fail_msg("libcrypto does not know %s", terms.term[i].word);
        assert_true(bytes_equal(terms.term[i].oid,
                                (struct bytes){ OBJ_get0_data(object), OBJ_length(object) }));
        assert_int_equal(keys_terms_find_oid(terms, terms.term[i].oid), i);
        assert_int_equal(keys_terms_find_word(terms, bytes_of_text(terms.term[i].word)), i);
    }
}

static void libcrypto_knows_the_words_by_the_same_numbers(void **state)
{
    struct keys_terms attributes = keys_terms_attribute();

    (void)state;
    assert_oids(attributes);
    assert_int_equal(keys_terms_find_word(attributes, BYTES("")), attributes.count);
    for (size_t i = 0; i < keys_terms_extension().count; i++) {
        struct keys_term term = keys_terms_extension().term[i];
        AUTO(ASN1_OBJECT) *object =
            OBJ_txt2obj(i == KEYS_EXTENDED_KEY_USAGE        ? "extendedKeyUsage"
                        : i == KEYS_CRL_DISTRIBUTION_POINTS ? "crlDistributionPoints"
                                                            : term.word,
                        0);

        assert_non_null(object);
        assert_true(
            bytes_equal(term.oid, (struct bytes){ OBJ_get0_data(object), OBJ_length(object) }));
    }
    assert_oids(keys_terms_extended_key_usage());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_documents_example),
        cmocka_unit_test(writes_what_it_read),
        cmocka_unit_test(refuses_every_truncation),
        cmocka_unit_test(refuses_each_edit_by_its_place),
        cmocka_unit_test(two_keys_share_nothing),
        cmocka_unit_test(a_key_may_make_cas_if_its_rule_says_so),
        cmocka_unit_test(no_rule_is_no_rules),
        cmocka_unit_test(only_the_pinned_ceremony_key_makes_rules),
        cmocka_unit_test(one_changed_bit_ends_the_signature),
        cmocka_unit_test(a_ceremony_key_of_another_curve_is_no_key),
        cmocka_unit_test(libcrypto_knows_the_words_by_the_same_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
