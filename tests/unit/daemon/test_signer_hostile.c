/* The signer as it ships, in its jail, against a hostile authority. */
/* release */
#include "tests/support/check.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/own.h"
#include "daemon/control.h"
#include "tests/support/hostile.h"
#include "tests/support/signer_program.h"

enum { WAIT_MS = 60000, ROUNDS = 8 };

static struct hostile *meet(const struct signer_program *program)
{
    struct hostile *h = calloc(1, sizeof *h);
    struct clock clock = clock_system();

    assert_non_null(h);
    h->rules = program->rules;
    h->now_s = clock_wall_ms(&clock) / 1000;
    h->socket = program->ask;
    return h;
}

static void judge(struct hostile *h, const struct signer_program *program)
{
    AUTO_BUF(path, 128);
    const char *journal = NULL;

    buf_addf(&path, "%s/journal", program->hsm.dir);
    assert_int_equal(buf_text(&path, &journal), RC_OK);
    hostile_judge(h, journal);
}

static void no_certificate_beside_the_rules_is_signed(void **state)
{
    struct signer_program *program = *state;

    signer_program_start(program);
    struct hostile *h = meet(program);
    hostile_ask_all_certificates(h);
    judge(h, program);
    free(h);
    assert_int_equal(signer_program_stop(program), 0);
    assert_int_equal(signer_program_logged(program, "process.failed"), 0);
}

/* Parent and worker both read it, by calls that their jails must allow. */
static void memory_that_comes_along_is_read_in_the_jail(void **state)
{
    static const struct hostile_row CHANGING = { "not sealed", KEYS_ASK_CRL, "devices",
                                                 RC_MALFORMED, "still be changed" };
    static const struct hostile_row NONE = { "no CRL", KEYS_ASK_CRL, "devices", RC_MALFORMED,
                                             "TBSCertList" };
    struct signer_program *program = *state;
    AUTO_BUF(longest, KEYS_CRL_MAX);
    AUTO_FD open = memfd_create("crl", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    assert_non_null(buf_extend(&longest, KEYS_CRL_MAX));
    memset(longest.at, 0, longest.len);
    signer_program_start(program);
    struct hostile *h = meet(program);
    assert_int_equal(ftruncate(open, 1000), 0);
    hostile_ask_sealed(h, &CHANGING, 1000, open, (struct bytes){ 0 });
    hostile_ask(h, &NONE, BYTES("no CRL"), NULL, 0);
    hostile_ask(h, &NONE, buf_bytes(&longest), NULL, 0);
    judge(h, program);
    free(h);
    assert_int_equal(signer_program_stop(program), 0);
    assert_int_equal(signer_program_logged(program, "process.failed"), 0);
}

/* What touchmarkd does when the authority was started again: link.md, one message with the
 * channel's fresh end beside it. */
static void give_a_new_channel(struct signer_program *program)
{
    AUTO_BUF(message, 64);
    int answering = -1;
    char room[64];
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } beside = { .head = { .cmsg_level = SOL_SOCKET,
                           .cmsg_type = SCM_RIGHTS,
                           .cmsg_len = CMSG_LEN(sizeof(int)) } };

    close(program->ask);
    assert_int_equal(link_pair(&program->ask, &answering), RC_OK);
    buf_add_u16(&message, DAEMON_CONTROL_PEER);
    buf_add_u32(&message, 0);
    buf_add_u16(&message, 1); /* the first credit of its lane */
    buf_add_u32(&message, 0);
    buf_add(&message, BYTES("authority"));
    memcpy(CMSG_DATA(&beside.head), &answering, sizeof answering);
    struct iovec part = { message.at, message.len };
    struct msghdr sent = { .msg_iov = &part,
                           .msg_iovlen = 1,
                           .msg_control = beside.room,
                           .msg_controllen = sizeof beside.room };
    assert_int_equal(sendmsg(program->control, &sent, MSG_NOSIGNAL), message.len);
    close(answering);
    assert_int_equal(recv(program->control, room, sizeof room, 0), 12);
    assert_int_equal(room[9], RC_OK);
}

static void after_a_message_that_is_none_the_next_authority_is_served(void **state)
{
    struct signer_program *program = *state;

    signer_program_start(program);
    for (int i = 0; i < ROUNDS; i++) {
        struct hostile *h = meet(program);
        AUTO_BUF(good, 64);
        AUTO_BUF(reply, 65 * 1024 * 2);

        hostile_frame(h, KEYS_ASK_HEAD, BYTES(""), &good);
        assert_true(hostile_exchange(h, buf_bytes(&good), -1, &reply));
        assert_int_equal(reply.len, 12 + 48);
        buf_reset(&reply);
        /* One octet less each round: the last one is a short header. */
        assert_false(
            hostile_exchange(h, (struct bytes){ good.at, (size_t)(11 - i) }, -1, &reply));
        give_a_new_channel(program);
        free(h);
    }
    assert_int_equal(signer_program_stop(program), 0);
    assert_int_equal(signer_program_logged(program, "process.failed"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_certificate_beside_the_rules_is_signed,
                                        signer_program_prepare, signer_program_clean),
        cmocka_unit_test_setup_teardown(memory_that_comes_along_is_read_in_the_jail,
                                        signer_program_prepare, signer_program_clean),
        cmocka_unit_test_setup_teardown(
            after_a_message_that_is_none_the_next_authority_is_served, signer_program_prepare,
            signer_program_clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
