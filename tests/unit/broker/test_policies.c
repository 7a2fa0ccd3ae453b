/* threaded */
/* wraps: pthread_create eventfd calloc policy_compile_until */
/* The policy of a door: a short one at once, a long one fetched from an authority that the test
 * plays, and what goes on meanwhile. */
#include <errno.h>
#include <pthread.h>
#include <time.h>

#include <openssl/evp.h>

#include "broker/policies.h"
#include "tests/unit/broker/front_world.h"

enum { RULES = 2500 };
static const char RULE[] = "allow device \"dev-1\" publish \"plant/%06u/state\"\n";

/* ---- What fails ---- */

static enum failing { NOTHING, THREADS, EVENTS, MEMORY } failing;

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
                          void *with);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
                          void *with);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
                          void *with)
{
    return failing == THREADS ? EAGAIN : __real_pthread_create(thread, attr, run, with);
}

int __real_eventfd(unsigned count, int flags);
int __wrap_eventfd(unsigned count, int flags);
int __wrap_eventfd(unsigned count, int flags)
{
    errno = EMFILE;
    return failing == EVENTS ? -1 : __real_eventfd(count, flags);
}

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size)
{
    bool fails = failing == MEMORY && size == sizeof(struct broker_policy);

    return fails ? NULL : __real_calloc(count, size);
}

/* ---- What is slow ---- */

enum { PATIENCE = 4000 };
static uint64_t slow; /* the version that compiles until it is stopped */
static atomic_int begun, stopped;

enum rc __real_policy_compile_until(const atomic_bool *stop, struct bytes text,
                                    uint64_t version, struct policy_errors *errors,
                                    struct policy **policy);
enum rc __wrap_policy_compile_until(const atomic_bool *stop, struct bytes text,
                                    uint64_t version, struct policy_errors *errors,
                                    struct policy **policy);
enum rc __wrap_policy_compile_until(const atomic_bool *stop, struct bytes text,
                                    uint64_t version, struct policy_errors *errors,
                                    struct policy **policy)
{
    if (version == slow) {
        atomic_store(&begun, 1);
        for (int i = 0; i < PATIENCE && !atomic_load(stop); i++)
            nanosleep(&(const struct timespec){ .tv_nsec = 5 * 1000 * 1000 }, NULL);
        atomic_fetch_add(&stopped, atomic_load(stop));
    }
    return __real_policy_compile_until(stop, text, version, errors, policy);
}

static void turn_until_begun(struct world *w)
{
    for (int i = 0; i < 400 && !atomic_load(&begun); i++)
        assert_int_equal(loop_turn_once(w->loop, 50), RC_OK);
    assert_int_equal(atomic_load(&begun), 1);
}

/* ---- The authority ---- */

/* What it keeps, by the first rule's number. */
static struct buf texts[2];
static bool altered;

static struct registry_text make(unsigned which)
{
    struct buf *text = &texts[which];
    struct registry_text named;

    *text = (struct buf)BUF_MAX(REGISTRY_POLICY_MAX);
    for (unsigned i = 0; i < RULES; i++)
        buf_addf(text, RULE, which * RULES + i);
    assert_true(text->len > 2 * REGISTRY_TEXT_PART && text->len < 3 * REGISTRY_TEXT_PART + 1);
    named = (struct registry_text){ .name.len = (uint32_t)text->len };
    EVP_Digest(text->at, text->len, named.name.hash, NULL, EVP_sha256(), NULL);
    return named;
}

static struct bytes text_of(const struct registry_name *name)
{
    uint8_t hash[EVP_MAX_MD_SIZE];

    for (unsigned i = 0; i < 2; i++) {
        EVP_Digest(texts[i].at, texts[i].len, hash, NULL, EVP_sha256(), NULL);
        if (bytes_equal((struct bytes){ hash, REGISTRY_TEXT_HASH }, BYTES_OF(name->hash)))
            return buf_bytes(&texts[i]);
    }
    fail();
    return BYTES("");
}

static void give(struct world *w, const struct link_request *request,
                 const struct registry_question *question)
{
    struct bytes text = text_of(&question->name);
    struct registry_answer part = { 0 };
    AUTO_BUF(octets, REGISTRY_LIST_MAX);

    (void)w;
    buf_add(&octets, (struct bytes){ text.at + (size_t)question->part * REGISTRY_TEXT_PART,
                                     registry_text_part_len(&question->name, question->part) });
    if (altered)
        octets.at[3] ^= 1;
    part.list = buf_bytes(&octets);
    answer(request, REGISTRY_ASK_POLICY_TEXT, &part);
}

static void keep(struct world *w, const struct link_request *request,
                 const struct registry_question *question)
{
    (void)question;
    assert_false(w->kept_part);
    w->part = *request;
    w->part.body = BYTES("");
    w->kept_part = true;
}

/* The second part of the first text is given when the test says so. */
static void keep_the_second(struct world *w, const struct link_request *request,
                            const struct registry_question *question)
{
    if (question->part != 1)
        give(w, request, question);
    else
        keep(w, request, question);
}

static void give_the_second(struct world *w, const struct registry_text *text)
{
    const struct registry_question question = { .name = text->name, .part = 1 };

    w->kept_part = false;
    give(w, &w->part, &question);
}

static uint64_t version_of(const struct world *w)
{
    const struct broker_policy *policy = broker_front_policy(w->front);

    return policy == NULL ? 0 : policy->version;
}

static void turn_until_version(struct world *w, uint64_t version)
{
    for (int i = 0; i < 400 && version_of(w) != version; i++)
        assert_int_equal(loop_turn_once(w->loop, 50), RC_OK);
    assert_int_equal(version_of(w), version);
}

static void turn_until_acknowledged(struct world *w, uint64_t sequence)
{
    for (int i = 0; i < 400 && w->acknowledged != sequence; i++)
        assert_int_equal(loop_turn_once(w->loop, 50), RC_OK);
    assert_int_equal(w->acknowledged, sequence);
}

static void tell(struct world *w, uint64_t version, const struct registry_text *text,
                 uint64_t sequence)
{
    AUTO_BUF(list, REGISTRY_LIST_MAX);
    struct registry_answer news = at(sequence);

    w->version = version;
    w->policy = *text;
    add_policy(&list, version, text, sequence);
    news.list = buf_bytes(&list);
    turn_until(w, &w->watching);
    w->watching = false;
    answer(&w->watch, REGISTRY_ASK_WATCH, &news);
}

static void begin(struct world *w, const struct registry_text *text)
{
    w->version = 1;
    w->policy = *text;
    connect_both(w);
    turn_until(w, &w->watching);
}

static const struct registry_text SHORT = { .octets = { (const uint8_t *)"", 0 } };

/* ---- Claims ---- */

static void a_short_one_comes_with_its_change(void **state)
{
    struct world *w = *state;

    begin(w, &SHORT);
    assert_int_equal(version_of(w), 1);
    assert_non_null(broker_front_policy(w->front)->policy);
    tell(w, 2, &(struct registry_text){ .octets = BYTES("no such thing") }, 6);
    turn_until_version(w, 2);
    turn_until_acknowledged(w, 6);
    assert_null(broker_front_policy(w->front)->policy);
    assert_true(broker_front_policy(w->front)->why[0] != '\0');
    assert_int_equal(w->changes, 1);
}

static void a_door_begins_when_the_first_one_is_here(void **state)
{
    struct world *w = *state;

    w->give_part = keep_the_second;
    w->version = 1;
    w->policy = make(0);
    connect_both(w);
    turn_until(w, &w->kept_part);
    assert_false(broker_front_is_ready(w->front));
    give_the_second(w, &w->policy);
    turn_until(w, &w->watching);
    assert_true(broker_front_is_ready(w->front));
    assert_int_equal(w->snapshots, 1);
    assert_int_equal(w->changes, 0);
    assert_int_equal(w->acknowledged, 5);
    assert_int_equal(policy_rule_count(broker_front_policy(w->front)->policy), RULES);
}

static void suspend(struct buf *list)
{
    add_subject(list, REGISTRY_SUSPENDED, 7);
}

static void a_cut_passes_by_one_that_is_fetched(void **state)
{
    struct world *w = *state;

    begin(w, &SHORT);
    w->give_part = keep_the_second;
    struct registry_text text = make(0);
    tell(w, 2, &text, 6);
    turn_until(w, &w->kept_part);
    turn_until(w, &w->watching);
    assert_int_equal(w->watched_from, 6);
    assert_int_equal(w->acknowledged, 5);
    tell_news(w, suspend, 7);
    turn_until(w, &w->watching);
    assert_int_equal(judge(w, 1), REGISTRY_SUBJECT_SUSPENDED);
    assert_int_equal(w->changes, 1); /* the cut; the policy's is not told */
    assert_int_equal(w->watched_from, 7);
    assert_int_equal(w->acknowledged, 5);
    assert_int_equal(version_of(w), 1);
    w->settled = false;
    give_the_second(w, &text);
    turn_until_version(w, 2);
    turn_a_while(w);
    assert_int_equal(w->changes, 2);
    assert_int_equal(w->acknowledged, 5); /* its own cuts are not done */
    broker_front_settled(w->front);
    turn_until_acknowledged(w, 7);
    assert_true(w->watching); /* the same watch: it was not asked twice */
    w->settled = true;
    tell_news(w, suspend, 8);
    turn_until(w, &w->watching);
    assert_int_equal(w->acknowledged, 8);
}

static void the_newer_one_wins(void **state)
{
    struct world *w = *state;

    begin(w, &SHORT);
    w->give_part = keep;
    struct registry_text first = make(0), second = make(1);
    tell(w, 2, &first, 6);
    turn_until(w, &w->kept_part);
    tell(w, 3, &second, 7);
    turn_until(w, &w->watching);
    w->give_part = give;
    w->kept_part = false;
    give(w, &w->part, &(struct registry_question){ .name = first.name });
    turn_until_version(w, 3);
    assert_int_equal(w->changes, 1);
    turn_until_acknowledged(w, 7);
    w->give_part = keep;
    tell(w, 4, &first, 8);
    turn_until(w, &w->kept_part);
    tell(w, 5, &SHORT, 9);
    turn_until_version(w, 5);
    turn_until_acknowledged(w, 9);
    w->kept_part = false;
    give(w, &w->part, &(struct registry_question){ .name = first.name });
    turn_a_while(w);
    assert_int_equal(version_of(w), 5);
}

static void an_authority_that_starts_again_is_asked_again(void **state)
{
    struct world *w = *state;

    begin(w, &SHORT);
    w->give_part = keep_the_second;
    struct registry_text text = make(0);
    tell(w, 2, &text, 6);
    turn_until(w, &w->kept_part);
    turn_until(w, &w->watching);
    leave_authority(w);
    turn_a_while(w);
    assert_int_equal(version_of(w), 1);
    w->give_part = give;
    connect_both(w);
    turn_until_version(w, 2);
    turn_until_acknowledged(w, 6);
    w->refuse_watch = true; /* another life: a snapshot names the same one, which is here */
    w->parts = 0;
    w->version = 2;
    leave_authority(w);
    turn_a_while(w);
    connect_both(w);
    turn_until(w, &w->watching);
    assert_int_equal(w->snapshots, 2);
    assert_int_equal(w->parts, 0);
    assert_int_equal(version_of(w), 2);
    assert_int_equal(w->acknowledged, 5);
}

static void what_its_hash_does_not_name_is_not_used(void **state)
{
    struct world *w = *state;

    begin(w, &SHORT);
    w->give_part = give;
    altered = true;
    struct registry_text text = make(0);
    tell(w, 2, &text, 6);
    turn_until(w, &w->watching);
    for (int i = 0; i < 400 && w->lines == 0; i++)
        assert_int_equal(loop_turn_once(w->loop, 50), RC_OK);
    assert_int_equal(w->lines, 1);
    assert_int_equal(version_of(w), 1);
    assert_int_equal(w->acknowledged, 5);
    altered = false; /* it is tried again */
    turn_until_version(w, 2);
    turn_until_acknowledged(w, 6);
}

static void what_cannot_be_begun_is_told_once_and_tried_again(void **state)
{
    struct world *w = *state;
    uint64_t version = 1;

    begin(w, &SHORT);
    w->give_part = give;
    struct registry_text text = make(0);
    for (enum failing what = THREADS; what <= MEMORY; what++) {
        w->lines = 0;
        failing = what;
        version++;
        tell(w, version, &text, 4 + version);
        for (int i = 0; i < 400 && w->lines == 0; i++)
            assert_int_equal(loop_turn_once(w->loop, 50), RC_OK);
        assert_int_equal(version_of(w), version - 1);
        assert_int_equal(w->acknowledged, 3 + version);
        failing = NOTHING;
        turn_until_version(w, version);
        turn_until_acknowledged(w, 4 + version);
        assert_int_equal(w->lines, 1);
    }
    failing = MEMORY;
    version++;
    tell(w, version, &SHORT, 4 + version);
    turn_a_while(w);
    assert_int_equal(version_of(w), version - 1);
    failing = NOTHING;
    turn_until_version(w, version);
    turn_until_acknowledged(w, 4 + version);
}

/* The thread that compiles, and the part that is asked for, end with the door. */
static void a_door_may_end_at_any_moment(void **state)
{
    struct world *w = *state;

    begin(w, &SHORT);
    w->give_part = keep_the_second;
    struct registry_text text = make(0);
    tell(w, 2, &text, 6);
    turn_until(w, &w->kept_part);
    give_the_second(w, &text);
    while (w->parts < registry_text_parts(&text.name))
        assert_int_equal(loop_turn_once(w->loop, 50), RC_OK);
}

static void a_policy_that_is_held_stays(void **state)
{
    struct world *w = *state;

    begin(w, &SHORT);
    struct broker_policy *held = broker_policy_hold(broker_front_policy(w->front));
    tell(w, 2, &SHORT, 6);
    turn_until_version(w, 2);
    assert_int_equal(held->version, 1);
    assert_int_equal(policy_rule_count(held->policy), 0);
    broker_policy_release(held);
    broker_policy_release(NULL);
}

/* In nobody's way: neither of the one that follows, nor of the one before it that comes again.
 */
static void one_that_compiles_gives_way(void **state)
{
    struct world *w = *state;

    begin(w, &SHORT);
    w->give_part = give;
    struct registry_text first = make(0), second = make(1);
    slow = 2;
    tell(w, 2, &first, 6);
    turn_until_begun(w);
    tell(w, 3, &SHORT, 7);
    turn_until_version(w, 3);
    turn_until_acknowledged(w, 7);
    assert_int_equal(atomic_load(&stopped), 1);
    atomic_store(&begun, 0);
    slow = 4;
    tell(w, 4, &first, 8);
    turn_until_begun(w);
    tell(w, 5, &second, 9);
    turn_until_version(w, 5);
    turn_until_acknowledged(w, 9);
    assert_int_equal(atomic_load(&stopped), 2);
    assert_int_equal(w->changes, 2); /* of what gave way nobody was told */
    assert_int_equal(w->lines, 0);
}

static void one_that_compiles_ends_with_its_door(void **state)
{
    struct world *w = *state;

    begin(w, &SHORT);
    slow = 2;
    tell(w, 2, &SHORT, 6);
    turn_until_begun(w);
}

static int clean_texts(void **state)
{
    for (unsigned i = 0; i < 2; i++)
        buf_clear(&texts[i]);
    altered = false;
    slow = 0;
    atomic_store(&begun, 0);
    atomic_store(&stopped, 0);
    return clean(state);
}

static int clean_slow(void **state)
{
    int stops = atomic_load(&stopped);

    broker_front_free(TAKE(((struct world *)*state)->front));
    assert_int_equal(atomic_load(&stopped), stops + 1);
    return clean_texts(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare, clean_texts)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_short_one_comes_with_its_change),
        TEST(a_door_begins_when_the_first_one_is_here),
        TEST(a_cut_passes_by_one_that_is_fetched),
        TEST(the_newer_one_wins),
        TEST(an_authority_that_starts_again_is_asked_again),
        TEST(what_its_hash_does_not_name_is_not_used),
        TEST(what_cannot_be_begun_is_told_once_and_tried_again),
        TEST(a_door_may_end_at_any_moment),
        TEST(a_policy_that_is_held_stays),
        TEST(one_that_compiles_gives_way),
        cmocka_unit_test_setup_teardown(one_that_compiles_ends_with_its_door, prepare,
                                        clean_slow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
