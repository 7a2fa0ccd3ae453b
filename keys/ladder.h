/* What to do when the HSM token refuses: every PKCS#11 return value leads to one rung. */
#pragma once

/*
 * PKCS#11 2.40 section 5.1 names the values; what helps against which was tried on
 * SoftHSM, opencryptoki and tpm2-pkcs11. A rung is tried once for one signature. The PIN is
 * gone after the start, so whatever needs a login or C_Initialize again is done by
 * the process ending: its start is the only place where a token is opened.
 */
enum keys_ladder {
    KEYS_LADDER_DONE,       /* CKR_OK */
    KEYS_LADDER_REFUSE,     /* this input is at fault: answer so and go on */
    KEYS_LADDER_SESSION,    /* open a new session, try again */
    KEYS_LADDER_FIND,       /* find the key again, try again */
    KEYS_LADDER_INITIALISE, /* end the process; a fresh one may succeed */
    KEYS_LADDER_STOP,       /* end the process, and do not start it again: the PIN is wrong */
};

/* rv is a CK_RV. What the table does not know is KEYS_LADDER_INITIALISE. */
enum keys_ladder keys_ladder_rung(unsigned long rv);
/* The constant's name, "CKR_PIN_INCORRECT", for messages. */
const char *keys_ladder_name(unsigned long rv);
