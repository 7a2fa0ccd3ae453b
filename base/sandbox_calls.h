/* sandbox.c's half that filters system calls with seccomp. */
#pragma once

#include "base/sandbox.h"

/* Load the filter of these groups (set of enum sandbox_calls) for this thread, for good. */
enum rc sandbox_calls_enter(unsigned groups);
