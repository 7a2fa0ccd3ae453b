/* CRLs come as sealed memory: what a hostile authority may pass instead, or together, and what
 * it may cost. */
#include "tests/support/check.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/file.h"
#include "base/link_protocol.h"
#include "keys/memory.h"
#include "tests/support/crl_rows.h"
#include "tests/support/hostile.h"
#include "tests/support/signing.h"

enum { PLENTY = 1000, CRL_ROOM = 8192, ALL = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE };

static const struct crl_pieces GOOD = { 0 }; /* number 5 */

struct world {
    struct signing signing;
    struct hostile hostile;
    struct buf good;
};

static int prepare(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    assert_non_null(w);
    signing_make(&w->signing);
    for (size_t i = 0; i < w->signing.rules->count; i++)
        w->signing.rules->rule[i].rate_burst = PLENTY;
    signing_start(&w->signing);
    w->hostile.rules = w->signing.rules;
    w->hostile.now_s = TBS_NOW_S;
    w->hostile.socket = w->signing.ask;
    w->good = BUF_MAX(CRL_ROOM);
    crl_build(w->signing.rules, &GOOD, &w->good);
    *state = w;
    return 0;
}

static int clean(void **state)
{
    struct world *w = *state;

    signing_remove(&w->signing);
    buf_clear(&w->good);
    free(w);
    return 0;
}

static int memory_of(struct bytes bytes, int seals)
{
    int fd = memfd_create("crl", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    assert_true(fd >= 0);
    assert_int_equal(file_write_all(fd, bytes), RC_OK);
    if (seals != 0)
        assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

static void pass(struct world *w, const char *claim, size_t len, int fd, const char *expected)
{
    const struct hostile_row row = { claim, KEYS_ASK_CRL, "devices", RC_MALFORMED, expected };
    AUTO_FD owned = fd;

    assert_true(fd >= 0);
    hostile_ask_sealed(&w->hostile, &row, len, owned, (struct bytes){ 0 });
}

/* ---- What comes along ---- */

static void memory_that_can_change_is_not_read(void **state)
{
    static const struct {
        const char *claim;
        int seals;
    } ROWS[] = {
        { "no seals", 0 },
        { "no seal against more seals alone", F_SEAL_SEAL },
        { "it may be written to", ALL & ~F_SEAL_WRITE },
        { "old mappings may write", (ALL & ~F_SEAL_WRITE) | 0x10 /* F_SEAL_FUTURE_WRITE */ },
        { "it may shrink", ALL & ~F_SEAL_SHRINK },
        { "it may grow", ALL & ~F_SEAL_GROW },
    };
    struct world *w = *state;
    struct bytes good = buf_bytes(&w->good);

    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        pass(w, ROWS[i].claim, good.len, memory_of(good, ROWS[i].seals), "still be changed");
    hostile_judge(&w->hostile, w->signing.journal);
}

static void what_is_no_memory_is_not_read(void **state)
{
    struct world *w = *state;
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pass(w, "a pipe", 1, ends[0], "still be changed");
    pass(w, "the other end of a pipe", 1, ends[1], "still be changed");
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    pass(w, "a socket", 1, ends[0], "still be changed");
    close(ends[1]);
    pass(w, "a folder", 1, open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), "still be changed");
    pass(w, "no end of zeros", 4096, open("/dev/zero", O_RDONLY | O_CLOEXEC),
         "still be changed");
    pass(w, "a path only", 1, open("/", O_PATH | O_CLOEXEC), "still be changed");
    hostile_judge(&w->hostile, w->signing.journal);
}

static void the_length_is_the_one_that_was_said(void **state)
{
    struct world *w = *state;
    struct bytes good = buf_bytes(&w->good);

    pass(w, "an octet more was said", good.len + 1, memory_of(good, ALL), "octets, expected");
    pass(w, "an octet less was said", good.len - 1, memory_of(good, ALL), "octets, expected");
    pass(w, "16 MiB were said", KEYS_CRL_MAX, memory_of(good, ALL), "octets, expected");
    pass(w, "empty memory", good.len, memory_of(BYTES(""), ALL), "octets, expected");
    hostile_judge(&w->hostile, w->signing.journal);
}

/* The correlation's octets and the key, and what stands where the length should. */
static void a_length_that_cannot_be_is_refused(void **state)
{
    static const struct {
        const char *claim;
        struct bytes length;
    } ROWS[] = {
        { "no octets", BYTES("\x00\x00\x00\x00") },
        { "16 MiB and an octet", BYTES("\x01\x00\x00\x01") },
        { "4 GiB less an octet", BYTES("\xff\xff\xff\xff") },
        { "cut short", BYTES("\x00\x00\x01") },
        { "octets behind it", BYTES("\x00\x00\x00\x01x") },
        { "a message with an item, as before", BYTES("\x01\x00\x01x") },
    };
    struct world *w = *state;

    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        const struct hostile_row row = { ROWS[i].claim, KEYS_ASK_CRL, "", RC_MALFORMED,
                                         "cut short, too long" };
        AUTO_BUF(body, 256);
        AUTO_FD fd = memory_of(BYTES("x"), ALL);

        buf_add(&body, BYTES("sixteen octets !\x07"
                             "devices"));
        buf_add(&body, ROWS[i].length);
        hostile_ask_body(&w->hostile, &row, buf_bytes(&body), fd, buf_bytes(&body));
    }
    hostile_judge(&w->hostile, w->signing.journal);
}

/* ---- What is in it ---- */

static void ask(struct world *w, const char *claim, struct bytes crl, enum rc rc)
{
    const struct hostile_row row = { claim, KEYS_ASK_CRL, "devices", rc, "" };

    hostile_ask(&w->hostile, &row, crl, NULL, 0);
}

static void a_list_that_is_cut_short_or_has_a_tail_is_refused(void **state)
{
    struct world *w = *state;
    AUTO_BUF(longer, CRL_ROOM + 1);
    struct bytes good = buf_bytes(&w->good);

    for (size_t len = 1; len < good.len; len++)
        ask(w, "cut short", (struct bytes){ good.at, len }, RC_MALFORMED);
    buf_add(&longer, good);
    buf_add_u8(&longer, 0);
    ask(w, "an octet behind it", buf_bytes(&longer), RC_MALFORMED);
    buf_cut(&longer, good.len);
    buf_add(&longer, good);
    ask(w, "two lists", buf_bytes(&longer), RC_MALFORMED);
    ask(w, "the list", good, RC_OK);
    hostile_judge(&w->hostile, w->signing.journal);
}

/* The offset of the last octet of the last entry's serial number: 99,999. */
static size_t last_serial(const struct buf *list)
{
    static const uint8_t NUMBER[] = { 0x00, 0x01, 0x86, 0x9f };
    size_t at = list->len - sizeof NUMBER;

    while (!bytes_equal((struct bytes){ list->at + at, sizeof NUMBER }, BYTES_OF(NUMBER)))
        at--;
    return at + sizeof NUMBER - 1;
}

/* Checked to its last entry, and the journal has it by its digest. */
static void a_hundred_thousand_entries_are_signed_whole(void **state)
{
    struct world *w = *state;
    AUTO_BUF(list, KEYS_CRL_MAX);
    AUTO_BUF(twice, KEYS_CRL_MAX);

    crl_build_long(w->signing.rules, 100000, &list);
    buf_add(&twice, buf_bytes(&list));
    twice.at[last_serial(&twice)]--;
    ask(w, "the last one is the one before it", buf_bytes(&twice), RC_MALFORMED);
    ask(w, "a hundred thousand", buf_bytes(&list), RC_OK);
    hostile_judge(&w->hostile, w->signing.journal);
}

/* The most memory that the process has had at a time, in KiB. */
static long peak_kib(pid_t pid)
{
    AUTO_BUF(path, 64);
    const char *name = NULL;
    char line[256];
    long kib = 0;

    buf_addf(&path, "/proc/%d/status", (int)pid);
    assert_int_equal(buf_text(&path, &name), RC_OK);
    FILE *file = fopen(name, "r");
    assert_non_null(file);
    while (kib == 0 && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "VmHWM:", 6) == 0)
            kib = strtol(line + 6, NULL, 10);
    fclose(file);
    assert_true(kib > 0);
    return kib;
}

static void more_than_the_bound_is_not_sent(void **state)
{
    struct world *w = *state;
    AUTO_BUF(zeros, KEYS_CRL_MAX + 1);
    AUTO_BUF(room, LINK_BODY_MAX);
    struct keys_answers answers;

    assert_non_null(buf_extend(&zeros, KEYS_CRL_MAX + 1));
    memset(zeros.at, 0, zeros.len);
    struct bytes crl = buf_bytes(&zeros);
    assert_int_equal(
        signing_ask(&w->signing, KEYS_ASK_CRL, "devices", &crl, 1, &room, &answers), RC_LIMIT);
}

/* The signer's parent reads it piece by piece; the one worker that has it holds it once. */
static void the_longest_costs_no_more_than_its_length(void **state)
{
    enum { BESIDE_KIB = 8 * 1024, LONGEST_KIB = KEYS_CRL_MAX / 1024 };
    struct world *w = *state;
    AUTO_BUF(zeros, KEYS_CRL_MAX);

    ask(w, "no CRL", BYTES("no CRL"), RC_MALFORMED);
    long before[] = { peak_kib(w->signing.signer), peak_kib(w->signing.workers[0]),
                      peak_kib(w->signing.workers[1]) };

    assert_non_null(buf_extend(&zeros, KEYS_CRL_MAX));
    memset(zeros.at, 0, zeros.len);
    ask(w, "16 MiB of zeros", buf_bytes(&zeros), RC_MALFORMED);
    assert_true(peak_kib(w->signing.signer) - before[0] < BESIDE_KIB);
    for (int i = 0; i < SIGNING_WORKERS; i++)
        assert_true(peak_kib(w->signing.workers[i]) - before[1 + i] < LONGEST_KIB + BESIDE_KIB);
    hostile_judge(&w->hostile, w->signing.journal);
}

static unsigned open_files(pid_t pid)
{
    AUTO_BUF(path, 64);
    const char *name = NULL;
    unsigned count = 0;

    for (int fd = 0; fd < 1024; fd++) {
        buf_reset(&path);
        buf_addf(&path, "/proc/%d/fd/%d", (int)pid, fd);
        assert_int_equal(buf_text(&path, &name), RC_OK);
        char to[8];
        count += readlink(name, to, sizeof to) > 0;
    }
    return count;
}

static void no_descriptor_stays(void **state)
{
    struct world *w = *state;
    struct bytes good = buf_bytes(&w->good);
    const struct hostile_row nobody = { "no such key", KEYS_ASK_CRL, "nobodys", RC_NOT_FOUND,
                                        "no key nobodys" };

    ask(w, "no CRL", BYTES("no CRL"), RC_MALFORMED);
    unsigned before[] = { open_files(w->signing.signer), open_files(w->signing.workers[0]),
                          open_files(w->signing.workers[1]) };

    for (int i = 0; i < 20; i++) {
        pass(w, "not sealed", good.len, memory_of(good, 0), "still be changed");
        ask(w, "no CRL", BYTES("no CRL"), RC_MALFORMED);
        hostile_ask(&w->hostile, &nobody, good, NULL, 0);
    }
    hostile_judge(&w->hostile, w->signing.journal);
    assert_int_equal(open_files(w->signing.signer), before[0]);
    for (int i = 0; i < SIGNING_WORKERS; i++)
        assert_int_equal(open_files(w->signing.workers[i]), before[1 + i]);
}

/* ---- Several at a time ---- */

/* On the second credit of the urgent lane, or the first. */
static void send_crl(struct world *w, const char *key, struct bytes crl, bool second)
{
    const struct hostile_row row = { "", KEYS_ASK_CRL, key, RC_OK, "" };
    AUTO_BUF(body, LINK_BODY_MAX);
    AUTO_BUF(datagram, LINK_BODY_MAX);
    AUTO_FD fd = memory_of(crl, ALL);

    hostile_begin_body(&w->hostile, &row, &body);
    buf_add_u32(&body, (uint32_t)crl.len);
    hostile_frame(&w->hostile, KEYS_ASK_CRL, buf_bytes(&body), &datagram);
    datagram.at[7] = second;
    hostile_send(&w->hostile, buf_bytes(&datagram), fd);
}

/* The next reply is to the request on this credit; its one answer. */
static struct keys_answer take(struct world *w, bool second, struct buf *reply)
{
    struct keys_answers answers;

    buf_reset(reply);
    assert_true(hostile_receive(&w->hostile, reply));
    assert_int_equal(reply->at[7], second);
    assert_int_equal(
        keys_protocol_read_answers((struct bytes){ reply->at + 12, reply->len - 12 }, &answers),
        RC_OK);
    assert_int_equal(answers.count, 1);
    return answers.at[0];
}

static void a_second_one_of_a_key_is_refused_while_the_first_is_under_way(void **state)
{
    struct world *w = *state;
    AUTO_BUF(reply, 2 * LINK_MESSAGE_MAX);
    struct bytes good = buf_bytes(&w->good);

    for (int i = 0; i < SIGNING_WORKERS; i++)
        assert_int_equal(kill(w->signing.workers[i], SIGSTOP), 0);
    send_crl(w, "devices", good, false);
    send_crl(w, "devices", good, true);
    struct keys_answer second = take(w, true, &reply);
    assert_int_equal(second.rc, RC_BUSY);
    assert_true(second.sequence > 0);
    for (int i = 0; i < SIGNING_WORKERS; i++)
        assert_int_equal(kill(w->signing.workers[i], SIGCONT), 0);
    struct keys_answer first = take(w, false, &reply);
    assert_int_equal(first.rc, RC_OK);
    assert_true(signing_verifies(&w->signing, "devices", good, first.signature));
}

/* The first worker has a CRL and stands still: enrolments go to the second. */
static void a_crl_under_way_holds_up_no_certificate(void **state)
{
    struct world *w = *state;
    AUTO_BUF(tbs, LINK_BODY_MAX);
    AUTO_BUF(room, LINK_BODY_MAX);
    AUTO_BUF(reply, 2 * LINK_MESSAGE_MAX);
    struct bytes good = buf_bytes(&w->good);
    AUTO_BUF(datagram, LINK_BODY_MAX);
    const struct hostile_row row = { "", KEYS_ASK_CERTIFICATES, "devices", RC_OK, "" };

    assert_int_equal(kill(w->signing.workers[0], SIGSTOP), 0);
    send_crl(w, "devices", good, false);
    signing_certificate(&w->signing, 1, &tbs);
    hostile_begin_body(&w->hostile, &row, &room);
    buf_add_u8(&room, 1);
    buf_add_sized16(&room, buf_bytes(&tbs));
    hostile_frame(&w->hostile, row.kind, buf_bytes(&room), &datagram);
    hostile_send(&w->hostile, buf_bytes(&datagram), -1);
    assert_true(hostile_receive(&w->hostile, &reply));
    assert_int_equal(reply.at[1], KEYS_ASK_CERTIFICATES);
    assert_int_equal(kill(w->signing.workers[0], SIGCONT), 0);
    assert_int_equal(take(w, false, &reply).rc, RC_OK);
}

static void beyond_the_rate_nothing_is_read(void **state)
{
    struct world *w = *state;
    AUTO_BUF(reply, 2 * LINK_MESSAGE_MAX);
    struct bytes good = buf_bytes(&w->good);
    unsigned too_fast = 0;

    for (unsigned i = 0; i < KEYS_STRAYS_AT_ONCE + 64; i++) {
        send_crl(w, "nobodys", good, false);
        struct keys_answer answer = take(w, false, &reply);
        assert_true(answer.rc == RC_NOT_FOUND || answer.rc == RC_LIMIT);
        too_fast += answer.rc == RC_LIMIT;
    }
    assert_true(too_fast > 0);
    send_crl(w, "devices", good, false);
    assert_int_equal(take(w, false, &reply).rc, RC_OK);
}

#define WITH_SIGNER(test) cmocka_unit_test_setup_teardown(test, prepare, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SIGNER(memory_that_can_change_is_not_read),
        WITH_SIGNER(what_is_no_memory_is_not_read),
        WITH_SIGNER(the_length_is_the_one_that_was_said),
        WITH_SIGNER(a_length_that_cannot_be_is_refused),
        WITH_SIGNER(a_list_that_is_cut_short_or_has_a_tail_is_refused),
        WITH_SIGNER(a_hundred_thousand_entries_are_signed_whole),
        WITH_SIGNER(more_than_the_bound_is_not_sent),
        WITH_SIGNER(the_longest_costs_no_more_than_its_length),
        WITH_SIGNER(no_descriptor_stays),
        WITH_SIGNER(a_second_one_of_a_key_is_refused_while_the_first_is_under_way),
        WITH_SIGNER(a_crl_under_way_holds_up_no_certificate),
        WITH_SIGNER(beyond_the_rate_nothing_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
