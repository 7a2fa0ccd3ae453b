/*
 * A door without audit, for the benchmark alone: linked instead of these functions by --wrap.
 * No allowed act is counted; what is told one by one (a session opened, closed, refused) is
 * made and passes through the recorder's thread, since CONNACK waits for that, but the spool
 * drops it: nothing is written, synced, sent to the authority, hashed or indexed.
 */
#include "audit/spool.h"
#include "broker/door_state.h"

/* The linker's names for what was called, and for what is called instead. */
bool __real_broker_witness(struct connection *connection, const struct witness *what);
bool __wrap_broker_witness(struct connection *connection, const struct witness *what);
enum rc __wrap_audit_spool_add(struct audit_spool *spool, const struct audit_record *record);
enum rc __wrap_audit_spool_commit(struct audit_spool *spool);

bool __wrap_broker_witness(struct connection *connection, const struct witness *what)
{
    if (what->decision == AUDIT_DENIED || connection->client == NULL ||
        audit_action_get(what->action)->when != AUDIT_COUNTED)
        return __real_broker_witness(connection, what);
    return true;
}

enum rc __wrap_audit_spool_add(struct audit_spool *spool, const struct audit_record *record)
{
    (void)spool;
    (void)record;
    return RC_OK;
}

enum rc __wrap_audit_spool_commit(struct audit_spool *spool)
{
    (void)spool;
    return RC_OK;
}
