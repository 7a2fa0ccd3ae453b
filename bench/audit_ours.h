/* The audit log on disk, as the authority keeps it, and the floor beside it. */
#pragma once

#include "audit/log.h"
#include "bench/audit_fleet.h"
#include "store/seal.h"

enum { AUDIT_OURS_GROUP_MAX = 1000 };

/* Of the process, since some moment: processor time, and the clock. */
struct audit_cost {
    double cpu_us, wall_us;
};
struct audit_cost audit_cost_now(void);
void audit_cost_add(struct audit_cost *sum, const struct audit_cost *since);

/* Records that are about to be written: what a spool has of them. */
struct audit_stage {
    struct buf bytes;
    size_t ends[AUDIT_OURS_GROUP_MAX];
    bool own[AUDIT_OURS_GROUP_MAX]; /* the authority's */
    size_t count;
};
struct bytes audit_stage_record(const struct audit_stage *stage, size_t i);

struct audit_ours {
    struct audit_fleet fleet;
    struct clock clock;
    struct store_schema schema;
    struct store *store;
    struct audit_log *log;
    uint64_t size, sequence; /* of the door's spool */
    struct audit_stage stage;
    struct audit_fleet_record made;
};

/* In the empty folder dir. */
enum rc audit_ours_open(int dir, const struct audit_fleet *fleet, struct audit_ours *ours);
void audit_ours_close(struct audit_ours *ours);
/* The next ones are made, in memory. */
enum rc audit_ours_stage(struct audit_ours *ours, size_t count);
/* They are taken in, in one durable transaction. */
enum rc audit_ours_write(struct audit_ours *ours);
/* All merging that is due, a transaction for each step. */
enum rc audit_ours_index(struct audit_ours *ours);

/* ---- The floor ---- */

/*
 * Of the same records the cryptography of the format: the commitment, the leaf's hash, one hash
 * of the tree, and the body sealed (under one key, that is open); and one write of the entries,
 * one sync, one write of a page and a second sync for the group, as the store's commit has them
 * (what it wrote, then the page that says so). Or, with a store: a table with nothing but
 * entries takes the place of the file. Bare: nothing is sealed.
 */
enum audit_floor_kind { AUDIT_FLOOR_BARE, AUDIT_FLOOR_SEALED, AUDIT_FLOOR_STORE };
struct audit_floor {
    int fd;
    off_t offset;
    struct audit_hasher *hasher;
    struct store_seal *seal; /* NULL: nothing is sealed */
    struct buf entry, entries;
    size_t ends[AUDIT_OURS_GROUP_MAX], count;
    struct clock clock;
    struct store *store; /* NULL: a file */
    uint64_t next;
};
enum rc audit_floor_open(int dir, enum audit_floor_kind kind, struct audit_floor *floor);
void audit_floor_close(struct audit_floor *floor);
enum rc audit_floor_write(struct audit_floor *floor, const struct audit_stage *stage);
