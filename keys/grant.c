#include "keys/grant.h"

#include <assert.h>

#include "base/sandbox.h"

/*
 * SoftHSM re-reads the token's and the key's file before each signature and takes a lock on
 * them for that; it opens them for writing only where objects change, which workers never do.
 * generic: a module that keeps its state in one folder, or talks to a daemon or device over a
 * socket.
 */
static const struct keys_grant GRANTS[KEYS_GRANTS] = {
    [KEYS_GRANT_SOFTHSM] = { "softhsm", "SOFTHSM2_CONF", SANDBOX_CALLS_FILES,
                             SANDBOX_READ | SANDBOX_WRITE },
    [KEYS_GRANT_GENERIC] = { "generic", NULL,
                             SANDBOX_CALLS_FILES | SANDBOX_CALLS_MAP | SANDBOX_CALLS_THREADS |
                                 SANDBOX_CALLS_CONNECT,
                             SANDBOX_READ | SANDBOX_WRITE | SANDBOX_MAKE },
};

const struct keys_grant *keys_grant_of(enum keys_grant_name name)
{
    assert(name < KEYS_GRANTS);
    return &GRANTS[name];
}
