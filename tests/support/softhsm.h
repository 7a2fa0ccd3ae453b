/* A SoftHSM2 of the test's own: an empty token folder and SOFTHSM2_CONF pointing at it. */
#pragma once

#define SOFTHSM_MODULE "/usr/lib/softhsm/libsofthsm2.so"
#define SOFTHSM_SPY    "/usr/lib/x86_64-linux-gnu/pkcs11-spy.so"

struct softhsm {
    char dir[64];    /* removed by softhsm_remove() */
    char conf[96];   /* what SOFTHSM2_CONF says */
    char tokens[96]; /* the folder that holds the tokens */
    char spy[96]; /* what PKCS11SPY_OUTPUT says: the working folder's; the spy opens it once a
                     process */
};

void softhsm_make(struct softhsm *hsm);
/* From here on SOFTHSM_SPY is a module that logs every call to hsm->spy, empty now, and passes
 * it on. */
void softhsm_spy(struct softhsm *hsm);
/* How often a text stands in the spy's log. */
unsigned softhsm_spied(const struct softhsm *hsm, const char *text);
void softhsm_remove(struct softhsm *hsm);
