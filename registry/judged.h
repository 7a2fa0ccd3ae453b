/* What a policy is told of a device that the registry knows. */
#pragma once

#include "policy/policy.h"
#include "registry/subject.h"

/*
 * One for the door, which judges, and for who works out what a policy would say (touchmark
 * policy can, reach, who, diff): name, groups, and the way by which a device comes. What a door
 * sees of a connection besides is added by registry_judged_connect(); where there is none it
 * stays not known. Borrows the device; groups has room for all of them, and is what .groups
 * points to.
 */
struct policy_facts registry_judged_device(const struct registry_subject *device,
                                           struct bytes groups[REGISTRY_GROUPS_MAX]);
/*
 * What who judges a device's action in earnest may know of it beside that: policy_facts.untold
 * of who works out what he would say. The device door knows no message when it judges connect
 * and subscribe; the authority, of acts, has neither message nor client id, and of who enrolls
 * no certificate. attestation.* and firmware.version nobody knows yet.
 */
uint32_t registry_judged_untold(enum policy_action action);
/* As doors write them, also into the audit log: "192.0.2.1:55000" or "[::1]:55000", "TLSv1.3
 * TLS_AES_256_GCM_SHA384". Borrowed. 0: when the certificate ends is not known. */
void registry_judged_connect(struct policy_facts *facts, const char *address, const char *tls,
                             int64_t certificate_ends_s);
