#include "tests/support/check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/settings.h"

struct sample {
    char *name, *folder, *listen, *note;
    int64_t port, offset, patience_ms, room;
    bool strict;
    int level;
};

#define FIELD(name) offsetof(struct sample, name)
static const struct settings_row ROWS[] = {
    { "door", "listen", SETTINGS_ADDRESS, FIELD(listen), 0, 0, "127.0.0.1:8883", NULL,
      "Where devices connect" },
    { "door", "port", SETTINGS_NUMBER, FIELD(port), 1, 65535, "8443", NULL,
      "TLS port of the API" },
    { "door", "patience", SETTINGS_DURATION, FIELD(patience_ms), 100, 86400000, "90s", NULL,
      "How long a silent peer is kept" },
    { "door", "strict", SETTINGS_SWITCH, FIELD(strict), 0, 0, "on", NULL,
      "Refuse what the standard merely discourages" },
    { "store", "folder", SETTINGS_PATH, FIELD(folder), 1, 100, NULL, NULL,
      "Where the registry lives" },
    { "store", "room", SETTINGS_SIZE, FIELD(room), 4096, 4294967296, "1G", NULL,
      "The most it may grow to" },
    { "log", "level", SETTINGS_CHOICE, FIELD(level), 0, 0, "info", "debug,info,notice",
      "Events below this level are not written" },
    { "log", "name", SETTINGS_TEXT, FIELD(name), 1, 5, "here", NULL,
      "What lines are signed with" },
    { "log", "note", SETTINGS_TEXT, FIELD(note), 0, 60, "", NULL, "A remark" },
    { "log", "offset", SETTINGS_NUMBER, FIELD(offset), -10, 10, "-1", NULL,
      "Added to nothing" },
};
static const struct settings_table TABLE = { ROWS, sizeof ROWS / sizeof *ROWS };

static enum rc read_text(const char *ini, struct sample *s)
{
    return settings_read(&TABLE, bytes_of_text(ini), s);
}

static void what_is_not_given_has_its_default(void **state)
{
    struct sample s;

    (void)state;
    assert_int_equal(read_text("[store]\nfolder = /var/lib/x\n", &s), RC_OK);
    assert_string_equal(s.listen, "127.0.0.1:8883");
    assert_string_equal(s.folder, "/var/lib/x");
    assert_string_equal(s.name, "here");
    assert_string_equal(s.note, "");
    assert_int_equal(s.port, 8443);
    assert_int_equal(s.offset, -1);
    assert_int_equal(s.patience_ms, 90000);
    assert_int_equal(s.room, 1 << 30);
    assert_true(s.strict);
    assert_int_equal(s.level, 1);
    settings_clear(&TABLE, &s);
    assert_null(s.listen);
    settings_clear(&TABLE, &s);
}

static void what_is_given_counts_however_it_is_laid_out(void **state)
{
    struct sample s;

    (void)state;
    assert_int_equal(read_text("# remark\r\n\r\n[store]\r\nfolder=/a b/c;d#e\r\n \t\n"
                               "; remark\n[door]\nport\t=  1  \nstrict = off\n[log]\n"
                               "note = a = b : c \xc3\xa9\noffset = -10\n[door]\npatience = 1d",
                               &s),
                     RC_OK);
    assert_string_equal(s.folder, "/a b/c;d#e");
    assert_int_equal(s.port, 1);
    assert_false(s.strict);
    assert_string_equal(s.note, "a = b : c \xc3\xa9");
    assert_int_equal(s.offset, -10);
    assert_int_equal(s.patience_ms, 86400000);
    settings_clear(&TABLE, &s);
}

static const struct {
    const char *line; /* "section key = value" */
    bool good;
} VALUES[] = {
    { "door port = 1", true },
    { "door port = 65535", true },
    { "door port = 0", false },
    { "door port = 65536", false },
    { "door port = -1", false },
    { "door port = 08", false },
    { "door port = 8 8", false },
    { "door port =", false },
    { "door port = 0x50", false },
    { "door port = 99999999999999999999", false },
    { "log offset = -10", true },
    { "log offset = -11", false },
    { "log offset = 10", true },
    { "log offset = 11", false },
    { "log offset = --1", false },
    { "log offset = -", false },
    { "log offset = +1", false },
    { "door patience = 100ms", true },
    { "door patience = 99ms", false },
    { "door patience = 24h", true },
    { "door patience = 25h", false },
    { "door patience = 1440m", true },
    { "door patience = 90", false },
    { "door patience = s", false },
    { "door patience = 90 s", false },
    { "door patience = 1.5s", false },
    { "door patience = 1w", false },
    { "door patience = 9223372036854775807d", false },
    { "store room = 4k", true },
    { "store room = 4096", true },
    { "store room = 4095", false },
    { "store room = 4G", true },
    { "store room = 4097M", false },
    { "store room = 4K", false },
    { "store room = k", false },
    { "door strict = on", true },
    { "door strict = off", true },
    { "door strict = yes", false },
    { "door strict = On", false },
    { "door strict =", false },
    { "log level = debug", true },
    { "log level = notice", true },
    { "log level = error", false },
    { "log level = debug,info", false },
    { "log level =", false },
    { "log level = inf", false },
    { "log name = x", true },
    { "log name = xxxxx", true },
    { "log name = xxxxxx", false },
    { "log name =", false },
    { "log note =", true },
    { "door listen = 0.0.0.0:0", true },
    { "door listen = [::1]:65535", true },
    { "door listen = [::1]:65536", false },
    { "door listen = ::1:8883", false },
    { "door listen = [127.0.0.1]:1", false },
    { "door listen = 127.0.0.1", false },
    { "door listen = 127.0.0.1:", false },
    { "door listen = localhost:1", false },
    { "door listen = 1.2.3:1", false },
    { "door listen = :8883", false },
    { "door listen = []:1", false },
    { "door listen = [::1%lo]:1", false },
};

static void values_are_held_to_their_bounds_on_both_sides(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof VALUES / sizeof *VALUES; i++) {
        struct sample s = { .port = 77 };
        AUTO_BUF(ini, 500);
        const char *space = strchr(VALUES[i].line, ' ');
        buf_addf(&ini, "[store]\nfolder = /x\n[%.*s]\n%s\n", (int)(space - VALUES[i].line),
                 VALUES[i].line, space + 1);
        enum rc rc = settings_read(&TABLE, buf_bytes(&ini), &s);
        if ((rc == RC_OK) != VALUES[i].good)
            print_error("%s: %s\n", VALUES[i].line, fault_text());
        assert_int_equal(rc, VALUES[i].good ? RC_OK : RC_MALFORMED);
        if (rc == RC_OK)
            settings_clear(&TABLE, &s);
        else
            assert_non_null(strstr(fault_text(), "line 4: ["));
    }
}

static const struct {
    const char *ini, *said;
} REFUSED[] = {
    { "", "[store] folder: must be given" },
    { "[store]\nfolder = relative\n", "line 2: [store] folder: \"relative\" is not what is "
                                      "expected: an absolute path of at most 100 bytes" },
    { "[store]\nfolder = /a\n  /b\n", "line 3: starts with white space" },
    { "[store]\nfolder = /a\n\tfolder = /b\n", "line 3: starts with white space" },
    { "[store]\nfolder = /a ; old\n", "line 2: a comment needs a line of its own" },
    { "[store]\nfolder = /a\t# old\n", "line 2: a comment needs a line of its own" },
    { "[log]\nnote =#old\n", "line 2: a comment needs a line of its own" },
    { "[store]\nfolder = \"/a\"\n", "line 2: values stand without quotes" },
    { "[store]\nfolder = '/a'\n", "line 2: values stand without quotes" },
    { "[store]\nfolder : /a\n", "line 2: not a [section], key = value" },
    { "[store]\nfolder : a = /a\n", "line 2: a key without :" },
    { "[store]\nfolder\n", "line 2: not a [section], key = value" },
    { "[store]\n= /a\n", "line 2: not a [section], key = value" },
    { "[store] folder = /a\n", "line 1: not a [section]" },
    { "[store\n", "line 1: not a [section]" },
    { "[]\n", "line 1: not a [section]" },
    { "[ store ]\n", "line 1: there is no section [ store ]; is [store] meant?" },
    { "[stroe]\n", "line 1: there is no section [stroe]; is [store] meant?" },
    { "[a]x]\n", "line 1: there is no section [a]x]" },
    { "[network]\n", "line 1: there is no section [network]" },
    { "[door]\nprot = 1\n", "line 2: [door] has no prot; is port meant?" },
    { "[door]\nfolder = /a\n", "line 2: [door] has no folder; it belongs to [store]" },
    { "[door]\nwhatever = 1\n", "line 2: [door] has no whatever" },
    { "[door]\nPort = 1\n", "line 2: [door] has no Port; is port meant?" },
    { "port = 1\n", "line 1: port stands before any [section]" },
    { "[door]\nport = 1\n\n[log]\n[door]\nport = 1\n", "line 6: [door] port: given before, in "
                                                       "line 2" },
    { "\xef\xbb\xbf[door]\n", "line 1: starts with a byte-order mark" },
    { "[log]\nnote = \xff\n", "line 2: is not UTF-8" },
    { "[log]\n# \x1b\n", "line 2: holds a control character (0x1b)" },
    { "[log]\rnote = x\n", "line 1: holds a control character (0x0d)" },
};

static void what_readers_guess_about_is_refused_with_its_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof REFUSED / sizeof *REFUSED; i++) {
        struct sample s = { .port = 77 }, before = s;
        assert_int_equal(read_text(REFUSED[i].ini, &s), RC_MALFORMED);
        if (strncmp(fault_text(), REFUSED[i].said, strlen(REFUSED[i].said)) != 0)
            fail_msg("\"%s\" instead of \"%s\"", fault_text(), REFUSED[i].said);
        assert_memory_equal(&s, &before, sizeof s);
    }
    struct sample s;
    assert_int_equal(settings_read(&TABLE, BYTES("[log]\nnote = a\0b\n"), &s), RC_MALFORMED);
    assert_string_equal(fault_text(), "line 2: holds a control character (0x00)");
}

static void a_line_is_as_long_as_it_may_be_and_no_longer(void **state)
{
    struct sample s;

    (void)state;
    for (size_t len = SETTINGS_LINE_MAX - 1; len <= 300; len++) {
        AUTO_BUF(ini, 1000);
        buf_addf(&ini, "[store]\nfolder = /x\n#");
        memset(buf_extend(&ini, len - 1), 'x', len - 1);
        buf_addf(&ini, "\n[door]\nport = 5\n");
        enum rc rc = settings_read(&TABLE, buf_bytes(&ini), &s);
        assert_int_equal(rc, len <= SETTINGS_LINE_MAX ? RC_OK : RC_MALFORMED);
        if (rc == RC_OK)
            settings_clear(&TABLE, &s);
        else
            assert_string_equal(fault_text(), "line 3: longer than 190 bytes");
    }
}

static void a_text_over_its_limit_is_refused(void **state)
{
    static uint8_t newlines[SETTINGS_FILE_MAX + 1];
    struct sample s;

    (void)state;
    memset(newlines, '\n', sizeof newlines);
    assert_int_equal(settings_read(&TABLE, BYTES_OF(newlines), &s), RC_MALFORMED);
    assert_non_null(strstr(fault_text(), "limit 65536"));
    assert_int_equal(settings_read(&TABLE, (struct bytes){ newlines, SETTINGS_FILE_MAX }, &s),
                     RC_MALFORMED);
    assert_string_equal(fault_text(), "[store] folder: must be given");
}

static void a_file_is_named_in_its_fault(void **state)
{
    char path[] = "/tmp/test_settings.XXXXXX";
    AUTO_FD fd = mkstemp(path);
    struct sample s;

    (void)state;
    assert_int_equal(file_write_all(fd, BYTES("[store]\nfolder = /x\nroom = 1\n")), RC_OK);
    assert_int_equal(settings_read_file(&TABLE, path, &s), RC_MALFORMED);
    assert_non_null(strstr(fault_text(), path));
    assert_non_null(strstr(fault_text(), ": line 3: [store] room: "));
    assert_int_equal(ftruncate(fd, 20), 0);
    assert_int_equal(settings_read_file(&TABLE, path, &s), RC_OK);
    settings_clear(&TABLE, &s);
    unlink(path);
    assert_int_equal(settings_read_file(&TABLE, path, &s), RC_NOT_FOUND);
}

static void what_is_shown_reads_back_the_same(void **state)
{
    struct sample s, again;
    AUTO_BUF(shown, 4000);
    AUTO_BUF(twice, 4000);

    (void)state;
    assert_int_equal(read_text("[store]\nfolder = /x y\nroom = 5000\n[log]\nlevel = debug\n"
                               "offset = 0\n[door]\npatience = 1500ms\nstrict = off\n",
                               &s),
                     RC_OK);
    settings_show(&TABLE, &s, &shown);
    assert_true(bytes_equal_text(
        buf_bytes(&shown),
        "[door]\nlisten = 127.0.0.1:8883\nport = 8443\npatience = 1500ms\nstrict = off\n\n"
        "[store]\nfolder = /x y\nroom = 5000\n\n"
        "[log]\nlevel = debug\nname = here\nnote =\noffset = 0\n"));
    assert_int_equal(settings_read(&TABLE, buf_bytes(&shown), &again), RC_OK);
    settings_show(&TABLE, &again, &twice);
    assert_true(bytes_equal(buf_bytes(&shown), buf_bytes(&twice)));
    settings_clear(&TABLE, &s);
    settings_clear(&TABLE, &again);
}

/* tests/golden/settings_manual.ini is what an operator reads: a change of it is a decision. */
static void the_manual_is_the_committed_one_and_reads_as_the_defaults(void **state)
{
    const char *source = getenv("TOUCHMARK_SOURCE");
    AUTO_BUF(path, 4000);
    AUTO_BUF(manual, 8000);
    AUTO_BUF(golden, 8000);
    const char *name = NULL;
    struct sample s;

    (void)state;
    buf_addf(&path, "%s/tests/golden/settings_manual.ini", source != NULL ? source : ".");
    assert_int_equal(buf_text(&path, &name), RC_OK);
    assert_int_equal(file_read(AT_FDCWD, name, &golden), RC_OK);
    settings_manual(&TABLE, &manual);
    if (!bytes_equal(buf_bytes(&manual), buf_bytes(&golden)))
        fail_msg("the manual has become:\n%.*s", BYTES_FMT(buf_bytes(&manual)));
    assert_int_equal(settings_read(&TABLE, buf_bytes(&manual), &s), RC_MALFORMED);
    assert_string_equal(fault_text(), "[store] folder: must be given");
    buf_addf(&manual, "[store]\nfolder = /x\n");
    assert_int_equal(settings_read(&TABLE, buf_bytes(&manual), &s), RC_OK);
    settings_clear(&TABLE, &s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_given_has_its_default),
        cmocka_unit_test(what_is_given_counts_however_it_is_laid_out),
        cmocka_unit_test(values_are_held_to_their_bounds_on_both_sides),
        cmocka_unit_test(what_readers_guess_about_is_refused_with_its_line),
        cmocka_unit_test(a_line_is_as_long_as_it_may_be_and_no_longer),
        cmocka_unit_test(a_text_over_its_limit_is_refused),
        cmocka_unit_test(a_file_is_named_in_its_fault),
        cmocka_unit_test(what_is_shown_reads_back_the_same),
        cmocka_unit_test(the_manual_is_the_committed_one_and_reads_as_the_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
