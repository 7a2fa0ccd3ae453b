#include <stdlib.h>

#include "broker/door_state.h"
#include "broker/shares.h"

/* Strangers cost the authority something: shares.h says how much. */
struct lookups {
    struct broker_door *door;
    struct broker_shares *shares;
};

struct asked {
    struct lookups *lookups;
    struct broker_share *share;
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
    enum rc rc = broker_shares_new(clock_monotonic_ms(door->setup.clock), &made->shares);
    if (rc == RC_OK)
        *lookups = made;
    else
        free(made);
    return rc;
}

void broker_lookups_free(struct lookups *lookups)
{
    if (lookups == NULL)
        return;
    broker_shares_free(lookups->shares);
    free(lookups);
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
    broker_shares_end(asked->lookups->shares, asked->share);
    answer(asked->lookups->door, asked->wanted, rc, got);
    broker_look_up_free(asked->wanted);
    free(asked);
}

static enum rc ask(struct lookups *lookups, struct broker_look_up *wanted)
{
    const struct registry_question question = { .preamble = wanted->preamble,
                                                .der = buf_bytes(&wanted->leaf) };
    struct broker_share *share = NULL;

    TRY(broker_shares_begin(lookups->shares, wanted->preamble.peer,
                            clock_monotonic_ms(lookups->door->setup.clock), &share));
    struct asked *asked = malloc(sizeof *asked);
    enum rc rc = asked == NULL ? fault(RC_NOMEM, "look-up") : RC_OK;
    if (rc == RC_OK) {
        *asked = (struct asked){ lookups, share, wanted };
        rc = broker_front_ask(lookups->door->front, REGISTRY_ASK_LOOK_UP, &question, on_answer,
                              asked);
    }
    if (rc != RC_OK) {
        broker_shares_end(lookups->shares, share);
        free(asked);
    }
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
