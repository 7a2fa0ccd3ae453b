/* Devices for a running Touchmark, registered and enrolled as an administrator's program would:
 * over /v1 and EST at the operator door, by libcurl. */
#pragma once

#include "bench/subject.h"

struct subject_operator {
    const char *url; /* "https://127.0.0.1:41234" */
    const char *ca_path, *certificate_path, *key_path;
};

/* Make keys and certificates with the ids of the pattern. On failure out is untouched. */
enum rc subject_enrol(const struct subject_operator *by, const struct load_identities *pattern,
                      struct load_identities *out);
/* Make it the active policy, whichever is active now. */
enum rc subject_post_policy(const struct subject_operator *by, struct bytes text);
/* Until every door has followed all changes. */
enum rc subject_wait_doors(const struct subject_operator *by);
