/* A policy of several files, in one text; inside policy/ only. */
#pragma once

#include "policy/policy.h"

/*
 * The text begins with the policy itself. Each line `file "NAME"` in column 1 begins another
 * file, which an import of that name reads. Lines of each file count from 1.
 */
struct policy_file {
    struct bytes name, text; /* borrowed; the first one has no name */
    unsigned before;         /* lines of all the text before its first one */
    bool open, read;         /* being parsed; parsed */
};
struct policy_bundle {
    size_t count;
    struct policy_file at[POLICY_FILES_MAX + 1];
};

/* Adds errors for a name twice, a bad name, too many files. */
void policy_bundle_split(struct bytes text, struct policy_errors *errors,
                         struct policy_bundle *bundle);
/* Of a line of all the text: the name of its file, and *line counted in it. */
struct bytes policy_bundle_locate(struct bytes text, unsigned *line);
/* Its place, or count. */
size_t policy_bundle_find(const struct policy_bundle *bundle, struct bytes name);
/* RC_MALFORMED: letters, digits and . _ - /, no level of which is empty or begins with a dot.
 */
enum rc policy_bundle_check_name(struct bytes name);
