#include "cli/tokens.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>

const struct cli_token CLI_TOKEN_ROOT = { "touchmark-root", "root", "root/pin", "root/so-pin" };
const struct cli_token CLI_TOKEN_ISSUING = { "touchmark", "hsm/issuing", "secrets/issuing.pin",
                                             "secrets/issuing.so-pin" };

static bool has_folder(const struct cli_tokens *tokens)
{
    return tokens->grant == KEYS_GRANT_SOFTHSM;
}

static void add_conf(struct buf *conf, struct bytes place, const struct cli_token *token)
{
    buf_addf(conf,
             "directories.tokendir = %.*s/%s/tokens\nobjectstore.backend = file\n"
             "log.level = ERROR\n",
             BYTES_FMT(place), token->folder);
}

/* SoftHSM reads its settings from a file that an environment variable names, when it is
 * initialised. */
static enum rc point_module_at(const struct cli_tokens *tokens, const struct cli_place *place,
                               const struct cli_token *token)
{
    AUTO_BUF(conf, 2 * PATH_MAX);
    AUTO_BUF(name, 256);
    AUTO_BUF(path, PATH_MAX);
    const char *file = NULL, *whole = NULL;

    if (!has_folder(tokens))
        return RC_OK;
    add_conf(&conf, buf_bytes(&place->working_path), token);
    buf_addf(&name, "%s/ceremony.conf", token->folder);
    TRY(buf_text(&name, &file));
    enum rc rc = cli_place_add_file(place, file, buf_bytes(&conf), false);
    if (rc != RC_OK && rc != RC_EXISTS)
        return rc;
    buf_addf(&path, "%.*s/%s", BYTES_FMT(buf_bytes(&place->working_path)), file);
    TRY(buf_text(&path, &whole));
    if (setenv(keys_grant_of(tokens->grant)->conf_variable, whole, 1) != 0)
        return fault_errno("environment");
    return RC_OK;
}

static enum rc make_token_folder(const struct cli_tokens *tokens, const struct cli_place *place,
                                 const struct cli_token *token)
{
    AUTO_BUF(name, 256);
    const char *text = NULL;

    if (!has_folder(tokens))
        return RC_OK;
    buf_addf(&name, "%s/tokens", token->folder);
    TRY(buf_text(&name, &text));
    return cli_place_add_folder(place, text, true);
}

enum rc cli_tokens_create(const struct cli_tokens *tokens, const struct cli_place *place,
                          const struct cli_token *token, struct keys_ceremony **ceremony)
{
    AUTO_SECRET(pin);
    AUTO_SECRET(so_pin);

    TRY(make_token_folder(tokens, place, token));
    TRY(point_module_at(tokens, place, token));
    TRY(cli_place_add_pin(place, token->pin, &pin));
    TRY(cli_place_add_pin(place, token->so_pin, &so_pin));
    return keys_ceremony_create(tokens->module, token->label, &so_pin, &pin, ceremony);
}

enum rc cli_tokens_open(const struct cli_tokens *tokens, const struct cli_place *place,
                        const struct cli_token *token, struct keys_ceremony **ceremony)
{
    AUTO_SECRET(pin);

    TRY(point_module_at(tokens, place, token));
    TRY(cli_place_read_pin(place, token->pin, &pin));
    return keys_ceremony_open(tokens->module, token->label, &pin, ceremony);
}

enum rc cli_tokens_write_conf(const struct cli_tokens *tokens, const struct cli_place *place,
                              const struct cli_token *token)
{
    AUTO_BUF(conf, 2 * PATH_MAX);
    AUTO_BUF(name, 256);
    AUTO_BUF(temporary, 256);
    const char *file = NULL, *used = NULL;

    if (!has_folder(tokens))
        return RC_OK;
    buf_addf(&temporary, "%s/ceremony.conf", token->folder);
    TRY(buf_text(&temporary, &used));
    if (unlinkat(place->dir, used, 0) != 0)
        return fault_errno("remove %s", used);
    add_conf(&conf, buf_bytes(&place->final_path), token);
    buf_addf(&name, "%s/softhsm2.conf", token->folder);
    TRY(buf_text(&name, &file));
    return cli_place_add_file(place, file, buf_bytes(&conf), false);
}

static enum rc sign(void *with, const char *key, enum keys_kind kind, struct bytes to_be_signed,
                    struct buf *signature)
{
    (void)kind;
    return keys_ceremony_sign(with, key, to_be_signed, signature);
}

struct pki_signing cli_tokens_signing(struct keys_ceremony *ceremony)
{
    return (struct pki_signing){ sign, ceremony };
}
