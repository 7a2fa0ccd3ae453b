#include "tests/support/check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/conf.h"

static void read_text(const char *text, struct cli_conf *conf)
{
    AUTO_BUF(whole, 8192);
    char *folder = getcwd(NULL, 0);

    buf_addf(&whole, "[a]\nhere = %s/x/y\nplace = %s\nbeside = %s-else/x\nup = %s/../z\n%s",
             folder, folder, folder, folder, text);
    assert_int_equal(file_write(AT_FDCWD, "test.conf", buf_bytes(&whole), 0644), RC_OK);
    assert_int_equal(cli_conf_read("./test.conf", conf), RC_OK);
    free(folder);
}

static void a_value_is_found_in_its_section_alone(void **state)
{
    CLI_CONF(conf);

    (void)state;
    read_text("# user = no\n[signer]\nuser=touch\n  \nusers = two\n[signers]\nother = 1\n"
              "[door]\nuser =  last \n",
              &conf);
    assert_true(bytes_equal_text(cli_conf_value(&conf, "signer", "user"), "touch"));
    assert_true(bytes_equal_text(cli_conf_value(&conf, "signer", "users"), "two"));
    assert_true(bytes_equal_text(cli_conf_value(&conf, "door", "user"), "last"));
    assert_int_equal(cli_conf_value(&conf, "signer", "other").len, 0);
    assert_int_equal(cli_conf_value(&conf, "absent", "user").len, 0);
}

static void what_lies_outside_is_refused(void **state)
{
    static const char *const OUTSIDE[] = { "place", "beside", "up" };
    CLI_CONF(conf);
    AUTO_BUF(name, 4096);

    (void)state;
    read_text("", &conf);
    assert_int_equal(cli_conf_inside(&conf, "a", "here", "else", &name), RC_OK);
    assert_true(bytes_equal_text(buf_bytes(&name), "x/y"));
    buf_reset(&name);
    assert_int_equal(cli_conf_inside(&conf, "a", "absent", "else", &name), RC_OK);
    assert_true(bytes_equal_text(buf_bytes(&name), "else"));
    for (size_t i = 0; i < sizeof OUTSIDE / sizeof *OUTSIDE; i++)
        assert_int_equal(cli_conf_inside(&conf, "a", OUTSIDE[i], "else", &name), RC_DENIED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_is_found_in_its_section_alone),
        cmocka_unit_test(what_lies_outside_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
