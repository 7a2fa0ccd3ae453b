/* A jail to try things in, one child a try: what the tests of base/sandbox share. */
#pragma once

#include "base/sandbox.h"

/*
 * Each probe runs in a child of its own that has entered a jail, tries one thing and ends with
 * errno (0: it worked). KILLED is what the jail does to a call outside its list.
 */
enum { JAILED_KILLED = 1000, JAILED_NOT_ENTERED = 250 };

struct jailed_probe {
    const char *claim;
    unsigned calls;
    int (*probe)(void);
    int expected;
};

/* Folders read, write and make below "jail", granted as they are called, and a secret beside
 * them; a listener on a port of 127.0.0.1 that may be connected to. For cmocka's group set-up
 * and tear-down. */
int jailed_set_up(void **state);
int jailed_tear_down(void **state);
uint16_t jailed_port(void);
struct sandbox jailed_in(unsigned calls);

int jailed_outcome(const struct sandbox *jail, int (*probe)(void));
/* What a child ends with that calls check: 0, or the line that did not hold. */
int jailed_check(int (*check)(void));
#define JAILED_HOLDS(condition)                                                                \
    do {                                                                                       \
        if (!(condition))                                                                      \
            return __LINE__ % 200 + 1;                                                         \
    } while (0)

/* How many probes did not end as told, each named on standard error. */
size_t jailed_count_wrong(const struct jailed_probe *probes, size_t count, int abi_most);

/* 0, or errno, of a call that returned this. */
int jailed_result(long returned);
