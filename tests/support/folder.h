/* Of tests alone: a folder and all in it are gone. */
#pragma once

#include <ftw.h>
#include <stdio.h>

static inline int folder_remove_one(const char *path, const struct stat *what, int kind,
                                    struct FTW *where)
{
    (void)what;
    (void)kind;
    (void)where;
    return remove(path);
}

static inline void folder_remove(const char *path)
{
    (void)nftw(path, folder_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}
