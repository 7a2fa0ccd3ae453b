#include "tests/support/check.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/table.h"

/*
 * tests/golden/cli/policy.txt is a transcript of what can be asked of policies without a
 * server: after each "$ " line the answer, messages behind "! ", and the status. Its commands
 * are run again, among the files of tests/golden/cli/policies.
 * test_cli_policy --write > tests/golden/cli/policy.txt, and look at the difference.
 */
enum { TRANSCRIPT_MAX = 256 * 1024, COMMAND_MAX = 512, WORDS_MOST = 16 };

static void add_lines(struct buf *out, const char *mark, const char *text)
{
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        buf_addf(out, "%s%.*s\n", mark, (int)len, text);
        text += len;
        text += *text == '\n';
    }
}

/* "$ touchmark policy check x": words have no spaces. */
static void run(const char *line, size_t len, struct buf *out)
{
    char command[COMMAND_MAX], *words[WORDS_MOST], *left = NULL;
    char *answer = NULL, *messages = NULL;
    size_t count = 0, answer_len = 0, messages_len = 0;

    assert_true(len < sizeof command);
    memcpy(command, line, len);
    command[len] = '\0';
    buf_addf(out, "%s\n", command);
    for (char *word = strtok_r(command + 2, " ", &left); word != NULL;
         word = strtok_r(NULL, " ", &left)) {
        assert_true(count < WORDS_MOST);
        words[count++] = word;
    }
    FILE *to = open_memstream(&answer, &answer_len);
    FILE *told = open_memstream(&messages, &messages_len);
    assert_true(to != NULL && told != NULL && count > 1);
    int status =
        cli_command_main(cli_table(), (const char *const *)words + 1, count - 1, to, told);
    assert_int_equal(fclose(to), 0);
    assert_int_equal(fclose(told), 0);
    add_lines(out, "", answer);
    add_lines(out, "! ", messages);
    buf_addf(out, "status %d\n\n", status);
    free(answer);
    free(messages);
}

static void run_all(struct bytes golden, struct buf *out)
{
    while (golden.len > 0) {
        const uint8_t *end = memchr(golden.at, '\n', golden.len);
        size_t len = end == NULL ? golden.len : (size_t)(end - golden.at);
        if (bytes_start_with(golden, BYTES("$ ")))
            run((const char *)golden.at, len, out);
        len += end != NULL;
        golden = (struct bytes){ golden.at + len, golden.len - len };
    }
}

static void play(struct buf *golden, struct buf *played)
{
    const char *source = getenv("TOUCHMARK_SOURCE");

    assert_int_equal(chdir(source != NULL ? source : "."), 0);
    assert_int_equal(chdir("tests/golden/cli/policies"), 0);
    assert_int_equal(file_read(AT_FDCWD, "../policy.txt", golden), RC_OK);
    run_all(buf_bytes(golden), played);
    assert_false(played->broken);
}

static void answers_are_as_agreed(void **state)
{
    AUTO_BUF(golden, TRANSCRIPT_MAX);
    AUTO_BUF(played, TRANSCRIPT_MAX);

    (void)state;
    play(&golden, &played);
    if (!bytes_equal(buf_bytes(&golden), buf_bytes(&played)))
        fail_msg("test_cli_policy --write > tests/golden/cli/policy.txt, and look at the "
                 "difference:\n%.*s",
                 BYTES_FMT(buf_bytes(&played)));
}

static int write_transcript(void)
{
    AUTO_BUF(golden, TRANSCRIPT_MAX);
    AUTO_BUF(played, TRANSCRIPT_MAX);

    play(&golden, &played);
    return fwrite(buf_bytes(&played).at, 1, buf_bytes(&played).len, stdout) > 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(answers_are_as_agreed) };

    if (argc > 1 && strcmp(argv[1], "--write") == 0)
        return write_transcript();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
