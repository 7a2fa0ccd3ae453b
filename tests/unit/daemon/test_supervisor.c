#include "tests/unit/daemon/patients.h"

static const struct daemon_process STEADY[] = { { "one", "patient-steady", NULL, 0 },
                                                { "two", "patient-steady", NULL, 0 } };

static const struct daemon_table STEADY_TABLE = { STEADY, 2, NULL, 0 };

static void starts_in_order_and_stops_in_the_opposite_one(void **state)
{
    struct run run;

    (void)state;
    start(&run, plan_of(&STEADY_TABLE), "[supervisor]\nlog_level = debug\n");
    wait_for(&run, "event=supervisor.ready", 1);
    kill(run.pid, SIGHUP);
    wait_for(&run, "event=signal.ignored", 1);
    assert_int_equal(stop(&run), 0);
    const char *one = strstr(run.text, "event=process.ready child=one");
    assert_non_null(one);
    assert_non_null(strstr(one, "event=process.started child=two"));
    assert_non_null(strstr(run.text, "event=process.jailed"));
    assert_non_null(strstr(run.text, "event=supervisor.stopped code=0"));
    assert_null(strstr(run.text, "process.exited"));
    assert_null(strstr(run.text, "process.killed"));
    assert_null(strstr(run.text, "process.forced"));
}

static void restarts_what_dies_and_waits_longer_each_time(void **state)
{
    static const struct daemon_process rows[] = { { "one", "patient-steady", NULL, 0 },
                                                  { "two", "patient-crash", NULL, 0 } };
    const struct daemon_table table = { rows, 2, NULL, 0 };
    struct run run;

    (void)state;
    start(&run, plan_of(&table), "");
    wait_for(&run, "event=process.restart child=two in_ms=40", 2);
    assert_int_equal(stop(&run), 0);
    assert_non_null(strstr(run.text, "event=process.exited child=two code=3"));
    const char *first = strstr(run.text, "child=two in_ms=10");
    assert_non_null(first);
    assert_non_null(strstr(first, "child=two in_ms=20"));
    assert_null(strstr(run.text, "child=one in_ms"));
    assert_null(
        strstr(strstr(run.text, "event=supervisor.ready") + 1, "event=supervisor.ready"));
}

static void waits_little_again_after_a_calm_while(void **state)
{
    static const struct daemon_process rows[] = { { "one", "patient-crash", NULL, 0 } };
    const struct daemon_table table = { rows, 1, NULL, 0 };
    struct daemon_plan plan = plan_of(&table);
    struct run run;

    (void)state;
    plan.calm_ms = 1; /* it serves 20 ms each time */
    start(&run, plan, "");
    wait_for(&run, "event=process.restart child=one in_ms=10", 3);
    assert_int_equal(stop(&run), 0);
    assert_null(strstr(run.text, "in_ms=20"));
}

static void restarts_what_was_killed(void **state)
{
    struct run run;

    (void)state;
    start(&run, plan_of(&STEADY_TABLE), "");
    wait_for(&run, "event=supervisor.ready", 1);
    kill(pid_after(wait_for(&run, "event=process.started child=one", 1)), SIGKILL);
    wait_for(&run, "event=process.ready child=one", 2);
    assert_int_equal(stop(&run), 0);
    assert_non_null(strstr(run.text, "event=process.killed child=one signal=KILL"));
}

static void never_restarts_wrong_settings_or_a_wrong_pin(void **state)
{
    static const struct {
        const char *program;
        int code;
        const char *means;
    } rows[] = { { "patient-wrong-settings", 78, "wrong settings" },
                 { "patient-wrong-pin", 77, "wrong PIN" },
                 { "patient-that-is-not-there", 78, "wrong settings" } };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct daemon_process processes[] = { { "one", "patient-steady", NULL, 0 },
                                                    { "two", rows[i].program, NULL, 0 } };
        const struct daemon_table table = { processes, 2, NULL, 0 };
        struct run run;
        start(&run, plan_of(&table), "");
        assert_int_equal(end_of(&run), rows[i].code);
        const char *refused = strstr(run.text, "event=process.refused child=two");
        assert_non_null(refused);
        assert_non_null(strstr(refused, rows[i].means));
        assert_non_null(strstr(refused, "event=supervisor.stopped"));
        assert_null(strstr(run.text, "event=process.restart"));
    }
}

static void settings_that_a_child_refuses_stop_everything(void **state)
{
    struct run run;

    (void)state;
    start(&run, plan_of(&STEADY_TABLE), "[supervisor]\nno_such_key = 1\n");
    assert_int_equal(end_of(&run), 78);
    assert_non_null(strstr(run.text, "no_such_key"));
}

static void calls_a_jail_violation_by_its_name(void **state)
{
    static const struct daemon_process rows[] = { { "one", "patient-intruder", NULL, 0 } };
    const struct daemon_table table = { rows, 1, NULL, 0 };
    struct run run;

    (void)state;
    start(&run, plan_of(&table), "");
    wait_for(&run, "event=process.jail-violation child=one", 2);
    assert_int_equal(stop(&run), 0);
}

static void forces_what_does_not_stop(void **state)
{
    static const struct daemon_process rows[] = { { "one", "patient-deaf", NULL, 0 },
                                                  { "two", "patient-silent", NULL, 0 } };
    struct daemon_table table = { rows, 1, NULL, 0 };
    struct daemon_plan plan = plan_of(&table);
    struct run run;

    (void)state;
    plan.stop_within_ms = 200;
    start(&run, plan, "");
    wait_for(&run, "event=supervisor.ready", 1);
    assert_int_equal(stop(&run), 0);
    assert_non_null(strstr(run.text, "event=process.forced child=one signal=TERM"));
    assert_non_null(strstr(run.text, "event=process.forced child=one signal=KILL"));
    assert_non_null(strstr(run.text, "event=process.killed child=one signal=KILL"));
    table.process_count = 2; /* the second never becomes ready: stopped while starting */
    start(&run, plan, "");
    wait_for(&run, "event=process.started child=two", 1);
    assert_int_equal(stop(&run), 0);
}

static void kills_what_does_not_become_ready(void **state)
{
    static const struct daemon_process rows[] = { { "one", "patient-silent", NULL, 0 } };
    const struct daemon_table table = { rows, 1, NULL, 0 };
    struct daemon_plan plan = plan_of(&table);
    struct run run;

    (void)state;
    plan.ready_within_ms = 50;
    start(&run, plan, "");
    wait_for(&run, "event=process.not-ready child=one after_ms=50", 2);
    wait_for(&run, "event=process.restart child=one in_ms=20", 1);
    assert_int_equal(stop(&run), 0);
    assert_null(strstr(run.text, "event=supervisor.ready"));
}

static void kills_what_lives_on_without_its_control_link(void **state)
{
    static const struct daemon_process rows[] = { { "one", "patient-cut", NULL, 0 } };
    const struct daemon_table table = { rows, 1, NULL, 0 };
    struct run run;

    (void)state;
    start(&run, plan_of(&table), "");
    wait_for(&run, "event=process.link-lost child=one", 1);
    wait_for(&run, "event=process.started child=one", 2);
    assert_int_equal(stop(&run), 0);
}

static void survivors_get_fresh_channels(void **state)
{
    static const struct daemon_descriptor to_hearer[] = { { DAEMON_CHANNEL, "hearer" } };
    static const struct daemon_descriptor to_greeter[] = { { DAEMON_CHANNEL, "greeter" } };
    static const struct daemon_process rows[] = {
        { "greeter", "patient-greeter", to_hearer, 1 },
        { "hearer", "patient-hearer", to_greeter, 1 }
    };
    static const struct daemon_channel channels[] = { { "hearer", "greeter" } };
    const struct daemon_table table = { rows, 2, channels, 1 };
    struct run run;
    AUTO_BUF(text, 64);
    const char *expected = "";

    (void)state;
    start(&run, plan_of(&table), "");
    wait_for(&run, "event=supervisor.ready", 1);
    wait_for(&run, "heard greeter-", 1);
    kill(pid_after(wait_for(&run, "event=process.started child=greeter", 1)), SIGKILL);
    wait_for(&run, "heard greeter-", 2);
    pid_t second = pid_after(wait_for(&run, "event=process.started child=greeter", 2));
    buf_addf(&text, "heard greeter-%d", second);
    assert_int_equal(buf_text(&text, &expected), RC_OK);
    wait_for(&run, expected, 1);
    kill(pid_after(wait_for(&run, "event=process.started child=hearer", 1)), SIGKILL);
    wait_for(&run, expected, 2);
    assert_int_equal(stop(&run), 0);
}

static void hands_over_what_was_supplied(void **state)
{
    static const struct daemon_descriptor pin[] = { { DAEMON_SUPPLIED, "pin" } };
    static const struct daemon_process rows[] = { { "one", "patient-pinned", pin, 1 } };
    const struct daemon_table table = { rows, 1, NULL, 0 };
    struct daemon_supply supply = { .name = "pin", .fd = -1 };
    struct daemon_plan plan = plan_of(&table);
    struct run run;

    (void)state;
    assert_int_equal(sealed_make("pin", BYTES("123456"), &supply.fd), RC_OK);
    plan.supplies = &supply;
    plan.supply_count = 1;
    start(&run, plan, "");
    wait_for(&run, "pin has 6 bytes", 1);
    wait_for(&run, "event=supervisor.ready", 1);
    kill(pid_after(wait_for(&run, "event=process.started child=one", 1)), SIGKILL);
    wait_for(&run, "pin has 6 bytes", 2);
    assert_int_equal(stop(&run), 0);
    assert_null(strstr(run.text, "123456"));
    plan.supply_count = 0;
    start(&run, plan, "");
    assert_int_equal(end_of(&run), 99);
    assert_non_null(strstr(run.text, "process one lists pin, and nothing supplies it"));
    close(supply.fd);
}

static void tells_the_service_manager(void **state)
{
    int pair[2];
    char said[64] = "";
    struct daemon_plan plan = plan_of(&STEADY_TABLE);
    struct run run;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
    plan.notify = (struct daemon_notify){ .fd = pair[0], .watchdog_ms = 0 };
    start(&run, plan, "");
    assert_int_equal(recv(pair[1], said, sizeof said, 0), strlen("READY=1"));
    assert_string_equal(said, "READY=1");
    kill(run.pid, SIGINT);
    assert_int_equal(recv(pair[1], said, sizeof said, 0), strlen("STOPPING=1"));
    assert_int_equal(end_of(&run), 0);
    plan.notify.watchdog_ms = 10;
    start(&run, plan, "");
    for (bool seen = false; !seen;) {
        memset(said, 0, sizeof said);
        assert_true(recv(pair[1], said, sizeof said - 1, 0) > 0);
        seen = strcmp(said, "WATCHDOG=1") == 0;
    }
    assert_int_equal(stop(&run), 0);
    close(pair[0]);
    close(pair[1]);
}

static void each_process_has_its_own_user(void **state)
{
    static const struct daemon_user users[] = { { true, 65533, 65533 },
                                                { true, 65534, 65534 } };
    struct daemon_plan plan = plan_of(&STEADY_TABLE);
    struct run run;
    AUTO_BUF(path, 64);
    AUTO_BUF(status, 8192);
    const char *name = "", *text = "";

    (void)state;
    if (geteuid() != 0)
        skip();
    plan.users = users;
    start(&run, plan, "");
    wait_for(&run, "event=supervisor.ready", 1);
    buf_addf(&path, "/proc/%d/status",
             pid_after(wait_for(&run, "event=process.started child=two", 1)));
    assert_int_equal(buf_text(&path, &name), RC_OK);
    assert_int_equal(file_read(AT_FDCWD, name, &status), RC_OK);
    assert_int_equal(buf_text(&status, &text), RC_OK);
    assert_non_null(strstr(text, "Uid:\t65534\t65534\t65534\t65534\n"));
    assert_non_null(strstr(text, "CapEff:\t0000000000000000\n"));
    assert_non_null(strstr(text, "CapPrm:\t0000000000000000\n"));
    assert_int_equal(stop(&run), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_in_order_and_stops_in_the_opposite_one),
        cmocka_unit_test(restarts_what_dies_and_waits_longer_each_time),
        cmocka_unit_test(waits_little_again_after_a_calm_while),
        cmocka_unit_test(restarts_what_was_killed),
        cmocka_unit_test(never_restarts_wrong_settings_or_a_wrong_pin),
        cmocka_unit_test(settings_that_a_child_refuses_stop_everything),
        cmocka_unit_test(calls_a_jail_violation_by_its_name),
        cmocka_unit_test(forces_what_does_not_stop),
        cmocka_unit_test(kills_what_does_not_become_ready),
        cmocka_unit_test(kills_what_lives_on_without_its_control_link),
        cmocka_unit_test(survivors_get_fresh_channels),
        cmocka_unit_test(hands_over_what_was_supplied),
        cmocka_unit_test(tells_the_service_manager),
        cmocka_unit_test(each_process_has_its_own_user),
    };
    int code = 0;

    if (be_patient(&code))
        return code;
    return cmocka_run_group_tests(tests, set_up, NULL);
}
