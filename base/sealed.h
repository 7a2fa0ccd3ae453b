/* Bytes for other processes in memory that nobody can change any more: settings, PINs, what is
 * too long for a message. */
#pragma once

#include "base/buf.h"

/* A sealed memfd (memfd_create(2): no write, no growth, no more seals), close-on-exec; read it
 * with pread, for the offset is shared. name is for /proc and not a secret. */
enum rc sealed_make(const char *name, struct bytes bytes, int *fd);
/* Keep its pages out of swap and dumps for as long as this process lives. */
enum rc sealed_lock(int fd);

/* Of a descriptor that came from a peer: is it such memory, of exactly so many octets? What was
 * read of it once is then what everybody reads. RC_MALFORMED; nothing of it is read. */
enum rc sealed_check(int fd, size_t len);
/* Append len octets from an offset on. RC_IO if there are fewer, RC_LIMIT if out has no room.
 */
enum rc sealed_read(int fd, size_t from, size_t len, struct buf *out);
