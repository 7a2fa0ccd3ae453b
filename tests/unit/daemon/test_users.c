#include "tests/support/check.h"

#include <string.h>
#include <sys/wait.h>

#include "daemon/users.h"

static const struct daemon_process ONE[] = { { "signer", "touchmark-signer", NULL, 0 } };
static const struct daemon_table TABLE = { .processes = ONE, .process_count = 1 };

static struct daemon_config config_with(char *user)
{
    return (struct daemon_config){ .signer.user = user };
}

static enum rc find(const char *user, struct daemon_user *found)
{
    char text[64] = "";

    memcpy(text, user, strlen(user));
    struct daemon_config config = config_with(text);
    return daemon_users_find(&config, &TABLE, found);
}

static void root_becomes_somebody_or_refuses(void **state)
{
    struct daemon_user found = { .uid = 7 };

    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(find("", &found), RC_MALFORMED);
    assert_non_null(strstr(fault_text(), "signer.user: touchmarkd runs as root"));
    assert_int_equal(find("root", &found), RC_MALFORMED);
    assert_int_equal(find("0", &found), RC_MALFORMED);
    assert_int_equal(find("no-such-user", &found), RC_MALFORMED);
    assert_int_equal(found.uid, 7);
    assert_int_equal(find("nobody", &found), RC_OK);
    assert_true(found.given && found.uid == 65534 && found.gid == 65534);
    assert_int_equal(find("54321", &found), RC_OK);
    assert_true(found.given && found.uid == 54321 && found.gid == 54321);
}

static int as_nobody(void)
{
    struct daemon_user found;

    if (geteuid() == 0 && setuid(65534) != 0)
        return 1;
    if (find("", &found) != RC_OK || found.given)
        return 2;
    if (find("nobody", &found) != (geteuid() == 65534 ? RC_OK : RC_MALFORMED))
        return 3;
    return find("54321", &found) == RC_MALFORMED ? 0 : 4;
}

static void others_stay_who_they_are(void **state)
{
    pid_t child = fork();
    int status = 0;

    (void)state;
    if (child == 0)
        _exit(as_nobody());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(root_becomes_somebody_or_refuses),
        cmocka_unit_test(others_stay_who_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
