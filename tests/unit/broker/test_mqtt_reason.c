#include "tests/support/check.h"

#include "broker/mqtt_reason.h"

/* Each packet's own table in section 3 of MQTT 5.0, written out. 8C in DISCONNECT stands in
 * table 2-6 only. */
static const struct {
    enum mqtt_type type;
    const char *codes; /* terminated by ff */
} TABLES[] = {
    { MQTT_CONNACK, "\x00\x80\x81\x82\x83\x84\x85\x86\x87\x88\x89\x8a\x8c\x90\x95\x97\x99\x9a"
                    "\x9b\x9c\x9d\x9f\xff" },
    { MQTT_PUBACK, "\x00\x10\x80\x83\x87\x90\x91\x97\x99\xff" },
    { MQTT_PUBREC, "\x00\x10\x80\x83\x87\x90\x91\x97\x99\xff" },
    { MQTT_PUBREL, "\x00\x92\xff" },
    { MQTT_PUBCOMP, "\x00\x92\xff" },
    { MQTT_SUBACK, "\x00\x01\x02\x80\x83\x87\x8f\x91\x97\x9e\xa1\xa2\xff" },
    { MQTT_UNSUBACK, "\x00\x11\x80\x83\x87\x8f\x91\xff" },
    { MQTT_DISCONNECT,
      "\x00\x04\x80\x81\x82\x83\x87\x89\x8b\x8c\x8d\x8e\x8f\x90\x93\x94\x95\x96"
      "\x97\x98\x99\x9a\x9b\x9c\x9d\x9e\x9f\xa0\xa1\xa2\xff" },
    { MQTT_AUTH, "\x00\x18\x19\xff" },
    { MQTT_PUBLISH, "\xff" },
};

static bool is_listed(const char *codes, unsigned code)
{
    for (; (uint8_t)*codes != 0xff; codes++)
        if ((uint8_t)*codes == code)
            return true;
    return false;
}

static void each_code_fits_where_the_specification_lists_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof TABLES / sizeof *TABLES; i++)
        for (unsigned code = 0; code < 256; code++) {
            bool listed = is_listed(TABLES[i].codes, code);
            if (broker_mqtt_reason_fits(code, TABLES[i].type) != listed)
                fail_msg("0x%02x in %s", code, broker_mqtt_type_name(TABLES[i].type));
        }
}

static void names_what_has_a_meaning(void **state)
{
    (void)state;
    assert_string_equal(broker_mqtt_reason_name(0x95), "packet-too-large");
    assert_string_equal(broker_mqtt_reason_name(0x05), "unknown");
    assert_string_equal(broker_mqtt_reason_name(0x100), "unknown");
    assert_string_equal(broker_mqtt_type_name(MQTT_AUTH), "AUTH");
    assert_string_equal(broker_mqtt_type_name(16), "reserved");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_code_fits_where_the_specification_lists_it),
        cmocka_unit_test(names_what_has_a_meaning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
