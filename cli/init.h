/* touchmark init: the key ceremony, from nothing to a closed system. */
#pragma once

#include "cli/command.h"

extern const struct cli_command CLI_INIT;
