#include "keys/ladder.h"

#include <pkcs11-helper-1.0/pkcs11h-core.h>

static const struct {
    unsigned long rv;
    enum keys_ladder rung;
} RUNGS[] = {
    { CKR_OK, KEYS_LADDER_DONE },
    { CKR_DATA_INVALID, KEYS_LADDER_REFUSE },
    { CKR_DATA_LEN_RANGE, KEYS_LADDER_REFUSE },
    { CKR_SESSION_CLOSED, KEYS_LADDER_SESSION },
    { CKR_SESSION_HANDLE_INVALID, KEYS_LADDER_SESSION },
    { CKR_SESSION_PARALLEL_NOT_SUPPORTED, KEYS_LADDER_SESSION },
    { CKR_OBJECT_HANDLE_INVALID, KEYS_LADDER_FIND },
    { CKR_KEY_HANDLE_INVALID, KEYS_LADDER_FIND },
    { CKR_USER_NOT_LOGGED_IN, KEYS_LADDER_INITIALISE },
    { CKR_TOKEN_NOT_PRESENT, KEYS_LADDER_INITIALISE },
    { CKR_DEVICE_ERROR, KEYS_LADDER_INITIALISE },
    { CKR_DEVICE_REMOVED, KEYS_LADDER_INITIALISE },
    { CKR_PIN_INCORRECT, KEYS_LADDER_STOP },
    { CKR_PIN_LOCKED, KEYS_LADDER_STOP },
};

enum keys_ladder keys_ladder_rung(unsigned long rv)
{
    for (size_t i = 0; i < sizeof RUNGS / sizeof *RUNGS; i++)
        if (RUNGS[i].rv == rv)
            return RUNGS[i].rung;
    return KEYS_LADDER_INITIALISE;
}

const char *keys_ladder_name(unsigned long rv)
{
    return pkcs11h_getMessage(rv);
}
