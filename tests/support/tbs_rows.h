/* Pieces of certificates that a hostile authority would put in place of a device's good ones.
 */
#pragma once

#include "tests/support/tbs.h"

/* What is in front of the extensions, and the extensions. A few rows are good: RC_OK. */
extern const struct tbs_row TBS_FIELD_ROWS[], TBS_EXTENSION_ROWS[];
extern const size_t TBS_FIELD_COUNT, TBS_EXTENSION_COUNT;
