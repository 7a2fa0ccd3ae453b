#include "bench/subject_internal.h"

#include <string.h>
#include <unistd.h>

static const char *const PROGRAMS[] = { "touchmark", "touchmarkd", "touchmark-signer",
                                        "touchmark-authority", "touchmark-broker" };

static enum rc find_programs(const struct subject_world *world)
{
    char bin[SUBJECT_PATH_MAX], program[SUBJECT_PATH_MAX];

    TRY(subject_path(bin, world->programs, "bin"));
    for (size_t i = 0; i < sizeof PROGRAMS / sizeof PROGRAMS[0]; i++) {
        TRY(subject_path(program, bin, PROGRAMS[i]));
        if (access(program, X_OK) != 0)
            return fault(RC_NOT_FOUND, "%s is not built", program);
    }
    return RC_OK;
}

enum rc subject_start_ours(const struct subject_world *world, struct subject *subject)
{
    memcpy(subject->name, "touchmark", sizeof "touchmark");
    TRY(find_programs(world));
    return fault(RC_NOT_FOUND, "the doors do not run from here yet");
}
