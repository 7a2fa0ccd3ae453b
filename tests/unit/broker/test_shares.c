#include "tests/support/check.h"

#include "base/buf.h"
#include "broker/origin.h"
#include "broker/shares.h"

struct asked {
    struct broker_shares *shares;
    struct broker_share *of[BROKER_SHARES_WAITING];
    size_t count;
};

/* Questions from one address until it is refused. */
static unsigned ask_all(struct asked *asked, const char *peer, int64_t now_ms)
{
    unsigned begun = 0;

    while (asked->count < BROKER_SHARES_WAITING &&
           broker_shares_begin(asked->shares, peer, now_ms, &asked->of[asked->count]) ==
               RC_OK) {
        asked->count++;
        begun++;
    }
    return begun;
}

static void end_all(struct asked *asked)
{
    while (asked->count > 0)
        broker_shares_end(asked->shares, asked->of[--asked->count]);
}

static void one_address_leaves_room_for_the_others(void **state)
{
    struct asked asked = { 0 };

    (void)state;
    assert_int_equal(broker_shares_new(0, &asked.shares), RC_OK);
    assert_int_equal(ask_all(&asked, "192.0.2.1:1", 0), BROKER_SHARE_WAITING);
    assert_int_equal(ask_all(&asked, "192.0.2.1:2", 0), 0);
    assert_int_equal(ask_all(&asked, "192.0.2.2:1", 0), BROKER_SHARE_WAITING);
    /* One customer's network is one address, whatever its hosts call themselves. */
    assert_int_equal(ask_all(&asked, "[2001:db8::1]:1", 0), BROKER_SHARE_WAITING);
    assert_int_equal(ask_all(&asked, "[2001:db8::2]:1", 0), 0);
    assert_int_equal(ask_all(&asked, "[2001:db8:0:1::1]:1", 0), BROKER_SHARE_WAITING);
    end_all(&asked);
    broker_shares_free(asked.shares);
}

static void tokens_come_back_with_time(void **state)
{
    struct asked asked = { 0 };
    unsigned begun = 0, more;

    (void)state;
    assert_int_equal(broker_shares_new(0, &asked.shares), RC_OK);
    for (; (more = ask_all(&asked, "192.0.2.1:1", 0)) > 0; begun += more)
        end_all(&asked);
    assert_int_equal(begun, BROKER_SHARE_BURST);
    assert_int_equal(ask_all(&asked, "192.0.2.1:1", 99), 0);
    assert_int_equal(ask_all(&asked, "192.0.2.1:1", 100), 1);
    end_all(&asked);
    assert_int_equal(ask_all(&asked, "192.0.2.1:1", 1100), BROKER_SHARE_WAITING);
    end_all(&asked);
    broker_shares_free(asked.shares);
}

static void all_together_have_an_end_too(void **state)
{
    struct asked asked = { 0 };
    unsigned begun = 0;

    (void)state;
    assert_int_equal(broker_shares_new(0, &asked.shares), RC_OK);
    /* More addresses than there are entries: who has a question under way is not forgotten. */
    for (unsigned i = 0; i < 2 * BROKER_SHARES_ENTRIES; i++) {
        AUTO_BUF(text, 32);
        const char *peer = NULL;
        buf_addf(&text, "10.0.%u.%u:9", i / 250, i % 250);
        assert_int_equal(buf_text(&text, &peer), RC_OK);
        begun += broker_shares_begin(asked.shares, peer, 0, &asked.of[asked.count]) == RC_OK;
        if (begun > asked.count)
            asked.count++;
        if (asked.count == BROKER_SHARES_WAITING)
            break;
    }
    assert_int_equal(asked.count, BROKER_SHARES_WAITING);
    struct broker_share *none = NULL;
    assert_int_equal(broker_shares_begin(asked.shares, "192.0.2.9:1", 0, &none), RC_LIMIT);
    end_all(&asked);
    assert_int_equal(broker_shares_begin(asked.shares, "192.0.2.9:1", 0, &none), RC_OK);
    broker_shares_end(asked.shares, none);
    broker_shares_free(asked.shares);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_address_leaves_room_for_the_others),
        cmocka_unit_test(tokens_come_back_with_time),
        cmocka_unit_test(all_together_have_an_end_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
