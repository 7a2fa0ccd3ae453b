/* sandbox.c's half that speaks Landlock: files, TCP ports, signals and abstract sockets. */
#pragma once

#include "base/sandbox.h"

/* The ABI that the kernel offers (landlock(7)), capped by most unless 0. 0: none. */
int sandbox_landlock_abi(int most);
/* Bind this thread and its descendants to the jail's paths and ports, at this ABI (>= 1). */
enum rc sandbox_landlock_enter(const struct sandbox *jail, int abi);
