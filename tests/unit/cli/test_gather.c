#include "tests/support/check.h"
#include "tests/support/folder.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/gather.h"

/* What is read for an import, and what is not. tests/golden/cli/policies/site has the rest. */

static int enter(void **state)
{
    char folder[] = "/tmp/touchmark-gather-XXXXXX";

    assert_non_null(mkdtemp(folder));
    *state = strdup(folder);
    return chdir(folder);
}

static int leave(void **state)
{
    assert_int_equal(chdir("/"), 0);
    folder_remove(*state);
    free(*state);
    return 0;
}

static void put(const char *name, const char *text)
{
    assert_int_equal(file_write(AT_FDCWD, name, bytes_of_text(text), 0600), RC_OK);
}

#define expect_text(path, wanted)                                                              \
    do {                                                                                       \
        struct policy_errors errors_ = { 0 };                                                  \
        CLI_TEXT(text_, path);                                                                 \
        assert_int_equal(cli_gather(&text_, &errors_), RC_OK);                                 \
        assert_true(bytes_equal(buf_bytes(&text_.all), BYTES(wanted)));                        \
    } while (0)

static void expect_error(const char *path, unsigned line, const char *wanted)
{
    struct policy_errors errors = { 0 };
    CLI_TEXT(text, path);

    assert_int_equal(cli_gather(&text, &errors), RC_MALFORMED);
    assert_int_equal(errors.count, 1);
    assert_int_equal(errors.at[0].line, line);
    assert_int_equal(errors.at[0].column, 8);
    assert_string_equal(errors.at[0].text, wanted);
}

static void imports_become_parts(void **state)
{
    (void)state;
    put("main", "import \"one\"\nimport \"two\"\nimport \"one\"\nallow device connect");
    put("one.policy", "# one\nimport\n \"two\"\n");
    put("two", "set a = { 1 }");
    expect_text("main", "import \"one\"\nimport \"two\"\nimport \"one\"\nallow device connect\n"
                        "file \"one\"\n# one\nimport\n \"two\"\n"
                        "file \"two\"\nset a = { 1 }");
}

static void what_is_there_is_not_read_again(void **state)
{
    static const char WHOLE[] = "import \"part\"\nfile \"part\"\n# import \"part2\"\n";

    (void)state;
    put("whole", WHOLE);
    put("part", "import \"nothing\"\n");
    expect_text("whole", "import \"part\"\nfile \"part\"\n# import \"part2\"\n");
}

static void a_folder_is_no_file(void **state)
{
    (void)state;
    put("above", "import \"shared\"\n");
    assert_int_equal(mkdir("shared", 0700), 0);
    expect_error("above", 1,
                 "there is no file \"shared\": no such part, and beside above neither shared "
                 "nor shared.policy");
    put("shared.policy", "# here\n");
    expect_text("above", "import \"shared\"\nfile \"shared\"\n# here\n");
}

static void links_are_not_followed(void **state)
{
    (void)state;
    put("linked", "# why\nimport \"link\"\n");
    assert_int_equal(symlink("/etc/passwd", "link"), 0);
    expect_error("linked", 2, "link: is a symbolic link");
    put("through", "import \"way/passwd\"\n");
    assert_int_equal(symlink("/etc", "way"), 0);
    expect_error("through", 1, "way: is a symbolic link");
}

static void names_stay_in_the_folder(void **state)
{
    (void)state;
    put("away", "import \"../x\"\nimport \"/etc/passwd\"\nimport \".x\"\nimport \"a/./b\"\n");
    expect_text("away",
                "import \"../x\"\nimport \"/etc/passwd\"\nimport \".x\"\nimport \"a/./b\"\n");
}

static void a_part_has_no_parts(void **state)
{
    (void)state;
    put("over", "import \"nested\"\n");
    put("nested", "# first\nfile \"x\"\n");
    expect_error("over", 1, "\"nested\" has parts of its own: only the policy's file may");
}

static void files_are_counted(void **state)
{
    AUTO_BUF(many, 16 * 1024);

    (void)state;
    for (int i = 0; i <= POLICY_FILES_MAX; i++) {
        AUTO_BUF(name, 32);
        const char *text = NULL;
        buf_addf(&name, "n%d", i);
        assert_int_equal(buf_text(&name, &text), RC_OK);
        put(text, "");
        buf_addf(&many, "import \"n%d\"\n", i);
    }
    assert_int_equal(file_write(AT_FDCWD, "many", buf_bytes(&many), 0600), RC_OK);
    expect_error("many", POLICY_FILES_MAX + 1, "more than 64 files");
}

static void the_whole_is_bounded(void **state)
{
    AUTO_BUF(long_one, POLICY_TEXT_MAX);

    (void)state;
    memset(buf_extend(&long_one, POLICY_TEXT_MAX - 20), '\n', POLICY_TEXT_MAX - 20);
    assert_int_equal(file_write(AT_FDCWD, "long", buf_bytes(&long_one), 0600), RC_OK);
    put("short", "import \"long\"\n");
    expect_error("short", 1, "long: file longer than 16777190 bytes");
}

static void places_are_those_of_the_disk(void **state)
{
    AUTO_BUF(told, 256);
    struct policy_errors errors = { 0 };
    const char *text = NULL;

    (void)state;
    assert_int_equal(mkdir("site", 0700), 0);
    put("site/main", "import \"in/one\"\nimport \"two\"\nfile \"two\"\n");
    assert_int_equal(mkdir("site/in", 0700), 0);
    put("site/in/one.policy", "");
    CLI_TEXT(read, "site/main");
    assert_int_equal(cli_gather(&read, &errors), RC_OK);
    cli_gather_add_place(&told, &read, BYTES(""), 1, 2);
    cli_gather_add_place(&told, &read, BYTES("in/one"), 3, 4);
    cli_gather_add_place(&told, &read, BYTES("two"), 5, 6);
    assert_int_equal(buf_text(&told, &text), RC_OK);
    assert_string_equal(text, "site/main:1:2: site/in/one.policy:3:4: site/main: two:5:6: ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(imports_become_parts),
        cmocka_unit_test(what_is_there_is_not_read_again),
        cmocka_unit_test(a_folder_is_no_file),
        cmocka_unit_test(links_are_not_followed),
        cmocka_unit_test(names_stay_in_the_folder),
        cmocka_unit_test(a_part_has_no_parts),
        cmocka_unit_test(files_are_counted),
        cmocka_unit_test(the_whole_is_bounded),
        cmocka_unit_test(places_are_those_of_the_disk),
    };

    return cmocka_run_group_tests(tests, enter, leave);
}
