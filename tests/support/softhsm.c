#include "tests/support/softhsm.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "tests/support/check.h"

#include <fcntl.h>

/* The spy never frees its own 16 bytes. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:pkcs11-spy.so";
}

static void put(char *to, size_t room, const char *first, const char *second)
{
    AUTO_BUF(text, 256);
    const char *joined = NULL;

    buf_addf(&text, "%s%s", first, second);
    assert_int_equal(buf_text(&text, &joined), RC_OK);
    assert_true(strlen(joined) < room);
    memcpy(to, joined, strlen(joined) + 1);
}

void softhsm_make(struct softhsm *hsm)
{
    AUTO_BUF(conf, 1024);

    memcpy(hsm->dir, "/tmp/touchmark-hsm-XXXXXX", sizeof "/tmp/touchmark-hsm-XXXXXX");
    assert_non_null(mkdtemp(hsm->dir));
    put(hsm->conf, sizeof hsm->conf, hsm->dir, "/softhsm2.conf");
    put(hsm->tokens, sizeof hsm->tokens, hsm->dir, "/tokens");
    assert_int_equal(mkdir(hsm->tokens, 0700), 0);
    buf_addf(&conf,
             "directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n"
             "slots.removable = false\n",
             hsm->tokens);
    assert_int_equal(file_write(AT_FDCWD, hsm->conf, buf_bytes(&conf), 0600), RC_OK);
    assert_int_equal(setenv("SOFTHSM2_CONF", hsm->conf, 1), 0);
}

void softhsm_spy(struct softhsm *hsm)
{
    put(hsm->spy, sizeof hsm->spy, "spy", ".log");
    if (truncate(hsm->spy, 0) != 0)
        assert_int_equal(file_write(AT_FDCWD, hsm->spy, BYTES(""), 0600), RC_OK);
    assert_int_equal(setenv("PKCS11SPY", SOFTHSM_MODULE, 1), 0);
    assert_int_equal(setenv("PKCS11SPY_OUTPUT", hsm->spy, 1), 0);
}

unsigned softhsm_spied(const struct softhsm *hsm, const char *text)
{
    AUTO_BUF(log, 16UL * 1024 * 1024);
    const char *at = NULL;
    unsigned count = 0;

    assert_int_equal(file_read(AT_FDCWD, hsm->spy, &log), RC_OK);
    assert_int_equal(buf_text(&log, &at), RC_OK);
    while ((at = strstr(at, text)) != NULL) {
        count++;
        at += strlen(text);
    }
    return count;
}

static int remove_one(const char *path, const struct stat *seen, int type, struct FTW *where)
{
    (void)seen, (void)type, (void)where;
    return remove(path);
}

void softhsm_remove(struct softhsm *hsm)
{
    nftw(hsm->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    unsetenv("SOFTHSM2_CONF");
    unsetenv("PKCS11SPY");
    unsetenv("PKCS11SPY_OUTPUT");
}
