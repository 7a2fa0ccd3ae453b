/* The characters of a policy's text, before its grammar; inside policy/ only. */
#pragma once

#include "policy/policy.h"

/*
 * A policy is reviewed by people, so it holds nothing that shows otherwise than it is judged:
 * well-formed UTF-8 of which control characters, line ends that are none here and characters
 * that are invisible or turn the direction of writing (Unicode TR36 section 2.5,
 * CVE-2021-42574) are refused, in comments, too. Adds at most one error, with its file and
 * line.
 */
void policy_source_check(struct bytes text, struct policy_errors *errors);

/* Adds the reason that was just recorded by fault(), unless the list is full. */
void policy_source_add(struct policy_errors *errors, struct bytes file, unsigned line,
                       unsigned column, enum rc rc);

/* The first of them (there is one) as the fault of the whole. */
enum rc policy_source_fault(const struct policy_errors *errors);
