/* The asker's side of the signer's link: for the authority, and blocking for tests and tools.
 */
#pragma once

#include "keys/protocol.h"

/*
 * Over a link: done is called exactly once, later, from the loop. rc is the request's own
 * fate, with fault_text() saying why; each item then has its own in the answers. RC_CLOSED: the
 * outcome is unknown, and the signer's journal tells it (keys_client_entries). What is read is
 * borrowed for the call.
 */
struct keys_client;

enum rc keys_client_open(struct loop *loop, int fd, void (*closed)(void *with), void *with,
                         struct keys_client **client);
void keys_client_close(struct keys_client *client);
AUTO_STRUCT(keys_client, keys_client_close)

typedef void keys_client_signed(void *with, enum rc rc, const struct keys_answers *answers);
typedef void keys_client_told_head(void *with, enum rc rc, const struct keys_head *head);
typedef void keys_client_told_entries(void *with, enum rc rc,
                                      const struct keys_entries *entries);
typedef void keys_client_told_list(void *with, enum rc rc, const struct keys_list *list);

/* request is one of the four that carry an ask, a CRL as its one item: it goes as sealed
 * memory, that is for us to do. Failure here means that done will not be called. */
enum rc keys_client_sign(struct keys_client *client, enum keys_request request,
                         const struct keys_ask *ask, keys_client_signed *done, void *with);
enum rc keys_client_head(struct keys_client *client, keys_client_told_head *done, void *with);
/* Entries from this sequence on; none when it is past the end. */
enum rc keys_client_entries(struct keys_client *client, uint64_t from,
                            keys_client_told_entries *done, void *with);
enum rc keys_client_list(struct keys_client *client, keys_client_told_list *done, void *with);

/*
 * The same without a loop, on a raw asking end. room keeps what the result borrows; it is
 * emptied first and must hold LINK_BODY_MAX.
 */
enum rc keys_client_sign_and_wait(int socket, enum keys_request request,
                                  const struct keys_ask *ask, int64_t timeout_ms,
                                  struct buf *room, struct keys_answers *answers);
enum rc keys_client_head_and_wait(int socket, int64_t timeout_ms, struct keys_head *head);
enum rc keys_client_entries_and_wait(int socket, uint64_t from, int64_t timeout_ms,
                                     struct buf *room, struct keys_entries *entries);
enum rc keys_client_list_and_wait(int socket, int64_t timeout_ms, struct keys_list *list);
