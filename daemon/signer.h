/* The signer's two roles, both the program touchmark-signer: a parent, and the workers it
 * starts. */
#pragma once

#include "daemon/child.h"
#include "daemon/table.h"
#include "keys/rules.h"

/* argv[0] of a worker; it is born with the link to its parent under this name, and the PIN. */
#define DAEMON_SIGNER_WORKER "signer-worker"
#define DAEMON_SIGNER_WORK   "work"
#define DAEMON_SIGNER_PIN    "pin"

/* The key rules that the settings name, verified. RC_MALFORMED and RC_DENIED: wrong settings.
 */
enum rc daemon_signer_rules(const struct daemon_config *config, struct keys_rules **rules);

/*
 * Start a worker and wait until it is ready: PEERS.md section 7, C_Initialize racing another
 * process's C_Login loses the token. *link is the asking end. On failure *code is what the
 * worker exited with, or 0.
 */
enum rc daemon_signer_start_worker(const struct daemon_config *config, int pin, int *link,
                                   int *code);

/* A worker's main(): the exit code. Ends without destructors once the token is finalised. */
int daemon_signer_work(void);
