#include "cli/ceremony.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "pki/path.h"
#include "pki/pem.h"

enum { CERTIFICATE_MAX = 4096, PEM_MAX = 64 * 1024 };

static const char *const FOLDERS[] = { "ca",  "keys",   "policy", "operator",
                                       "hsm", "signer", "csr",    "hsm/issuing" };
static const char *const SECRET_FOLDERS[] = { "secrets", "root" };

enum rc cli_ceremony_begin(struct cli_ceremony *c)
{
    c->root = BUF_MAX(CERTIFICATE_MAX);
    c->above = BUF_MAX(PEM_MAX);
    for (size_t i = 0; i < CLI_ISSUING; i++)
        c->issuing[i] = BUF_MAX(CERTIFICATE_MAX);
    TRY(pki_hierarchy_check_names(&c->names));
    TRY(cli_users_find(&c->users));
    return pki_verifier_new(&c->verifier);
}

void cli_ceremony_clear(struct cli_ceremony *c)
{
    pki_verifier_free(c->verifier);
    buf_clear(&c->root);
    buf_clear(&c->above);
    for (size_t i = 0; i < CLI_ISSUING; i++)
        buf_clear(&c->issuing[i]);
    cli_place_close(&c->place);
}

static enum rc make_folders(const struct cli_ceremony *c)
{
    for (size_t i = 0; i < sizeof FOLDERS / sizeof *FOLDERS; i++)
        TRY(cli_place_add_folder(&c->place, FOLDERS[i], false));
    for (size_t i = 0; i < sizeof SECRET_FOLDERS / sizeof *SECRET_FOLDERS; i++)
        TRY(cli_place_add_folder(&c->place, SECRET_FOLDERS[i], true));
    return cli_users_add_folders(&c->place);
}

/* Make or find the keys of one token: the same order for both. */
typedef enum rc key_step(struct keys_ceremony *ceremony, const char *name,
                         uint8_t spki[KEYS_CEREMONY_SPKI]);

static enum rc each_issuing_key(struct cli_ceremony *c, struct keys_ceremony *token,
                                key_step *step)
{
    size_t count = 0;
    const struct pki_issuing *issuing = pki_hierarchy_issuing(&count);

    _Static_assert((int)KEYS_CEREMONY_SPKI == (int)PKI_KEY_LEN, "one SubjectPublicKeyInfo");
    for (size_t i = 0; i < count; i++)
        TRY(step(token, issuing[i].key, c->issuing_key[i]));
    return step(token, PKI_HIERARCHY_CHECKPOINT, c->checkpoint_key);
}

enum rc cli_ceremony_make_keys(struct cli_ceremony *c)
{
    TRY(make_folders(c));
    {
        AUTO_OF(keys_ceremony) *token = NULL;
        TRY(cli_tokens_create(&c->tokens, &c->place, &CLI_TOKEN_ISSUING, &token));
        TRY(each_issuing_key(c, token, keys_ceremony_make_key));
    }
    AUTO_OF(keys_ceremony) *token = NULL;
    TRY(cli_tokens_create(&c->tokens, &c->place, &CLI_TOKEN_ROOT, &token));
    return keys_ceremony_make_key(token, PKI_HIERARCHY_ROOT, c->root_key);
}

enum rc cli_ceremony_find_keys(struct cli_ceremony *c)
{
    {
        AUTO_OF(keys_ceremony) *token = NULL;
        TRY(cli_tokens_open(&c->tokens, &c->place, &CLI_TOKEN_ISSUING, &token));
        TRY(each_issuing_key(c, token, keys_ceremony_read_key));
    }
    AUTO_OF(keys_ceremony) *token = NULL;
    TRY(cli_tokens_open(&c->tokens, &c->place, &CLI_TOKEN_ROOT, &token));
    return keys_ceremony_read_key(token, PKI_HIERARCHY_ROOT, c->root_key);
}

static struct pki_hierarchy_wish wish_for(const struct cli_ceremony *c, const char *suffix,
                                          struct bytes public_key)
{
    return (struct pki_hierarchy_wish){ &c->names, suffix, public_key, c->now_s };
}

enum rc cli_ceremony_certify(struct cli_ceremony *c)
{
    AUTO_OF(keys_ceremony) *token = NULL;
    struct pki_certificate root;
    size_t count = 0;
    const struct pki_issuing *issuing = pki_hierarchy_issuing(&count);

    TRY(cli_tokens_open(&c->tokens, &c->place, &CLI_TOKEN_ROOT, &token));
    struct pki_signing signing = cli_tokens_signing(token);
    struct pki_hierarchy_wish wish = wish_for(c, "Root CA", BYTES_OF(c->root_key));
    TRY(pki_hierarchy_certify(&wish, NULL, c->verifier, &signing, PKI_HIERARCHY_ROOT,
                              &c->root));
    TRY(pki_certificate_read(buf_bytes(&c->root), &root));
    memcpy(c->root_hash, root.fingerprint, sizeof c->root_hash);
    for (size_t i = 0; i < count; i++) {
        wish = wish_for(c, issuing[i].common_name, BYTES_OF(c->issuing_key[i]));
        TRY(pki_hierarchy_certify(&wish, &root, c->verifier, &signing, PKI_HIERARCHY_ROOT,
                                  &c->issuing[i]));
        TRY(pki_certificate_read(buf_bytes(&c->issuing[i]), &c->certificate[i]));
    }
    return RC_OK;
}

static enum rc add_pem(const struct cli_ceremony *c, const char *folder, const char *name,
                       const char *label, struct bytes der)
{
    AUTO_BUF(path, PATH_MAX);
    AUTO_BUF(pem, PEM_MAX);
    const char *file = NULL;

    buf_addf(&path, "%s/%s.pem", folder, name);
    TRY(buf_text(&path, &file));
    pki_pem_add(&pem, label, der);
    return cli_place_add_file(&c->place, file, buf_bytes(&pem), false);
}

enum rc cli_ceremony_request(struct cli_ceremony *c)
{
    AUTO_OF(keys_ceremony) *token = NULL;
    size_t count = 0;
    const struct pki_issuing *issuing = pki_hierarchy_issuing(&count);

    TRY(cli_tokens_open(&c->tokens, &c->place, &CLI_TOKEN_ISSUING, &token));
    struct pki_signing signing = cli_tokens_signing(token);
    for (size_t i = 0; i < count; i++) {
        AUTO_BUF(request, CERTIFICATE_MAX);
        struct pki_hierarchy_wish wish =
            wish_for(c, issuing[i].common_name, BYTES_OF(c->issuing_key[i]));
        TRY(pki_hierarchy_request(&wish, &signing, issuing[i].key, &request));
        TRY(add_pem(c, "csr", issuing[i].key, "CERTIFICATE REQUEST", buf_bytes(&request)));
    }
    return RC_OK;
}

/* Which of our issuing keys a certificate is for; CLI_ISSUING for none: it belongs to the chain
 * above. */
static size_t place_of(const struct cli_ceremony *c, const struct pki_certificate *certificate)
{
    size_t i = 0;

    while (i < CLI_ISSUING &&
           !bytes_equal(certificate->public_key, BYTES_OF(c->issuing_key[i])))
        i++;
    return i;
}

/* The certificates of a chain file, DER. */
struct chain {
    struct buf der[CLI_CHAIN_MAX];
    struct bytes above[CLI_CHAIN_MAX];
    size_t count, above_count;
};

static void clear_chain(struct chain *chain)
{
    for (size_t i = 0; i < CLI_CHAIN_MAX; i++)
        buf_clear(&chain->der[i]);
}

static enum rc read_chain(struct cli_ceremony *c, struct bytes pem, struct chain *chain)
{
    for (;; chain->count++) {
        AUTO_BUF(der, CERTIFICATE_MAX);
        struct pki_certificate certificate;
        enum rc rc = pki_pem_next(&pem, "CERTIFICATE", &der);
        if (rc == RC_NOT_FOUND)
            return RC_OK;
        TRY(rc);
        if (chain->count == CLI_CHAIN_MAX)
            return fault(RC_LIMIT, "a chain of more than %d certificates", CLI_CHAIN_MAX);
        TRY(pki_certificate_read(buf_bytes(&der), &certificate));
        size_t place = place_of(c, &certificate);
        struct buf *kept = place < CLI_ISSUING ? &c->issuing[place] : &chain->der[chain->count];
        *kept = BUF_MAX(CERTIFICATE_MAX);
        buf_add(kept, buf_bytes(&der));
        if (place == CLI_ISSUING) {
            chain->above[chain->above_count++] = buf_bytes(kept);
            pki_pem_add(&c->above, "CERTIFICATE", buf_bytes(kept));
        }
    }
}

enum rc cli_ceremony_take_chain(struct cli_ceremony *c, struct bytes pem)
{
    [[gnu::cleanup(clear_chain)]] struct chain chain = { 0 };
    size_t count = 0;
    const struct pki_issuing *issuing = pki_hierarchy_issuing(&count);

    TRY(read_chain(c, pem, &chain));
    for (size_t i = 0; i < count; i++) {
        struct bytes der = buf_bytes(&c->issuing[i]);
        enum rc rc = der.len > 0 ? RC_OK : fault(RC_NOT_FOUND, "no certificate for its key");
        if (rc == RC_OK)
            rc = pki_certificate_read(der, &c->certificate[i]);
        if (rc == RC_OK)
            rc = pki_hierarchy_check_issuing(&c->certificate[i], BYTES_OF(c->issuing_key[i]),
                                             c->now_s);
        if (rc == RC_OK)
            rc = pki_path_check(der, chain.above, chain.above_count, c->now_s);
        if (rc != RC_OK)
            return fault_while(rc, "the chain's certificate for %s", issuing[i].key);
    }
    return RC_OK;
}

enum rc cli_ceremony_write_certificates(struct cli_ceremony *c)
{
    AUTO_BUF(chain, PEM_MAX);
    size_t count = 0;
    const struct pki_issuing *issuing = pki_hierarchy_issuing(&count);

    for (size_t i = 0; i < count; i++) {
        TRY(add_pem(c, "ca", issuing[i].key, "CERTIFICATE", buf_bytes(&c->issuing[i])));
        pki_pem_add(&chain, "CERTIFICATE", buf_bytes(&c->issuing[i]));
    }
    if (c->root.len > 0) {
        TRY(add_pem(c, "ca", PKI_HIERARCHY_ROOT, "CERTIFICATE", buf_bytes(&c->root)));
        pki_pem_add(&chain, "CERTIFICATE", buf_bytes(&c->root));
    }
    buf_add(&chain, buf_bytes(&c->above));
    return cli_place_add_file(&c->place, "ca/chain.pem", buf_bytes(&chain), false);
}

enum rc cli_ceremony_write_rules(struct cli_ceremony *c)
{
    AUTO_OF(keys_ceremony) *token = NULL;
    AUTO_BUF(text, KEYS_RULES_TEXT_MAX);
    AUTO_BUF(signature, 256);

    TRY(pki_hierarchy_rules(&c->names, c->certificate, BYTES_OF(c->checkpoint_key), &c->rules));
    TRY(keys_rules_write(&c->rules, &text));
    TRY(cli_tokens_open(&c->tokens, &c->place, &CLI_TOKEN_ROOT, &token));
    TRY(keys_ceremony_sign(token, PKI_HIERARCHY_ROOT, buf_bytes(&text), &signature));
    TRY(pki_key_hash(BYTES_OF(c->root_key), c->rules_key_hash));
    TRY(keys_rules_verify(buf_bytes(&text), buf_bytes(&signature), BYTES_OF(c->root_key),
                          BYTES_OF(c->rules_key_hash)));
    TRY(cli_place_add_file(&c->place, "keys/rules", buf_bytes(&text), false));
    TRY(cli_place_add_file(&c->place, "keys/rules.sig", buf_bytes(&signature), false));
    return cli_place_add_file(&c->place, "keys/ceremony.spki", BYTES_OF(c->root_key), false);
}

/*
 * SoftHSM 2.6 writes token.object anew in place at every login (to clear a flag that says that
 * PINs were wrong), and without the file there is no token: a process killed just then, or a
 * power cut, would lose all keys. It does not need to: what cannot be written is passed over.
 */
static enum rc seal_tokens(const struct cli_ceremony *c)
{
    TRY(cli_place_seal(&c->place, "hsm/issuing", ".object"));
    return cli_place_seal(&c->place, "root", ".object");
}

enum rc cli_ceremony_hand_over(struct cli_ceremony *c)
{
    TRY(cli_tokens_write_conf(&c->tokens, &c->place, &CLI_TOKEN_ISSUING));
    TRY(cli_tokens_write_conf(&c->tokens, &c->place, &CLI_TOKEN_ROOT));
    TRY(seal_tokens(c));
    const struct cli_user *signer = &c->users.of[CLI_SIGNER];
    if (signer->uid != geteuid())
        TRY(cli_place_give(&c->place, "hsm/issuing", signer->uid, signer->gid));
    return cli_users_give(&c->users, &c->place);
}
