/* The signer: takes requests, has workers sign them, and lets a signature out once it is
 * journaled. */
#pragma once

#include "base/loop.h"
#include "journal/journal.h"
#include "keys/rules.h"

/*
 * The parent's duty. It has the journal and the asker's link, no token and no PIN. Even
 * what a broken worker signs against the rules leaves through here only, and so stands in the
 * journal. For each item it makes the digest itself, keeps the key's rate, and holds a
 * checkpoint against the key's memory and its own journal; the worker checks the rest. All that
 * ended in one turn of the loop is committed together and answered after that.
 *
 * A refusal is journaled like a signature; "too fast" once a second and key, with how many were
 * not since, so that a flood fills no disk. What belongs to no key (a body that cannot be read,
 * a name that is not in the rules) has a rate of its own, and beyond it is "too fast" as well.
 * When the journal cannot
 * take an entry, nothing leaves.
 */
struct keys_signer;

/* Recovers the keys' memory from the journal. All is borrowed for the signer's life. */
enum rc keys_signer_new(struct loop *loop, const struct clock *clock, struct journal *journal,
                        const struct keys_rules *rules, struct keys_signer **signer);
void keys_signer_free(struct keys_signer *signer);
AUTO_STRUCT(keys_signer, keys_signer_free)

/* fd is the asking end of a worker that said it is ready; owned from here on, also on failure.
 */
enum rc keys_signer_add_worker(struct keys_signer *signer, int fd);
/* fd is the answering end for the asker (the authority), in place of one that is gone; owned as
 * above. */
enum rc keys_signer_serve(struct keys_signer *signer, int fd);

/* After the loop stopped: RC_CLOSED if a worker ended, RC_CORRUPT if one broke the protocol,
 * else RC_OK. */
enum rc keys_signer_outcome(const struct keys_signer *signer);
