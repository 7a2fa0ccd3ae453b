#include "registry/rows.h"

#include <inttypes.h>

/* Fact "brought ID": since when and how many octets, u64 each, of the texts and proposals that
 * an operator has brought within a day. */
enum { WINDOW_MS = 24 * 3600 * 1000, MIB = 1 << 20 };

struct brought {
    uint64_t since_ms, octets;
};

static enum rc read_brought(struct store_txn *txn, struct bytes name, struct brought *brought)
{
    struct store_value value;
    enum rc rc = store_txn_get(txn, REGISTRY_FACTS, name, &value);

    *brought = (struct brought){ 0 };
    if (rc == RC_NOT_FOUND)
        return RC_OK;
    TRY(rc);
    struct reader r = READER(value.bytes);
    brought->since_ms = reader_u64(&r);
    brought->octets = reader_u64(&r);
    return reader_done(&r) ? RC_OK : fault(RC_CORRUPT, "registry: what an operator brought");
}

enum rc registry_quota_take(struct store_txn *txn, struct bytes author, size_t octets,
                            uint64_t most, int64_t now_ms)
{
    struct brought brought;
    AUTO_BUF(name, REGISTRY_ID_MAX + 16);
    AUTO_BUF(row, 16);

    if (author.len == 0)
        return RC_OK;
    buf_addf(&name, "brought ");
    buf_add(&name, author);
    TRY(read_brought(txn, buf_bytes(&name), &brought));
    if (brought.octets == 0 || now_ms - (int64_t)brought.since_ms >= WINDOW_MS)
        brought = (struct brought){ .since_ms = (uint64_t)now_ms };
    if (octets > most || brought.octets > most - octets)
        return fault(RC_EXISTS,
                     "%.*s has brought %" PRIu64 " MiB of policies and proposals within a day, "
                     "and may bring %" PRIu64,
                     BYTES_FMT(author), brought.octets / MIB, most / MIB);
    buf_add_u64(&row, brought.since_ms);
    buf_add_u64(&row, brought.octets + octets);
    return store_txn_put(txn, REGISTRY_FACTS, buf_bytes(&name), buf_bytes(&row));
}
