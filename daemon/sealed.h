/* Bytes for children in memory that nobody can change any more: settings, PINs. */
#pragma once

#include "base/bytes.h"
#include "base/rc.h"

/* A sealed memfd (memfd_create(2): no write, no growth, no more seals), close-on-exec; read it
 * with pread, for the offset is shared. name is for /proc and not a secret. */
enum rc daemon_sealed_make(const char *name, struct bytes bytes, int *fd);
/* Keep its pages out of swap and dumps for as long as this process lives. */
enum rc daemon_sealed_lock(int fd);
