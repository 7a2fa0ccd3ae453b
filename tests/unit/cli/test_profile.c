#include "tests/support/check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "cli/profile.h"

static const char GOOD[] = "[operator]\nserver = https://door.example:9443/\n"
                           "certificate = ada.pem\nkey = /secret/ada.key\n";

static void put(const char *name, const char *text)
{
    assert_int_equal(file_write(AT_FDCWD, name, bytes_of_text(text), 0644), RC_OK);
}

/* The working folder is this test's own (tools/programs.cmake). */
static int start_empty(void **state)
{
    (void)state;
    unlink("operator.conf");
    mkdir("home", 0700);
    mkdir("home/.config", 0700);
    mkdir("home/.config/touchmark", 0700);
    unlink("home/.config/touchmark/operator.conf");
    return setenv("HOME", "home", 1);
}

static void names_are_of_files_beside_it(void **state)
{
    struct cli_profile profile = { 0 };

    (void)state;
    put("home/.config/touchmark/operator.conf", GOOD);
    assert_int_equal(cli_profile_read(NULL, NULL, &profile), RC_OK);
    assert_string_equal(profile.server, "https://door.example:9443");
    assert_string_equal(profile.certificate, "home/.config/touchmark/ada.pem");
    assert_string_equal(profile.authorities, "home/.config/touchmark/doors.pem");
    assert_string_equal(profile.key, "/secret/ada.key");
    cli_profile_clear(&profile);
}

static void the_nearest_one_counts_and_a_given_one_alone(void **state)
{
    struct cli_profile profile = { 0 };

    (void)state;
    put("home/.config/touchmark/operator.conf", GOOD);
    put("operator.conf", "[operator]\nserver = https://near\ncertificate = a\nkey = b\n");
    assert_int_equal(cli_profile_read(NULL, NULL, &profile), RC_OK);
    assert_string_equal(profile.server, "https://near");
    cli_profile_clear(&profile);
    assert_int_equal(cli_profile_read(NULL, "https://other:1", &profile), RC_OK);
    assert_string_equal(profile.server, "https://other:1");
    cli_profile_clear(&profile);
    assert_int_equal(cli_profile_read("absent.conf", NULL, &profile), RC_NOT_FOUND);
    assert_non_null(strstr(fault_text(), "absent.conf"));
}

static void without_one_the_places_are_named(void **state)
{
    struct cli_profile profile = { 0 };

    (void)state;
    if (access("/etc/touchmark/operator/operator.conf", F_OK) == 0)
        skip();
    assert_int_equal(cli_profile_read(NULL, NULL, &profile), RC_NOT_FOUND);
    assert_non_null(strstr(fault_text(), "./operator.conf"));
}

static void nothing_but_https_is_spoken_to(void **state)
{
    static const char *const BAD[] = {
        "http://door",     "https://",        "door:9443",   "ftp://door",     "",
        "https://door/v1", "https://me@door", "https://a b", "https://door?x", "https://door#x"
    };

    (void)state;
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        assert_int_equal(cli_profile_check_server(BAD[i]), RC_MALFORMED);
    assert_int_equal(cli_profile_check_server("https://door:9443"), RC_OK);
    assert_int_equal(cli_profile_check_server("https://[::1]:9443"), RC_OK);
}

static void an_unknown_setting_is_refused(void **state)
{
    struct cli_profile profile = { 0 };

    (void)state;
    put("operator.conf", "[operator]\nserver = https://near\ncertificate = a\nkey = b\n"
                         "insecure = on\n");
    assert_int_equal(cli_profile_read(NULL, NULL, &profile), RC_MALFORMED);
    assert_non_null(strstr(fault_text(), "insecure"));
}

static void what_is_written_reads_back(void **state)
{
    struct cli_profile profile = { 0 };
    AUTO_BUF(text, 4096);

    (void)state;
    cli_profile_write(&text, &(const struct cli_profile_names){ "https://[::1]:9443", "d.pem",
                                                                "ada.pem", "ada.key" });
    assert_int_equal(file_write(AT_FDCWD, "operator.conf", buf_bytes(&text), 0644), RC_OK);
    assert_int_equal(cli_profile_read(NULL, NULL, &profile), RC_OK);
    assert_string_equal(profile.server, "https://[::1]:9443");
    assert_string_equal(profile.authorities, "d.pem");
    assert_string_equal(profile.checkpoint_key, "checkpoints.pub.pem");
    cli_profile_clear(&profile);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(names_are_of_files_beside_it, start_empty),
        cmocka_unit_test_setup(the_nearest_one_counts_and_a_given_one_alone, start_empty),
        cmocka_unit_test_setup(without_one_the_places_are_named, start_empty),
        cmocka_unit_test(nothing_but_https_is_spoken_to),
        cmocka_unit_test_setup(an_unknown_setting_is_refused, start_empty),
        cmocka_unit_test_setup(what_is_written_reads_back, start_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
