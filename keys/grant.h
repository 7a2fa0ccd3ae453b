/* What a PKCS#11 module needs beyond its own memory, by name: the only holes in a worker's
 * jail. */
#pragma once

#include "base/rc.h"

#include <stddef.h>

/*
 * Data for base/sandbox.h. No grant has SANDBOX_CALLS_CHILDREN: a module that must execute
 * another program is refused, and one that tries is killed.
 */
struct keys_grant {
    const char *name;
    const char *
        conf_variable; /* environment variable that names the module's settings file, or NULL */
    unsigned calls;    /* set of enum sandbox_calls */
    unsigned folder_access; /* set of enum sandbox_access, to the module's own folder */
};

enum keys_grant_name { KEYS_GRANT_SOFTHSM, KEYS_GRANT_GENERIC, KEYS_GRANTS };

/* The names in the order of the enum, for a setting's choices: "softhsm,generic". */
#define KEYS_GRANT_CHOICES "softhsm,generic"

const struct keys_grant *keys_grant_of(enum keys_grant_name name);
