/* The openssl command as an independent judge. */
#pragma once

#include "base/buf.h"

/* Runs it with these arguments (NULL at the end) in the working directory; what it says on both
 * its outputs is appended. Its exit code, or 128 when it did not end by itself. */
int openssl_run(struct buf *said, const char *const *arguments);
