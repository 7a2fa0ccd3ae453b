/* All commands of touchmark, in the order of the help. */
#pragma once

#include "cli/command.h"

const struct cli_table *cli_table(void);
