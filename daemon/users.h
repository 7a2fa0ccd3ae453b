/* Which user each process of the table becomes. */
#pragma once

#include "daemon/config.h"
#include "daemon/spawn.h"

/*
 * From the setting `user` of each process's section, a name or a number, one for each row of
 * the table. As root every process needs one, and none may be root: RC_MALFORMED. Without root
 * a setting has to name the user that we are, or nothing. A number without an entry in the user
 * database has the group of the same number.
 */
enum rc daemon_users_find(const struct daemon_config *config, const struct daemon_table *table,
                          struct daemon_user *users);
