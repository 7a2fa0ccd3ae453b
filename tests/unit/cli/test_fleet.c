#include "tests/support/check.h"

#include <string.h>

#include "cli/fleet.h"

static json_t *device(const char *text)
{
    json_t *read = json_loads(text, 0, NULL);

    assert_non_null(read);
    return read;
}

static void a_device_is_judged_as_the_door_judges_it(void **state)
{
    AUTO(json_value) *json =
        device("{\"id\":\"pump-7\",\"state\":\"active\",\"groups\":[\"pumps\",\"b\"]}");
    struct registry_subject subject = { .kind = REGISTRY_DEVICE, .id = "pump-7" };
    struct bytes groups[REGISTRY_GROUPS_MAX];
    struct cli_judged judged;

    (void)state;
    assert_int_equal(registry_groups_add(&subject.groups, BYTES("pumps")), RC_OK);
    assert_int_equal(registry_groups_add(&subject.groups, BYTES("b")), RC_OK);
    const struct policy_facts door = registry_judged_device(&subject, groups);
    assert_int_equal(cli_judged_read(json, &judged), RC_OK);
    assert_true(bytes_equal(judged.facts.device_id, door.device_id));
    assert_true(bytes_equal_text(judged.facts.connection_door, "device"));
    assert_true(bytes_equal_text(judged.facts.connection_protocol, "mqtt"));
    assert_null(judged.facts.connection_address.at);
    assert_int_equal(judged.facts.group_count, door.group_count);
    for (size_t i = 0; i < door.group_count; i++)
        assert_true(bytes_equal(judged.facts.groups[i], door.groups[i]));
    assert_int_equal(cli_judged_say("pump-7", "pumps,b", &judged), RC_OK);
    assert_int_equal(judged.facts.group_count, 2);
}

static const char SEVENTEEN[] =
    "{\"id\":\"d\",\"groups\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\","
    "\"10\","
    "\"11\",\"12\",\"13\",\"14\",\"15\",\"16\",\"17\"]}";

static void what_is_no_device_is_refused(void **state)
{
    static const char *const TEXTS[] = {
        "{\"id\":\"+\",\"groups\":[]}",
        "{\"id\":7,\"groups\":[]}",
        "{\"groups\":[]}",
        "{\"id\":\"d\",\"groups\":[\"a/b\"]}",
        "{\"id\":\"d\",\"groups\":[7]}",
        SEVENTEEN,
    };
    struct cli_judged judged;

    (void)state;
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
        AUTO(json_value) *json = device(TEXTS[i]);
        assert_int_not_equal(cli_judged_read(json, &judged), RC_OK);
    }
    assert_int_equal(cli_judged_say("d", "a,,b", &judged), RC_MALFORMED);
    assert_int_equal(cli_judged_say("d#", NULL, &judged), RC_MALFORMED);
    assert_int_equal(cli_judged_say("d", "", &judged), RC_OK);
    assert_int_equal(judged.facts.group_count, 0);
}

static enum rc add_name(void *with, const struct policy_facts *facts)
{
    buf_addf(with, "%.*s:%zu ", BYTES_FMT(facts->device_id), facts->group_count);
    return RC_OK;
}

static enum rc stop(void *with, const struct policy_facts *facts)
{
    (void)facts;
    *(size_t *)with += 1;
    return fault(RC_LIMIT, "enough");
}

static void a_fleet_is_visited_and_counted(void **state)
{
    struct cli_fleet fleet = { .devices = device("[{\"id\":\"a\",\"groups\":[\"x\"]},"
                                                 "{\"id\":\"b\",\"groups\":[\"x\",\"y\"]}]") };
    const struct policy_fleet devices = cli_fleet_devices(&fleet);
    const struct policy_groups groups = cli_fleet_groups(&fleet);
    AUTO_BUF(names, 64);
    uint64_t count = 0;
    size_t visits = 0;

    (void)state;
    assert_int_equal(devices.each(devices.with, add_name, &names), RC_OK);
    assert_true(bytes_equal_text(buf_bytes(&names), "a:1 b:2 "));
    assert_int_equal(devices.each(devices.with, stop, &visits), RC_LIMIT);
    assert_int_equal(visits, 1);
    assert_int_equal(groups.size(groups.with, BYTES("x"), &count), RC_OK);
    assert_int_equal(count, 2);
    assert_int_equal(groups.size(groups.with, BYTES("z"), &count), RC_OK);
    assert_int_equal(count, 0);
    cli_fleet_clear(&fleet);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_is_judged_as_the_door_judges_it),
        cmocka_unit_test(what_is_no_device_is_refused),
        cmocka_unit_test(a_fleet_is_visited_and_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
