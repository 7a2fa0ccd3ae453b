/* What a policy is told of a device that the registry knows. */
#pragma once

#include "policy/policy.h"
#include "registry/subject.h"

/*
 * One for the door, which judges, and for who works out what a policy would say (touchmark
 * policy can, reach, who, diff): name, groups, and the way by which a device comes. What a door
 * sees of a connection besides is its own to add; where there is no connection it stays not
 * known. Borrows the device; groups has room for all of them, and is what .groups points to.
 */
struct policy_facts registry_judged_device(const struct registry_subject *device,
                                           struct bytes groups[REGISTRY_GROUPS_MAX]);
