/* touchmark-signer itself, started as touchmarkd starts it, on a SoftHSM of its own. */
#pragma once

#include <sys/types.h>

#include "keys/rules.h"
#include "tests/support/softhsm.h"

struct signer_program {
    struct softhsm hsm;
    struct keys_rules *rules;
    char pin_sha256[65];
    const char *pin;
    int workers;
    pid_t pid;
    int ask, control; /* the authority's end, and touchmarkd's */
};

/* Setup and teardown of a test: token and keys are made, nothing runs yet; and all is gone. */
int signer_program_prepare(void **state);
int signer_program_clean(void **state);
void signer_program_start(struct signer_program *w);
/* By SIGTERM, or once it ended by itself: its exit code, or 1000 and a signal. */
int signer_program_stop(struct signer_program *w);
int signer_program_ended(struct signer_program *w);
/* A file in its folder: "rules", ... */
void signer_program_put_file(const struct signer_program *w, const char *name,
                             struct bytes bytes);
/* How often a text stands in its log. */
unsigned signer_program_logged(const struct signer_program *w, const char *text);
