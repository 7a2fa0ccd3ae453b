/* The link by which the authority pulls the spool of a door or the signer. */
#pragma once

#include "base/link.h"

/* READ: request after u64, reply as audit_spool_read() makes it (spool.h). */
enum { AUDIT_SPOOL_READ = 1 };
const struct link_protocol *audit_spool_protocol(void);

void audit_spool_protocol_ask(uint64_t after, struct buf *request);
enum rc audit_spool_protocol_asked(struct bytes request, uint64_t *after);
