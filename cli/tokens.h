/* The two HSM tokens of a key ceremony, one open at a time, and signing with the open one. */
#pragma once

#include "cli/place.h"
#include "keys/ceremony.h"
#include "keys/grant.h"
#include "pki/issue.h"

/* Where tokens come from: a PKCS#11 module, and what it is told. */
struct cli_tokens {
    const char *module;
    enum keys_grant_name grant;
};

/* One of the two. With SoftHSM each lies in a folder of its own, which can be carried away. */
struct cli_token {
    const char *label;        /* CKA_LABEL of the token */
    const char *folder;       /* in the place: "root" */
    const char *pin, *so_pin; /* files in the place */
};
extern const struct cli_token CLI_TOKEN_ROOT, CLI_TOKEN_ISSUING;

/* Make the token with new PINs and log in. The folder must be there. */
enum rc cli_tokens_create(const struct cli_tokens *tokens, const struct cli_place *place,
                          const struct cli_token *token, struct keys_ceremony **ceremony);
enum rc cli_tokens_open(const struct cli_tokens *tokens, const struct cli_place *place,
                        const struct cli_token *token, struct keys_ceremony **ceremony);
/* With SoftHSM: write the token's own softhsm2.conf, which names its final place. */
enum rc cli_tokens_write_conf(const struct cli_tokens *tokens, const struct cli_place *place,
                              const struct cli_token *token);

/* Signs with keys of the open token, without rules: for the ceremony alone. */
struct pki_signing cli_tokens_signing(struct keys_ceremony *ceremony);
