/* A number of clients that connect at a rate, a few handshakes at a time. */
#pragma once

#include "bench/load.h"

struct load_crowd {
    struct load *load;
    struct load_client *clients;
    size_t count;
    size_t started, live, ended; /* since load_crowd_connect() */
    size_t resumed;
    const char *why; /* the first that ended, and with which code */
    unsigned code;
    /* Whose live() and ended() want to know too; with it, an end is no failure. */
    struct load_handler outer;
};

struct load_pace {
    size_t at_once;      /* handshakes under way */
    double rate;         /* a second; 0: as fast as they go */
    bool stop_when_live; /* say DISCONNECT as soon as CONNACK is there */
};

/* The identities are borrowed; the crowd is the load's handler until others are set. */
enum rc load_crowd_open(struct load *load, const struct load_identities *identities,
                        size_t count, struct load_crowd *crowd);
/* What the crowd counts, for whoever replaces its handler. */
void load_crowd_count_live(struct load_crowd *crowd, struct load_client *client);
void load_crowd_count_ended(struct load_crowd *crowd, struct load_client *client,
                            const char *why, unsigned code);
/* RC_CLOSED if a connection ended and nobody outside wants to know. */
enum rc load_crowd_check(const struct load_crowd *crowd);
void load_crowd_close(struct load_crowd *crowd);

/* Connect all of them and wait until each is live, or refused. RC_CLOSED if one was not let in
 * and nobody outside wants to know. */
enum rc load_crowd_connect(struct load_crowd *crowd, const struct load_pace *pace);
