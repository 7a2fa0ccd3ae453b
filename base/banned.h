/* Calls that this tree does without: each has a safer word in base/. Forced into every file by
 * the build, except base/'s own. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BANNED(call, instead) sorry_##call##_is_banned_use_##instead

#undef strcpy
#define strcpy(...) BANNED(strcpy, buf_add)
#undef strncpy
#define strncpy(...) BANNED(strncpy, buf_add)
#undef strcat
#define strcat(...) BANNED(strcat, buf_add)
#undef strncat
#define strncat(...) BANNED(strncat, buf_add)
#undef sprintf
#define sprintf(...) BANNED(sprintf, buf_addf)
#undef vsprintf
#define vsprintf(...) BANNED(vsprintf, buf_addf)
#undef snprintf
#define snprintf(...) BANNED(snprintf, buf_addf)
#undef strtok
#define strtok(...) BANNED(strtok, reader)
#undef gets
#define gets(...) BANNED(gets, reader)
#undef atoi
#define atoi(...) BANNED(atoi, text_read_u64)
#undef atol
#define atol(...) BANNED(atol, text_read_u64)
#undef gmtime
#define gmtime(...) BANNED(gmtime, clock_to_civil)
#undef localtime
#define localtime(...) BANNED(localtime, clock_to_civil)
#undef memcmp
#define memcmp(...) BANNED(memcmp, bytes_equal)
