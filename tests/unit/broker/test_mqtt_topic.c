#include "tests/support/check.h"

#include <stdlib.h>
#include <string.h>

#include "broker/mqtt_topic.h"

static void matches_as_the_specification_says(void **state)
{
    /* The examples of section 4.7, and their neighbours. */
    static const struct {
        const char *filter, *name;
        bool matches;
    } rows[] = {
        { "sport/tennis/player1/#", "sport/tennis/player1", true },
        { "sport/tennis/player1/#", "sport/tennis/player1/ranking", true },
        { "sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true },
        { "sport/tennis/player1/#", "sport/tennis/player10", false },
        { "sport/#", "sport", true },
        { "sport/#", "sports", false },
        { "#", "sport/tennis", true },
        { "#", "/", true },
        { "sport/tennis/+", "sport/tennis/player1", true },
        { "sport/tennis/+", "sport/tennis/player1/ranking", false },
        { "sport/+", "sport", false },
        { "sport/+", "sport/", true },
        { "+/+", "/finance", true },
        { "/+", "/finance", true },
        { "+", "/finance", false },
        { "+/tennis/#", "sport/tennis", true },
        { "sport/+/player1", "sport/tennis/player1", true },
        { "sport/+/player1", "sport/player1", false },
        { "#", "$SYS/monitor/Clients", false },
        { "+/monitor/Clients", "$SYS/monitor/Clients", false },
        { "$SYS/#", "$SYS/monitor/Clients", true },
        { "$SYS/monitor/+", "$SYS/monitor/Clients", true },
        { "a/#", "a/$b", true },
        { "a/+", "a/$b", true },
        { "ACCOUNTS", "Accounts", false },
        { "Accounts payable", "Accounts payable", true },
        { "/finance", "finance", false },
        { "a//b", "a//b", true },
        { "a/+/b", "a//b", true },
        { "a", "a/", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(broker_mqtt_topic_check_filter(bytes_of_text(rows[i].filter)), RC_OK);
        assert_int_equal(broker_mqtt_topic_check_name(bytes_of_text(rows[i].name)), RC_OK);
        if (broker_mqtt_topic_matches(bytes_of_text(rows[i].filter),
                                      bytes_of_text(rows[i].name)) != rows[i].matches)
            fail_msg("%s and %s", rows[i].filter, rows[i].name);
    }
}

static void refuses_what_is_no_filter(void **state)
{
    static const struct {
        const char *filter;
        enum rc rc;
        const char *cites;
    } rows[] = {
        { "sport/tennis#", RC_MALFORMED, "[MQTT-4.7.1-1]" },
        { "sport/tennis/#/ranking", RC_MALFORMED, "[MQTT-4.7.1-1]" },
        { "##", RC_MALFORMED, "[MQTT-4.7.1-1]" },
        { "#/", RC_MALFORMED, "[MQTT-4.7.1-1]" },
        { "sport+", RC_MALFORMED, "[MQTT-4.7.1-2]" },
        { "a/+b/c", RC_MALFORMED, "[MQTT-4.7.1-2]" },
        { "++", RC_MALFORMED, "[MQTT-4.7.1-2]" },
        { "", RC_MALFORMED, "[MQTT-4.7.3-1]" },
        { "\xff", RC_MALFORMED, "[MQTT-1.5.4-1]" },
        { "$share/group/a", RC_DENIED, "4.8.2" },
        { "$share", RC_DENIED, "4.8.2" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(broker_mqtt_topic_check_filter(bytes_of_text(rows[i].filter)),
                         rows[i].rc);
        assert_non_null(strstr(fault_reason(), rows[i].cites));
    }
    assert_int_equal(broker_mqtt_topic_check_filter(BYTES("$shared/a")), RC_OK);
    assert_int_equal(broker_mqtt_topic_check_name(BYTES("a\0b")), RC_MALFORMED);
}

static void levels_are_bounded_on_both_sides(void **state)
{
    char text[2 * 129];

    (void)state;
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = i % 2 == 0 ? 'a' : '/';
    struct bytes most = { (const uint8_t *)text, 2 * 128 - 1 };
    struct bytes over = { (const uint8_t *)text, 2 * 129 - 1 };
    assert_int_equal(broker_mqtt_topic_check_name(most), RC_OK);
    assert_int_equal(broker_mqtt_topic_check_filter(most), RC_OK);
    assert_int_equal(broker_mqtt_topic_check_name(over), RC_LIMIT);
    assert_int_equal(broker_mqtt_topic_check_filter(over), RC_LIMIT);
}

static void length_is_bounded_on_both_sides(void **state)
{
    uint8_t *text = malloc(MQTT_TOPIC_MAX + 1);

    (void)state;
    assert_non_null(text);
    memset(text, 'a', MQTT_TOPIC_MAX + 1);
    assert_int_equal(broker_mqtt_topic_check_name((struct bytes){ text, MQTT_TOPIC_MAX }),
                     RC_OK);
    assert_int_equal(broker_mqtt_topic_check_name((struct bytes){ text, MQTT_TOPIC_MAX + 1 }),
                     RC_LIMIT);
    free(text);
}

static void walks_empty_levels_too(void **state)
{
    struct mqtt_levels levels = { .left = BYTES("/a//") };
    struct bytes level;
    size_t lens[] = { 0, 1, 0, 0 };

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        assert_true(broker_mqtt_topic_next_level(&levels, &level));
        assert_int_equal(level.len, lens[i]);
    }
    assert_false(broker_mqtt_topic_next_level(&levels, &level));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_as_the_specification_says),
        cmocka_unit_test(refuses_what_is_no_filter),
        cmocka_unit_test(levels_are_bounded_on_both_sides),
        cmocka_unit_test(length_is_bounded_on_both_sides),
        cmocka_unit_test(walks_empty_levels_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
