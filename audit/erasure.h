/* An erasure under way, as the log has it and doors are told. */
#pragma once

#include "audit/record.h"

struct audit_erasure {
    enum audit_actor_kind kind; /* device, operator, line */
    struct bytes id;
    uint64_t limit;   /* only records below it; it is the index of log.erase itself */
    uint64_t next;    /* how far it came */
    uint64_t records; /* erased so far */
    uint32_t key;     /* 0: it has none of its own */
};

/* kind u8, id sized16, limit, next, records u64: the key is nobody else's business. */
void audit_erasure_write(const struct audit_erasure *erasure, struct buf *buf);
/* From a reader, as one of many; RC_MALFORMED. */
enum rc audit_erasure_read(struct reader *r, struct audit_erasure *erasure);
