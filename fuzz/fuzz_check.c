/* Target: keys_check */
#include <stdint.h>
#include <stdlib.h>

#include "keys/check.h"

/*
 * The first octet chooses: bits 0 and 1 the key, bits 2 and 3 the kind, bits 4 to 7 the nodes
 * of a proof, which follow with 32 octets each. The rest is to be signed.
 */
static const char RULES[] =
    "touchmark key rules 1\n"
    "revision 1\n"
    "\n"
    "key devices\n"
    "purpose ca\n"
    "kinds certificate crl\n"
    "public-key "
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE6Lj5etGnK+VuSueJaV6UqL+"
    "qeL0p1QxBldkgfGF6Rv6zwAoZC3nRHzFFMbBp94r5JPTlR4LdZ/LRTx9bIc3ZLw==\n"
    "rate 2000 burst 4000\n"
    "issuer MCYxDTALBgNVBAoMBEFjbWUxFTATBgNVBAMMDEFjbWUgRGV2aWNlcw==\n"
    "# organizationName=Acme, commonName=Acme Devices\n"
    "key-id 5fe82ceca48d78771db12b8988e52ad0fe755298\n"
    "not-after 2036-11-22T00:00:00Z\n"
    "backdate 5m\n"
    "postdate 0s\n"
    "lifetime 398d\n"
    "basic-constraints end-entity\n"
    "key-usage digitalSignature\n"
    "ext-key-usage clientAuth\n"
    "subject organizationName optional = Acme\n"
    "subject serialNumber required\n"
    "extension authorityKeyIdentifier required plain\n"
    "extension subjectKeyIdentifier required plain\n"
    "extension keyUsage required critical\n"
    "extension extKeyUsage required plain\n"
    "extension basicConstraints optional critical\n"
    "extension subjectAltName required plain\n"
    "extension cRLDistributionPoints optional plain http://crl.acme.example/\n"
    "extension authorityInfoAccess optional plain http://ocsp.acme.example/\n"
    "san uri 1 to 1 urn:touchmark:device:{serialNumber}\n"
    "next-update 7d\n"
    "\n"
    "key doors\n"
    "purpose ca\n"
    "kinds certificate crl\n"
    "public-key "
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEvbOHSWjEI9U9pN3utIbfNA8N1qHFeDmhZDh4ZucP2UEO5hlfZ36Icz"
    "X+2PE7WFQbN7CCrJc2ZbmYzD9cLA8bRQ==\n"
    "rate 2000 burst 4000\n"
    "issuer MCQxDTALBgNVBAoMBEFjbWUxEzARBgNVBAMMCkFjbWUgRG9vcnM=\n"
    "# organizationName=Acme, commonName=Acme Doors\n"
    "key-id b95dfc1178186f0381cb1c96c56ced3f5ec58b49\n"
    "not-after 2036-11-22T00:00:00Z\n"
    "backdate 5m\n"
    "postdate 0s\n"
    "lifetime 7d\n"
    "basic-constraints end-entity\n"
    "key-usage digitalSignature\n"
    "ext-key-usage serverAuth\n"
    "subject commonName required\n"
    "extension authorityKeyIdentifier required plain\n"
    "extension subjectKeyIdentifier required plain\n"
    "extension keyUsage required critical\n"
    "extension extKeyUsage required plain\n"
    "extension basicConstraints optional critical\n"
    "extension subjectAltName required plain\n"
    "extension cRLDistributionPoints optional plain http://crl.acme.example/\n"
    "san dns 0 to 4 .acme.example\n"
    "san dns 0 to 1 localhost\n"
    "san ip 0 to 4 10.0.0.0/8\n"
    "san ip 0 to 1 127.0.0.1/32\n"
    "next-update 7d\n"
    "\n"
    "key checkpoints\n"
    "purpose checkpoint\n"
    "kinds checkpoint\n"
    "public-key "
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE975MsVnZtGG8YN+ZARAhXUxUQUW4DpmMheFmORqMv8y1q1q78ZI/"
    "PW9CdaSALrF4GrAmw2af7IkdEejAIR0D7Q==\n"
    "rate 10 burst 20\n"
    "origin acme.example/touchmark\n";

#define NOW_S ((int64_t)1795348800) /* 2026-11-22T12:00:00Z */

static const struct keys_rules *rules(void)
{
    static struct keys_rules *read;

    if (read == NULL && keys_rules_read(bytes_of_text(RULES), &read) != RC_OK)
        abort();
    return read;
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    static const enum keys_kind KINDS[] = { KEYS_CERTIFICATE, KEYS_CRL, KEYS_CHECKPOINT,
                                            KEYS_CERTIFICATE | KEYS_CRL };
    struct reader r = READER(((struct bytes){ at, len }));
    uint8_t choice = reader_u8(&r);
    struct proof_hash nodes[15] = { 0 };
    struct keys_question question = { .kind = KINDS[choice >> 2 & 3], .proof = nodes };
    struct keys_memory memory = { .crl_number = 2, .tree_size = choice >> 4 != 0 ? 2 : 0 };
    struct keys_finding finding = { 0 }, untouched = { 0 };
    const struct keys_rule *rule = &rules()->rule[(choice & 3) % 3];

    question.proof_count = choice >> 4;
    for (size_t i = 0; i < question.proof_count; i++)
        reader_copy(&r, nodes[i].at, sizeof nodes[i].at);
    question.to_be_signed = r.left;
    if (keys_check(rules(), rule, &question, &memory, NOW_S, &finding) != RC_OK) {
        if (!bytes_equal((struct bytes){ (const uint8_t *)&finding, sizeof finding },
                         (struct bytes){ (const uint8_t *)&untouched, sizeof untouched }))
            abort();
        return 0;
    }
    if (finding.kind != question.kind || finding.not_after_s > rule->not_after_s)
        abort();
    return 0;
}
