/* A server under measure: the floor, a peer, or ours, behind one interface. */
#pragma once

#include "bench/load_identity.h"

#include <sys/types.h>

enum { SUBJECT_PROCESSES_MAX = 16, SUBJECT_PATH_MAX = 512, SUBJECT_NAME_MAX = 64 };

/*
 * What clients may do: all of bench/# ; or only publish and subscribe to bench/ID, by one rule
 * that names the id as a fact, or by a rule (a user, a role) for each client of the world.
 */
enum subject_rules { SUBJECT_OPEN, SUBJECT_ONE_RULE, SUBJECT_OWN_RULES };
/* Who keeps mosquitto's rules, if not open; the latter knows no facts. */
enum subject_judge { SUBJECT_ACL_FILE, SUBJECT_DYNAMIC_SECURITY };

/* What all subjects of a run share: a temporary folder with a CA, and many clients under it. */
struct subject_world {
    char folder[SUBJECT_PATH_MAX];
    char programs[SUBJECT_PATH_MAX]; /* where this program stands */
    struct load_identities clients;
    struct load_identities devices; /* the same ids, enrolled with ours when it first starts */
    enum subject_rules rules;       /* set before the subjects start */
    enum subject_judge judge;
};

enum subject_kind { SUBJECT_FLOOR, SUBJECT_PEER, SUBJECT_OURS, SUBJECT_KINDS };

struct subject {
    enum subject_kind kind;
    char name[SUBJECT_NAME_MAX]; /* "mosquitto 2.0.11" */
    bool running;
    pid_t pids[SUBJECT_PROCESSES_MAX]; /* [0] is the one to stop */
    size_t count;
    pid_t door; /* the one that holds the connections */
    uint16_t port;
    char ca_path[SUBJECT_PATH_MAX];
    const struct load_identities *clients; /* the world's */
    char folder[SUBJECT_PATH_MAX];
    char url[SUBJECT_PATH_MAX]; /* of our operator door; empty if it is not ours */
};

/* Makes the folder (under TMPDIR or /tmp) and its identities. */
enum rc subject_world_open(size_t clients, struct subject_world *world);
void subject_world_close(struct subject_world *world);
/* With all that is in it. */
void subject_remove_folder(const char *folder);

/* RC_NOT_FOUND if its program is not there: fault_text() says which. */
enum rc subject_start(struct subject_world *world, enum subject_kind kind,
                      struct subject *subject);
void subject_stop(struct subject *subject);

/* Ours only: make this text the active policy; and wait until every door follows. */
enum rc subject_apply_policy(const struct subject *subject, struct bytes text);
enum rc subject_wait_followed(const struct subject *subject);

/* Processor time of all its processes (or of its door only) since they began. */
double subject_cpu_us(const struct subject *subject);
double subject_door_cpu_us(const struct subject *subject);
/* Proportional share of memory of all its processes, in kB. */
double subject_memory_kb(const struct subject *subject);
