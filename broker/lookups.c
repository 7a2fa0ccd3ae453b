#include <stdlib.h>

#include "broker/door_state.h"

/* Strangers cost the authority something: so many a second, so many at once, and no more. */
enum { A_SECOND = 50, BURST = 100, WAITING_MAX = 64 };

struct lookups {
    struct broker_door *door;
    int64_t filled_ms;
    int64_t tokens_ms; /* of credit: each question costs its share of a second */
    size_t waiting;
};

struct asked {
    struct lookups *lookups;
    struct broker_look_up *wanted;
};

struct broker_look_up *broker_look_up_new(void)
{
    struct broker_look_up *made = calloc(1, sizeof *made);

    if (made != NULL)
        made->leaf = (struct buf)BUF_MAX(REGISTRY_CSR_MAX);
    return made;
}

void broker_look_up_free(struct broker_look_up *wanted)
{
    if (wanted == NULL)
        return;
    buf_clear(&wanted->leaf);
    free(wanted);
}

enum rc broker_lookups_new(struct broker_door *door, struct lookups **lookups)
{
    struct lookups *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "look-ups");
    made->door = door;
    made->tokens_ms = BURST * 1000;
    made->filled_ms = clock_monotonic_ms(door->setup.clock);
    *lookups = made;
    return RC_OK;
}

void broker_lookups_free(struct lookups *lookups)
{
    free(lookups);
}

/* Credit grows by A_SECOND thousandths each millisecond; a question costs a thousand. */
static bool pay(struct lookups *lookups)
{
    int64_t now_ms = clock_monotonic_ms(lookups->door->setup.clock);

    lookups->tokens_ms += (now_ms - lookups->filled_ms) * A_SECOND;
    lookups->filled_ms = now_ms;
    if (lookups->tokens_ms > BURST * 1000)
        lookups->tokens_ms = BURST * 1000;
    if (lookups->tokens_ms < 1000)
        return false;
    lookups->tokens_ms -= 1000;
    return true;
}

static void answer(struct broker_door *door, const struct broker_look_up *wanted, enum rc rc,
                   const struct registry_answer *answer)
{
    struct broker_mail mail = { .kind = BROKER_MAIL_LOOKED_UP,
                                .rc = rc,
                                .session = wanted->session };
    struct broker_looked_up *found = rc == RC_OK ? calloc(1, sizeof *found) : NULL;

    if (found != NULL) {
        found->answer.verdict = answer->verdict;
        found->answer.certificate = answer->certificate;
        found->answer.subject = answer->subject;
    } else if (rc == RC_OK) {
        mail.rc = RC_NOMEM;
    }
    mail.what = found;
    if (broker_post_send(door->post, BROKER_POST_MAIN, wanted->party, &mail) != RC_OK)
        free(found); /* the connection's patience ends it */
}

static void on_answer(void *with, enum rc rc, const struct registry_answer *got,
                      struct bytes reason)
{
    struct asked *asked = with;

    (void)reason;
    asked->lookups->waiting--;
    answer(asked->lookups->door, asked->wanted, rc, got);
    broker_look_up_free(asked->wanted);
    free(asked);
}

static enum rc ask(struct lookups *lookups, struct broker_look_up *wanted)
{
    const struct registry_question question = { .preamble = wanted->preamble,
                                                .der = buf_bytes(&wanted->leaf) };

    if (lookups->waiting == WAITING_MAX || !pay(lookups))
        return fault(RC_LIMIT, "too many unknown certificates");
    struct asked *asked = malloc(sizeof *asked);
    if (asked == NULL)
        return fault(RC_NOMEM, "look-up");
    *asked = (struct asked){ lookups, wanted };
    enum rc rc = broker_front_ask(lookups->door->front, REGISTRY_ASK_LOOK_UP, &question,
                                  on_answer, asked);
    if (rc != RC_OK)
        free(asked);
    else
        lookups->waiting++;
    return rc;
}

void broker_lookups_ask(struct lookups *lookups, struct broker_look_up *wanted)
{
    enum rc rc = ask(lookups, wanted);

    if (rc == RC_OK)
        return;
    answer(lookups->door, wanted, rc, NULL);
    broker_look_up_free(wanted);
}
