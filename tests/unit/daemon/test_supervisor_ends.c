/* What touchmarkd tells of the ends of processes, and whom. */
#include "tests/unit/daemon/patients.h"

/* While it lives, when it comes back, and as all stops. */
static void tells_the_authority_how_the_others_ended(void **state)
{
    static const struct daemon_process rows[] = { { "first", "patient-steady", NULL, 0 },
                                                  { "authority", "patient-recorder", NULL, 0 },
                                                  { "door", "patient-steady", NULL, 0 } };
    const struct daemon_table table = { rows, 3, NULL, 0 };
    struct daemon_plan plan = plan_of(&table);
    struct run run;

    (void)state;
    plan.restart_least_ms = 200;
    start(&run, plan, "");
    wait_for(&run, "event=supervisor.ready", 1);
    wait_for(&run, "recorder's former: none", 1);
    kill(pid_after(wait_for(&run, "event=process.started child=door", 1)), SIGKILL);
    wait_for(&run, "recorded door killed by SIGKILL", 1);
    wait_for(&run, "event=process.ready child=door", 2);
    kill(pid_after(wait_for(&run, "event=process.started child=authority", 1)), SIGABRT);
    wait_for(&run, "event=process.killed child=authority", 1);
    kill(pid_after(wait_for(&run, "event=process.started child=first", 1)), SIGSYS);
    wait_for(&run, "recorder's former: killed by SIGABRT", 1);
    wait_for(&run, "recorded first killed by the jail (SIGSYS)", 1);
    wait_for(&run, "event=process.ready child=first", 2);
    assert_int_equal(stop(&run), 0);
    assert_non_null(strstr(run.text, "recorded door ended as it was asked to"));
    assert_null(strstr(run.text, "recorded authority"));
    assert_null(strstr(strstr(run.text, "recorded first") + 1, "recorded first"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_the_authority_how_the_others_ended),
    };
    int code = 0;

    if (be_patient(&code))
        return code;
    return cmocka_run_group_tests(tests, set_up, NULL);
}
