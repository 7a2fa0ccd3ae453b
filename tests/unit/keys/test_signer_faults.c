/* wraps: pwrite fdatasync fsync ftruncate */
/* A signer whose journal fails at its Nth call, for each N: what left it is in the journal. */
#include "tests/support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "keys/entry.h"
#include "tests/support/signing.h"

enum { ASKED = 5 }; /* certificates of a run, each alone */

/* Shared with the signer's process. */
struct plan {
    int left; /* the call that brings this to zero fails; 0: none */
    int with; /* errno */
    int calls;
};
static struct plan *plan;

static bool fails_now(void)
{
    if (plan == NULL)
        return false;
    plan->calls++;
    if (plan->left == 0 || --plan->left > 0)
        return false;
    errno = plan->with;
    return true;
}

int __real_ftruncate(int fd, off_t length);
int __wrap_ftruncate(int fd, off_t length);

int __wrap_ftruncate(int fd, off_t length)
{
    return fails_now() ? -1 : __real_ftruncate(fd, length);
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);

int __wrap_fsync(int fd)
{
    return fails_now() ? -1 : __real_fsync(fd);
}

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

int __wrap_fdatasync(int fd)
{
    return fails_now() ? -1 : __real_fdatasync(fd);
}

ssize_t __real_pwrite(int fd, const void *at, size_t n, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *at, size_t n, off_t offset);

/* Half of it reaches the file. */
ssize_t __wrap_pwrite(int fd, const void *at, size_t n, off_t offset)
{
    bool fails = fails_now();
    ssize_t written = __real_pwrite(fd, at, fails ? n / 2 : n, offset);

    if (fails)
        errno = plan->with;
    return fails ? -1 : written;
}

/* ---- What the journal says ---- */

struct counted {
    struct bytes digest; /* of what is looked for */
    unsigned found;
};

static enum rc see(void *with, const struct journal_entry *at)
{
    struct counted *counted = with;
    struct keys_entry entry;

    TRY(keys_entry_read(at->kind, at->body, &entry));
    counted->found +=
        entry.kind == KEYS_ENTRY_SIGNED && bytes_equal(BYTES_OF(entry.digest), counted->digest);
    return RC_OK;
}

static unsigned entries_of(const struct signing *s, struct bytes message)
{
    uint8_t digest[32];
    struct counted counted = { .digest = BYTES_OF(digest) };
    struct journal_recovery found;
    struct journal_head head;
    AUTO_FD dir = -1;

    assert_int_equal(EVP_Digest(message.at, message.len, digest, NULL, EVP_sha256(), NULL), 1);
    assert_int_equal(file_open_dir(AT_FDCWD, s->journal, &dir), RC_OK);
    assert_int_equal(journal_verify(dir, see, &counted, &head, &found), RC_OK);
    return counted.found;
}

/* ---- Runs ---- */

/* True if a signature came. A signer that ended, since it does not know what its disk holds, is
 * started again. */
static bool sign(struct signing *s, struct bytes item)
{
    AUTO_BUF(room, LINK_BODY_MAX);
    struct keys_answers answers = { 0 };
    enum rc rc = signing_ask(s, KEYS_ASK_CERTIFICATES, "devices", &item, 1, &room, &answers);

    if (rc == RC_OK && answers.at[0].rc == RC_OK) {
        assert_true(signing_verifies(s, "devices", item, answers.at[0].signature));
        return true;
    }
    if (rc != RC_OK) {
        signing_stop(s);
        signing_start(s);
    }
    return false;
}

/* The number of calls that it made, its journal's opening left out. Whether the Nth came is up
 * to what it restates: refused counts what it cost. */
static int live(struct signing *s, unsigned run, int nth, int with, unsigned *refused)
{
    bool came[ASKED];
    unsigned here = 0;

    *plan = (struct plan){ .left = nth, .with = with };
    for (unsigned i = 0; i < ASKED; i++) {
        AUTO_BUF(tbs, 4096);
        signing_certificate(s, run * ASKED + i, &tbs);
        came[i] = sign(s, buf_bytes(&tbs));
        here += !came[i];
    }
    int calls = plan->calls;
    assert_true(here <= (nth > 0 && plan->left == 0));
    *refused += here;
    *plan = (struct plan){ 0 };
    signing_stop(s); /* so that its journal can be read */
    for (unsigned i = 0; i < ASKED; i++) {
        AUTO_BUF(tbs, 4096);
        signing_certificate(s, run * ASKED + i, &tbs);
        unsigned entries = entries_of(s, buf_bytes(&tbs));
        assert_true(entries <= 1);
        assert_true(!came[i] || entries == 1);
    }
    signing_start(s);
    return calls;
}

static void no_signature_leaves_without_its_entry(void **state)
{
    static const int WITH[] = { EIO, ENOSPC };
    struct signing *s = *state;
    unsigned run = 0, refused = 0;

    int calls = live(s, run++, 0, 0, &refused);
    assert_true(calls >= 2 * ASKED); /* written and synced, each */
    for (size_t i = 0; i < sizeof WITH / sizeof *WITH; i++) {
        refused = 0;
        for (int nth = 1; nth <= calls; nth++)
            live(s, run++, nth, WITH[i], &refused);
        assert_true(refused >= 2 * ASKED);
    }
}

static int prepare(void **state)
{
    struct signing *s = calloc(1, sizeof *s);

    assert_non_null(s);
    plan = mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(plan, MAP_FAILED);
    signing_make(s);
    signing_start(s);
    *state = s;
    return 0;
}

static int clean(void **state)
{
    signing_remove(*state);
    free(*state);
    munmap(plan, sizeof *plan);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_signature_leaves_without_its_entry, prepare, clean),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
