#include "policy/fact.h"

#include <string.h>

#define S POLICY_OF_SESSION
#define R POLICY_OF_REQUEST
#define C POLICY_OF_CLOCK

static const struct policy_fact_row FACTS[POLICY_FACTS] = {
    [POLICY_DEVICE_ID] = { "device.id", POLICY_STRING, S, false, true, "the device that asks" },
    [POLICY_DEVICE_PROFILE] = { "device.profile", POLICY_STRING, S, false, true,
                                "the certificate profile that the registry has for it" },
    [POLICY_OPERATOR_ID] = { "operator.id", POLICY_STRING, S, false, true, "the operator" },
    [POLICY_OPERATOR_ROLE] = { "operator.role", POLICY_STRING, S, false, true,
                               "admin, auditor" },
    [POLICY_LINE_ID] = { "line.id", POLICY_STRING, S, false, true, "the factory line" },
    [POLICY_SINK_NAME] = { "sink.name", POLICY_STRING, S, false, true,
                           "the integration that data would go to" },
    [POLICY_CERTIFICATE_ISSUER] = { "certificate.issuer", POLICY_STRING, S, false, false,
                                    "Common Name of the certificate's issuer" },
    [POLICY_CERTIFICATE_SUBJECT] = { "certificate.subject", POLICY_STRING, S, false, true,
                                     "the id in the certificate's subject" },
    [POLICY_CERTIFICATE_SERIAL] = { "certificate.serial", POLICY_STRING, S, false, true,
                                    "in hexadecimal, lower case" },
    [POLICY_CERTIFICATE_FINGERPRINT] = { "certificate.fingerprint", POLICY_STRING, S, false,
                                         true, "SHA-256 in hexadecimal, lower case" },
    [POLICY_CERTIFICATE_LEFT] = { "certificate.left", POLICY_DURATION, C, false, false,
                                  "until the certificate ends" },
    [POLICY_ATTESTATION_VERDICT] = { "attestation.verdict", POLICY_STRING, S, false, false,
                                     "of the latest attestation" },
    [POLICY_ATTESTATION_AGE] = { "attestation.age", POLICY_DURATION, C, false, false,
                                 "since the latest attestation" },
    [POLICY_FIRMWARE_VERSION] = { "firmware.version", POLICY_VERSION, S, true, false,
                                  "as the device says" },
    [POLICY_CONNECTION_ADDRESS] = { "connection.address", POLICY_ADDRESS, S, false, false,
                                    "of the other end" },
    [POLICY_CONNECTION_DOOR] = { "connection.door", POLICY_STRING, S, false, false,
                                 "device or operator" },
    [POLICY_CONNECTION_PROTOCOL] = { "connection.protocol", POLICY_STRING, S, false, false,
                                     "mqtt or https" },
    [POLICY_CONNECTION_TLS] = { "connection.tls", POLICY_STRING, S, false, false,
                                "1.2 or 1.3" },
    [POLICY_CLIENT_ID] = { "client.id", POLICY_STRING, S, true, false,
                           "the MQTT client id, as the client says" },
    [POLICY_MESSAGE_SIZE] = { "message.size", POLICY_NUMBER, R, false, false,
                              "octets of the payload" },
    [POLICY_MESSAGE_QOS] = { "message.qos", POLICY_NUMBER, R, false, false, "0, 1 or 2" },
    [POLICY_MESSAGE_RETAIN] = { "message.retain", POLICY_BOOLEAN, R, false, false,
                                "is it to be kept?" },
    [POLICY_MESSAGE_CONTENT_TYPE] = { "message.content_type", POLICY_STRING, R, true, false,
                                      "as the client says" },
    [POLICY_REQUEST_KEY] = { "request.key", POLICY_STRING, R, false, false,
                             "kind of the key that a certificate is asked for: p-256" },
    [POLICY_TARGET] = { "target", POLICY_GROUPED, R, false, false,
                        "the device that is revoked; asked for as `revoke group \"NAME\"`" },
    [POLICY_TIME_NOW] = { "time.now", POLICY_TIME, C, false, false, "UTC" },
    [POLICY_TIME_OF_DAY] = { "time.of_day", POLICY_DURATION, C, false, false,
                             "since midnight, UTC: 06:30" },
    [POLICY_TIME_WEEKDAY] = { "time.weekday", POLICY_STRING, C, false, false,
                              "monday to sunday, UTC" },
};

const struct policy_fact_row *policy_fact_get(enum policy_fact fact)
{
    return &FACTS[fact];
}

enum policy_fact policy_fact_by_name(struct bytes name)
{
    unsigned fact = 0;

    while (fact < POLICY_FACTS && !bytes_equal_text(name, FACTS[fact].name))
        fact++;
    return (enum policy_fact)fact;
}

/* The parser made sure that each ${ begins the name of a fact. */
bool policy_fact_next(struct bytes *resource, enum policy_fact *fact)
{
    const uint8_t *at = resource->len > 1 ? memmem(resource->at, resource->len, "${", 2) : NULL;

    if (at == NULL)
        return false;
    const uint8_t *past = resource->at + resource->len;
    const uint8_t *end = memchr(at, '}', (size_t)(past - at));
    *fact = policy_fact_by_name((struct bytes){ at + 2, (size_t)(end - at) - 2 });
    *resource = (struct bytes){ end + 1, (size_t)(past - end) - 1 };
    return true;
}
