/* The same connect-publish load with audit and without: what a door and an authority spend on
 * it. */
#pragma once

#include "base/rc.h"

/* "Without" is not a product's setting: a second broker is built (audit_off.c) that counts no
 * act, and whose spool drops what it is given. Prints its lines. */
enum rc audit_load_measure(unsigned rounds);
