/* What the tests of registry/ share: subjects and certificates with everything filled in. */
#pragma once

#include "tests/support/check.h"

#include <stdlib.h>
#include <string.h>

#include "base/link_message.h"
#include "registry/answer.h"

static inline void sample_text(char *to, struct bytes text)
{
    memcpy(to, text.at, text.len);
    to[text.len] = '\0';
}

static inline struct registry_subject sample_device(const char *id)
{
    struct registry_subject device = { .kind = REGISTRY_DEVICE,
                                       .state = REGISTRY_ACTIVE,
                                       .created_ms = 1000,
                                       .changed_ms = 2000,
                                       .revision = 7 };

    sample_text(device.id, bytes_of_text(id));
    sample_text(device.label, BYTES("pump, hall 3"));
    assert_int_equal(registry_groups_add(&device.groups, BYTES("pumps")), RC_OK);
    assert_int_equal(registry_groups_add(&device.groups, BYTES("hall-3")), RC_OK);
    return device;
}

static inline struct registry_certificate sample_certificate(uint8_t number, const char *id)
{
    struct registry_certificate certificate = { .kind = REGISTRY_DEVICE,
                                                .state = REGISTRY_CERTIFICATE_ACTIVE,
                                                .serial = { 1, number },
                                                .serial_len = 2,
                                                .not_before_s = 100,
                                                .not_after_s = 200,
                                                .issued_ms = 100000,
                                                .revision = 1 };

    sample_text(certificate.subject, bytes_of_text(id));
    memset(certificate.fingerprint.at, number, sizeof certificate.fingerprint.at);
    memset(certificate.issuer_hash, 0xaa, sizeof certificate.issuer_hash);
    memset(certificate.key_hash, number ^ 0x55, sizeof certificate.key_hash);
    return certificate;
}
