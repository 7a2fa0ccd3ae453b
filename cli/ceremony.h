/* The key ceremony, step by step: what touchmark init does between making a folder and giving
 * it its name. */
#pragma once

#include "cli/place.h"
#include "cli/tokens.h"
#include "cli/users.h"
#include "pki/hierarchy.h"

enum { CLI_ISSUING = 3, CLI_CHAIN_MAX = 8 };

/* All that steps leave for later ones. Zero it, then cli_ceremony_begin(). */
struct cli_ceremony {
    struct cli_tokens tokens;
    struct cli_place place;
    struct pki_hierarchy_names names;
    const char *operator_id;
    struct cli_users users; /* names as given */
    struct cli_listeners {  /* as given; NULL: the setting's default */
        const char *mqtts, *https, *http, *operator_https;
    } listeners;
    int64_t now_s;

    struct pki_verifier *verifier;
    uint8_t root_key[PKI_KEY_LEN], checkpoint_key[PKI_KEY_LEN];
    uint8_t issuing_key[CLI_ISSUING][PKI_KEY_LEN];
    struct buf root;                 /* our root's certificate; empty under a foreign one */
    struct buf issuing[CLI_ISSUING]; /* certificates, DER */
    struct pki_certificate certificate[CLI_ISSUING]; /* views of them */
    struct buf above; /* certificates above a foreign chain's, PEM */
    struct keys_rules rules;
    uint8_t rules_key_hash[PKI_HASH_LEN], root_hash[PKI_HASH_LEN];
};

enum rc cli_ceremony_begin(struct cli_ceremony *c);
void cli_ceremony_clear(struct cli_ceremony *c);

/* Folders, both tokens, all keys. The root token holds one key: a root CA's, or under a foreign
 * root the rules' alone. */
enum rc cli_ceremony_make_keys(struct cli_ceremony *c);
/* The same keys, from tokens made before. */
enum rc cli_ceremony_find_keys(struct cli_ceremony *c);

/* Our own root: certificates of root and issuing CAs. */
enum rc cli_ceremony_certify(struct cli_ceremony *c);
/* A foreign root: requests to carry to it, csr/NAME.pem. */
enum rc cli_ceremony_request(struct cli_ceremony *c);
/* ... and what came back: PEM with all issuing certificates and the chain above. */
enum rc cli_ceremony_take_chain(struct cli_ceremony *c, struct bytes pem);

/* Rules and their signature, CA certificates, the first operator, the policy, the settings; in
 * this order. */
enum rc cli_ceremony_write_rules(struct cli_ceremony *c);
enum rc cli_ceremony_write_certificates(struct cli_ceremony *c);
enum rc cli_ceremony_enrol_operator(struct cli_ceremony *c);
enum rc cli_ceremony_write_settings(struct cli_ceremony *c);
/* The modules' settings files, and files to their users. */
enum rc cli_ceremony_hand_over(struct cli_ceremony *c);
