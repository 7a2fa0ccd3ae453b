#include "daemon/signer.h"

#include <fcntl.h>

#include "base/file.h"
#include "base/text.h"

enum { SIGNATURE_FILE_MAX = 128, KEY_FILE_MAX = 128, PIN_BYTES = 32 };

enum rc daemon_signer_rules(const struct daemon_config *config, struct keys_rules **rules)
{
    AUTO_BUF(text, KEYS_RULES_TEXT_MAX);
    AUTO_BUF(signature, SIGNATURE_FILE_MAX);
    AUTO_BUF(key, KEY_FILE_MAX);
    AUTO_BUF(pin, PIN_BYTES);

    if (text_read_hex(bytes_of_text(config->signer.rules_key_sha256), &pin) != RC_OK ||
        pin.len != PIN_BYTES)
        return fault(RC_MALFORMED, "signer.rules_key_sha256: expected 64 hexadecimal digits");
    TRY(file_read(AT_FDCWD, config->signer.rules, &text));
    TRY(file_read(AT_FDCWD, config->signer.rules_signature, &signature));
    TRY(file_read(AT_FDCWD, config->signer.rules_key, &key));
    TRY(keys_rules_verify(buf_bytes(&text), buf_bytes(&signature), buf_bytes(&key),
                          buf_bytes(&pin)));
    return keys_rules_read(buf_bytes(&text), rules);
}
