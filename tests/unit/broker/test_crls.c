/* The CRLs of a door, fetched from an authority that the test plays. */
#include <stdlib.h>

#include "broker/crls.h"
#include "tests/unit/broker/front_world.h"

enum { LONG = 2 * REGISTRY_CRL_PART + 100, SHORT = 10 };

static struct registry_crl crl_of(const char *key, uint64_t number, uint32_t len)
{
    struct registry_crl crl = { .number = number, .len = len };

    memcpy(crl.key, key, strlen(key));
    return crl;
}

static uint8_t octet(uint64_t number, size_t at)
{
    return (uint8_t)(at / 3 + number);
}

/* The octets of the part, or so many more or less. */
static void give(const struct world *w, const struct link_request *request,
                 const struct registry_question *question, size_t less)
{
    const struct registry_crl *crl = NULL;
    AUTO_BUF(octets, REGISTRY_LIST_MAX);
    struct registry_answer part = { 0 };

    for (size_t i = 0; i < w->crl_count; i++)
        if (strcmp(w->crls[i].key, question->id) == 0)
            crl = &w->crls[i];
    if (crl == NULL || crl->number != question->version) {
        link_answer(request, RC_NOT_FOUND, BYTES("there is another one"), -1);
        return;
    }
    size_t len = registry_crl_part_len(crl, question->part);
    assert_true(len > less);
    for (size_t i = 0; i < len - less; i++)
        buf_add_u8(&octets, octet(crl->number, (size_t)question->part * REGISTRY_CRL_PART + i));
    part.list = buf_bytes(&octets);
    answer(request, REGISTRY_ASK_CRL, &part);
}

static void give_well(struct world *w, const struct link_request *request,
                      const struct registry_question *question)
{
    give(w, request, question, 0);
}

static void give_less(struct world *w, const struct link_request *request,
                      const struct registry_question *question)
{
    give(w, request, question, question->part == 1 ? 1 : 0);
}

/* The first part, and the second one never. */
static void keep_the_second(struct world *w, const struct link_request *request,
                            const struct registry_question *question)
{
    if (question->part == 0) {
        give(w, request, question, 0);
        return;
    }
    assert_false(w->kept_part);
    w->part = *request;
    w->part.body = BYTES("");
    w->kept_part = true;
}

static void name(struct world *w, struct registry_crl crl)
{
    for (size_t i = 0; i < w->crl_count; i++)
        if (strcmp(w->crls[i].key, crl.key) == 0) {
            w->crls[i] = crl;
            return;
        }
    w->crls[w->crl_count++] = crl;
}

/* A new one, by the feed. */
static void tell(struct world *w, struct registry_crl crl, uint64_t sequence)
{
    AUTO_BUF(list, REGISTRY_LIST_MAX);
    struct registry_answer news = at(sequence);

    name(w, crl);
    add_crl(&list, &crl, sequence);
    news.list = buf_bytes(&list);
    turn_until(w, &w->watching);
    w->watching = false;
    answer(&w->watch, REGISTRY_ASK_WATCH, &news);
}

static enum rc hold(struct world *w, const char *key, struct broker_crl **crl)
{
    return broker_crls_hold(broker_front_crls(w->front), bytes_of_text(key), crl);
}

static bool has(struct world *w, const char *key, uint64_t number)
{
    struct broker_crl *crl = NULL;

    if (hold(w, key, &crl) != RC_OK)
        return false;
    bool same = crl->number == number;
    broker_crls_release(crl);
    return same;
}

static void turn_until_it_has(struct world *w, const char *key, uint64_t number)
{
    for (int i = 0; i < 1000 && !has(w, key, number); i++)
        assert_int_equal(loop_turn_once(w->loop, 50), RC_OK);
    assert_true(has(w, key, number));
}

static void is_whole(const struct broker_crl *crl, uint64_t number, size_t len)
{
    assert_int_equal(crl->number, number);
    assert_int_equal(crl->der.len, len);
    for (size_t i = 0; i < len; i++)
        assert_int_equal(crl->der.at[i], octet(number, i));
}

/* ---- Claims ---- */

static void each_is_fetched_whole_part_by_part(void **state)
{
    struct world *w = *state;
    struct broker_crl *crl = NULL;

    w->give_part = give_well;
    name(w, crl_of("devices", 7, LONG));
    name(w, crl_of("doors", 3, SHORT));
    connect_both(w);
    turn_until_it_has(w, "doors", 3);
    turn_until_it_has(w, "devices", 7);
    assert_int_equal(w->parts, 3 + 1);
    assert_int_equal(hold(w, "devices", &crl), RC_OK);
    is_whole(crl, 7, LONG);
    broker_crls_release(crl);
    assert_int_equal(hold(w, "unknown", &crl), RC_NOT_FOUND);
    assert_int_equal(w->lines, 0);
}

static void until_the_first_is_whole_it_is_busy(void **state)
{
    struct world *w = *state;
    struct broker_crl *crl = NULL;

    w->give_part = keep_the_second;
    name(w, crl_of("devices", 7, LONG));
    connect_both(w);
    turn_until(w, &w->kept_part);
    assert_int_equal(hold(w, "devices", &crl), RC_BUSY);
    assert_int_equal(judge(w, 1), REGISTRY_ACCEPTED); /* nothing else waits for it */
    assert_true(broker_front_is_ready(w->front));
}

static void the_old_one_is_served_until_the_new_one_is_whole(void **state)
{
    struct world *w = *state;
    struct broker_crl *old = NULL, *crl = NULL;

    w->give_part = give_well;
    name(w, crl_of("devices", 7, LONG));
    connect_both(w);
    turn_until_it_has(w, "devices", 7);
    w->give_part = keep_the_second;
    tell(w, crl_of("devices", 8, LONG + 1), 6);
    turn_until(w, &w->kept_part);
    assert_int_equal(hold(w, "devices", &old), RC_OK);
    is_whole(old, 7, LONG);
    w->kept_part = false;
    w->give_part = give_well;
    const struct registry_question second = { .id = "devices", .version = 8, .part = 1 };
    give(w, &w->part, &second, 0);
    turn_until_it_has(w, "devices", 8);
    is_whole(old, 7, LONG); /* whoever still sends it has it */
    assert_int_equal(hold(w, "devices", &crl), RC_OK);
    is_whole(crl, 8, LONG + 1);
    broker_crls_release(crl);
    broker_crls_release(old);
}

/* The notice of the newer one may come before or after the part's refusal. */
static void one_that_is_replaced_meanwhile_is_given_up_for_the_newer(void **state)
{
    struct world *w = *state;

    w->give_part = keep_the_second;
    name(w, crl_of("devices", 7, LONG));
    connect_both(w);
    turn_until(w, &w->kept_part);
    w->give_part = give_well;
    tell(w, crl_of("devices", 8, SHORT), 6);
    turn_a_while(w);
    assert_false(has(w, "devices", 8)); /* one fetch at a time */
    w->kept_part = false;
    link_answer(&w->part, RC_NOT_FOUND, BYTES("there is another one"), -1);
    turn_until_it_has(w, "devices", 8);
    name(w, crl_of("devices", 9, SHORT)); /* and now it does not hear of it at first */
    tell(w, crl_of("operators", 1, SHORT), 7);
    turn_until_it_has(w, "operators", 1);
    assert_true(has(w, "devices", 8));
    tell(w, crl_of("devices", 9, SHORT), 8);
    turn_until_it_has(w, "devices", 9);
    assert_int_equal(w->lines, 0);
}

static void a_part_of_another_length_is_not_taken_and_told_once(void **state)
{
    struct world *w = *state;
    struct broker_crl *crl = NULL;

    w->give_part = give_less;
    name(w, crl_of("devices", 7, LONG));
    connect_both(w);
    for (int i = 0; i < 1000 && w->parts < 4; i++) /* it begins anew */
        assert_int_equal(loop_turn_once(w->loop, 50), RC_OK);
    assert_true(w->parts >= 4);
    assert_int_equal(hold(w, "devices", &crl), RC_BUSY);
    assert_int_equal(w->lines, 1);
    w->give_part = give_well;
    turn_until_it_has(w, "devices", 7);
}

static void an_authority_that_goes_away_meanwhile_is_asked_when_it_is_back(void **state)
{
    struct world *w = *state;

    w->give_part = keep_the_second;
    name(w, crl_of("devices", 7, LONG));
    connect_both(w);
    turn_until(w, &w->kept_part);
    leave_authority(w);
    turn_a_while(w);
    w->give_part = give_well;
    connect_both(w);
    turn_until_it_has(w, "devices", 7);
}

static void what_a_new_snapshot_does_not_name_is_gone(void **state)
{
    struct world *w = *state;
    struct broker_crl *crl = NULL;

    w->give_part = give_well;
    name(w, crl_of("doors", 3, SHORT));
    name(w, crl_of("devices", 7, SHORT));
    connect_both(w);
    turn_until_it_has(w, "doors", 3);
    turn_until_it_has(w, "devices", 7);
    turn_until(w, &w->watching);
    w->crls[0] = crl_of("devices", 2, SHORT); /* another life of the registry */
    w->crl_count = 1;
    w->refuse_watch = true;
    connect_both(w);
    turn_until_it_has(w, "devices", 2);
    assert_int_equal(hold(w, "doors", &crl), RC_NOT_FOUND);
}

/* Eight newer ones came: whoever reads so slowly is let go of. */
static void one_that_was_replaced_long_ago_is_stale(void **state)
{
    struct world *w = *state;
    struct broker_crl *old = NULL, *still = NULL;

    w->give_part = give_well;
    name(w, crl_of("devices", 1, SHORT));
    name(w, crl_of("doors", 1, SHORT));
    connect_both(w);
    turn_until_it_has(w, "devices", 1);
    turn_until_it_has(w, "doors", 1);
    assert_int_equal(hold(w, "devices", &old), RC_OK);
    assert_int_equal(hold(w, "doors", &still), RC_OK);
    for (uint64_t number = 2; number < 9; number++) {
        assert_false(broker_crls_is_stale(old));
        tell(w, crl_of("devices", number, SHORT), 4 + number);
        turn_until_it_has(w, "devices", number);
    }
    assert_true(broker_crls_is_stale(old));
    assert_false(broker_crls_is_stale(still)); /* old, but the newest of its key */
    broker_crls_release(old);
    broker_crls_release(still);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_is_fetched_whole_part_by_part),
        TEST(until_the_first_is_whole_it_is_busy),
        TEST(the_old_one_is_served_until_the_new_one_is_whole),
        TEST(one_that_is_replaced_meanwhile_is_given_up_for_the_newer),
        TEST(a_part_of_another_length_is_not_taken_and_told_once),
        TEST(an_authority_that_goes_away_meanwhile_is_asked_when_it_is_back),
        TEST(what_a_new_snapshot_does_not_name_is_gone),
        TEST(one_that_was_replaced_long_ago_is_stale),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
