/* What the tests of audit/ share: a store of the log's tables, a key, records at random. */
#pragma once

#include "tests/support/check.h"

#include "audit/log.h"
#include "audit/saying.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct logs {
    char path[32];
    int dir;
    int64_t now;
    struct clock clock;
    struct store_schema schema;
    struct store *store;
    struct audit_log *log;
};

static inline int64_t logs_hand(void *with)
{
    return *(const int64_t *)with;
}

static inline void logs_folder(char path[32], int *dir)
{
    static const char PATTERN[] = "/tmp/test_audit.XXXXXX";

    for (size_t i = 0; i < sizeof PATTERN; i++)
        path[i] = PATTERN[i];
    assert_non_null(mkdtemp(path));
    *dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(*dir >= 0);
}

static inline void logs_folder_remove(const char *path, int dir)
{
    DIR *list = opendir(path);

    assert_non_null(list);
    for (struct dirent *one = readdir(list); one != NULL; one = readdir(list))
        unlinkat(dir, one->d_name, 0);
    closedir(list);
    close(dir);
    rmdir(path);
}

static inline void logs_unlock(struct audit_log *log)
{
    AUTO_SECRET(key);

    assert_int_equal(secret_set(&key, BYTES("a sealing key of thirty-two byte")), RC_OK);
    assert_int_equal(audit_log_unlock(log, &key), RC_OK);
}

static inline int logs_set_up(void **state)
{
    struct logs *w = calloc(1, sizeof *w);

    assert_non_null(w);
    logs_folder(w->path, &w->dir);
    w->clock = (struct clock){ logs_hand, logs_hand, &w->now };
    w->schema = (struct store_schema){ "audit", 1, audit_log_tables(), AUDIT_TABLES };
    const struct store_settings settings = { .map_bytes = 256 << 20,
                                             .clock = &w->clock,
                                             .rehearse = true };
    assert_int_equal(store_open(w->dir, &w->schema, &settings, &w->store), RC_OK);
    assert_int_equal(audit_log_new(0, &w->log), RC_OK);
    logs_unlock(w->log);
    *state = w;
    return 0;
}

static inline int logs_tear_down(void **state)
{
    struct logs *w = *state;

    audit_log_free(w->log);
    store_close(w->store);
    logs_folder_remove(w->path, w->dir);
    free(w);
    return 0;
}

static inline uint64_t logs_dice(uint64_t *dice)
{
    *dice = *dice * 6364136223846793005u + 1442695040888963407u;
    return *dice >> 33;
}

/* A record at random: few devices, operators, addresses, so that searches meet. */
static inline struct audit_record logs_record(uint64_t *dice)
{
    static const char *const IDS[] = { "dev-1", "dev-2", "dev-3", "dev-4", "dev-10" };
    static const char *const PEERS[] = { "192.0.2.1:55000", "192.0.2.1:55001", "192.0.2.77:1" };
    static const uint8_t PRINTS[3][AUDIT_HASH] = { { 1 },
                                                   { 2 },
                                                   { 1, 0, 0, 0, 0, 0, 0, 0, 1 } };
    size_t count;
    const struct audit_action_row *rows = audit_action_list(&count);
    const struct audit_action_row *row = &rows[logs_dice(dice) % count];
    struct audit_record record = {
        .action = row->action,
        .decision = (enum audit_decision)(1 + logs_dice(dice) % 3),
        .wall_ms = (int64_t)(1000000 + logs_dice(dice) % 5000),
        .monotonic_ms = (int64_t)(logs_dice(dice) % 100000),
        .actor_kind = (enum audit_actor_kind)(logs_dice(dice) % 5),
        .peer = bytes_of_text(PEERS[logs_dice(dice) % 3]),
        .reason = BYTES("rule 3 says so"),
    };

    record.correlation[0] = (uint8_t)(logs_dice(dice) % 20);
    if (record.actor_kind != AUDIT_NOBODY) {
        record.actor = bytes_of_text(IDS[logs_dice(dice) % 5]);
        record.actor_certificate.fingerprint = BYTES_OF(PRINTS[logs_dice(dice) % 3]);
    }
    if (logs_dice(dice) % 2 == 0)
        record.device = bytes_of_text(IDS[logs_dice(dice) % 5]);
    if ((row->fields & AUDIT_CERTIFICATE_FIELD) != 0)
        record.certificate.fingerprint = BYTES_OF(PRINTS[logs_dice(dice) % 3]);
    if ((row->fields & AUDIT_POLICY_FIELD) != 0) {
        record.policy_version = 7;
        record.rule = (uint32_t)(logs_dice(dice) % 4);
        record.target = BYTES("plant/7/temperature");
    }
    return record;
}

/* One that this source may say. */
static inline struct audit_record logs_record_of(enum audit_source source, uint64_t *dice)
{
    for (;;) {
        struct audit_record record = logs_record(dice);
        if (source == AUDIT_FROM_AUTHORITY)
            return record;
        record.device = (struct bytes){ 0 };
        record.certificate = (struct audit_certificate){ 0 };
        if (record.actor_kind == AUDIT_PROCESS)
            record.actor = source == AUDIT_FROM_SIGNER
                               ? BYTES("authority")
                               : bytes_of_text(audit_source_name(source));
        if (audit_saying_check(source, &record) == RC_OK)
            return record;
    }
}

struct logs_many {
    struct logs *logs;
    const struct audit_record *records;
    size_t count;
};

static inline enum rc logs_append_many(struct store_txn *txn, void *with)
{
    const struct logs_many *many = with;

    for (size_t i = 0; i < many->count; i++)
        TRY(audit_log_append(many->logs->log, txn, &many->records[i], NULL));
    return RC_OK;
}

static inline void logs_fill(struct logs *w, struct audit_record *records, size_t count)
{
    uint64_t dice = 42;
    struct logs_many many = { w, records, count };

    for (size_t i = 0; i < count; i++)
        records[i] = logs_record(&dice);
    assert_int_equal(store_write(w->store, logs_append_many, &many), RC_OK);
}

/* The same; but of erasing and pruning only the record at this place tells, and of one. */
static inline void logs_fill_telling(struct logs *w, struct audit_record *records, size_t count,
                                     size_t told)
{
    uint64_t dice = 42;
    struct logs_many many = { w, records, count };

    for (size_t i = 0; i < count; i++) {
        records[i] = logs_record(&dice);
        if (records[i].action == AUDIT_LOG_ERASE || records[i].action == AUDIT_LOG_PRUNE)
            records[i].action = AUDIT_LOG_HOLD;
        if (i == told)
            records[i] = (struct audit_record){ .action = AUDIT_LOG_ERASE,
                                                .decision = AUDIT_ALLOWED,
                                                .actor_kind = AUDIT_PROCESS,
                                                .actor = BYTES("authority"),
                                                .target = BYTES("device dev-1"),
                                                .reason = BYTES("done: 1 records") };
    }
    assert_int_equal(store_write(w->store, logs_append_many, &many), RC_OK);
}
