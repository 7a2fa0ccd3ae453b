/* One witness on its way behind the log: what it signed last, what it is shown next. */
#pragma once

#include "base/bytes.h"
#include "integration/health.h"
#include "journal/proof.h"

/*
 * The client of C2SP tlog-witness (docs/protocol/witness.md). The newest checkpoint is offered
 * to the witness with the proof that it continues what the witness signed last, which nobody
 * here remembers: a witness that was not told right says so (409). What it signs is brought
 * back to the log; that it is right is judged there. One checkpoint is under way at a time, and
 * those that come meanwhile are passed over for the newest.
 *
 * What fails is tried again with the newest checkpoint after a wait (health.h). A witness that
 * holds a larger tree than the log, or another of its size, or that is not convinced by a
 * proof, has seen another log: status says so until it is over.
 */
struct integration_witness_setup {
    struct loop *loop; /* borrowed, as all */
    const char *url;   /* integration_witness_read_url() */
    /* Of https: a file of those that its certificate may come from, and the name that it must
     * carry; name "": the URL's address. */
    const char *authorities, *name;
    int64_t connect_ms, retry_most_ms;
    void (*wants)(void *with); /* proves() or brings() may have become true */
    void (*told)(void *with);  /* state, or what is signed, changed */
    void *with;
};

struct integration_witness;
/* Before the jail; connects to nothing until it is offered something. One whose authorities
 * cannot be read fails, as status says, and is not tried. */
enum rc integration_witness_new(const struct integration_witness_setup *setup,
                                struct integration_witness **witness);
void integration_witness_free(struct integration_witness *witness);
AUTO_STRUCT(integration_witness, integration_witness_free)

/* The newest checkpoint of the log, a signed note. RC_MALFORMED. */
enum rc integration_witness_offer(struct integration_witness *witness, struct bytes note);

/* Does it need the consistency proof between these two sizes? Until it is given. */
bool integration_witness_proves(const struct integration_witness *witness, uint64_t *from,
                                uint64_t *to);
void integration_witness_prove(struct integration_witness *witness,
                               const struct proof_hash *nodes, size_t count);
/* Has it signature lines for the log's checkpoint of that size? Until they were brought;
 * borrowed. */
bool integration_witness_brings(const struct integration_witness *witness, uint64_t *size,
                                struct bytes *lines);
/* The note as it is after that: the witness's signature is in it, or it was of no use. */
void integration_witness_brought(struct integration_witness *witness, struct bytes note);
/* The log cannot prove, or does not take the lines: fault_text() says why. */
void integration_witness_fail(struct integration_witness *witness);

struct integration_witness_status {
    struct integration_health health;
    uint64_t cosigned; /* size of the newest checkpoint that it signed, in this life */
};
void integration_witness_status(const struct integration_witness *witness,
                                struct integration_witness_status *status);

/* "https://192.0.2.1:8443" or http, with a path behind it or not. */
struct integration_witness_url {
    bool tls;
    char place[64];   /* "192.0.2.1:8443" */
    uint16_t port;    /* for the jail */
    const char *path; /* "" or "/touchmark"; borrowed */
};
/* RC_MALFORMED. */
enum rc integration_witness_read_url(const char *url, struct integration_witness_url *read);
/* Letters, digits, dots and hyphens. RC_MALFORMED. */
enum rc integration_witness_check_name(const char *name);
