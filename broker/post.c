#include "broker/post.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "broker/ring.h"

enum { SLOTS = 1024, SPILL_FIRST = 64 };

/* From one party to another. The spill is the sender's. */
struct lane {
    struct broker_ring *ring;
    struct broker_mail *spill;
    size_t spilled, room;
    bool unrung;
};

struct broker_post {
    size_t parties;
    int bells[BROKER_POST_MAX];
    size_t jams[BROKER_POST_MAX];  /* lanes with a spill, by sender: the sender's own */
    size_t next[BROKER_POST_MAX];  /* whose mail is taken next, by receiver */
    size_t taken[BROKER_POST_MAX]; /* by the receiver in this turn */
    struct lane lanes[];           /* [from][to] */
};

static struct lane *lane_of(struct broker_post *post, unsigned from, unsigned to)
{
    return &post->lanes[from * post->parties + to];
}

static enum rc open_party(struct broker_post *post, size_t party)
{
    post->bells[party] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (post->bells[party] < 0)
        return fault_errno("bell of party %zu", party);
    for (size_t to = 0; to < post->parties; to++)
        if (to != party)
            TRY(broker_ring_new(SLOTS, sizeof(struct broker_mail),
                                &lane_of(post, (unsigned)party, (unsigned)to)->ring));
    return RC_OK;
}

enum rc broker_post_new(size_t parties, struct broker_post **post)
{
    assert(parties >= BROKER_POST_WORKER && parties <= BROKER_POST_MAX);
    AUTO_OF(broker_post) *made =
        calloc(1, sizeof *made + parties * parties * sizeof(struct lane));

    if (made == NULL)
        return fault(RC_NOMEM, "post of %zu parties", parties);
    made->parties = parties;
    for (size_t i = 0; i < BROKER_POST_MAX; i++)
        made->bells[i] = -1;
    for (size_t i = 0; i < parties; i++)
        TRY(open_party(made, i));
    *post = TAKE(made);
    return RC_OK;
}

void broker_post_free(struct broker_post *post)
{
    if (post == NULL)
        return;
    for (size_t i = 0; i < post->parties; i++)
        own_close(&post->bells[i]);
    for (size_t i = 0; i < post->parties * post->parties; i++) {
        broker_ring_free(post->lanes[i].ring);
        free(post->lanes[i].spill);
    }
    free(post);
}

int broker_post_bell(const struct broker_post *post, unsigned party)
{
    return post->bells[party];
}

static enum rc spill(struct broker_post *post, unsigned from, struct lane *lane,
                     const struct broker_mail *mail)
{
    if (lane->spilled == lane->room) {
        size_t room = lane->room == 0 ? SPILL_FIRST : lane->room * 2;
        struct broker_mail *grown = realloc(lane->spill, room * sizeof *grown);
        if (grown == NULL)
            return fault(RC_NOMEM, "mail that waits");
        lane->spill = grown;
        lane->room = room;
    }
    post->jams[from] += lane->spilled == 0;
    lane->spill[lane->spilled++] = *mail;
    return RC_OK;
}

enum rc broker_post_send(struct broker_post *post, unsigned from, unsigned to,
                         const struct broker_mail *mail)
{
    struct lane *lane = lane_of(post, from, to);
    struct broker_mail stamped = *mail;

    stamped.from = from;
    lane->unrung = true;
    if (lane->spilled == 0 && broker_ring_push(lane->ring, &stamped))
        return RC_OK;
    return spill(post, from, lane, &stamped);
}

static void unspill(struct broker_post *post, unsigned from, struct lane *lane)
{
    size_t gone = 0;

    while (gone < lane->spilled && broker_ring_push(lane->ring, &lane->spill[gone]))
        gone++;
    if (gone == 0)
        return;
    lane->spilled -= gone;
    memmove(lane->spill, lane->spill + gone, lane->spilled * sizeof *lane->spill);
    post->jams[from] -= lane->spilled == 0;
    lane->unrung = true;
}

static void ring(const struct broker_post *post, unsigned to)
{
    const uint64_t one = 1;
    /* It fails only when the count is at its end: then the bell rings already. */
    ssize_t rung = write(post->bells[to], &one, sizeof one);

    (void)rung;
}

void broker_post_deliver(struct broker_post *post, unsigned from)
{
    for (unsigned to = 0; to < post->parties; to++) {
        struct lane *lane = lane_of(post, from, to);
        if (lane->spilled > 0)
            unspill(post, from, lane);
        if (!lane->unrung)
            continue;
        lane->unrung = false;
        ring(post, to);
    }
}

bool broker_post_is_jammed(const struct broker_post *post, unsigned from)
{
    return post->jams[from] > 0;
}

void broker_post_open(struct broker_post *post, unsigned to)
{
    uint64_t rings;
    ssize_t got = read(post->bells[to], &rings, sizeof rings); /* nothing: no harm */

    (void)got;
    post->taken[to] = 0;
    post->next[to] = (post->next[to] + 1) % post->parties;
}

/* The main thread's comes first: it is little, and a cut is among it. */
static bool take_next(struct broker_post *post, unsigned to, struct broker_mail *mail)
{
    if (to != BROKER_POST_MAIN &&
        broker_ring_pop(lane_of(post, BROKER_POST_MAIN, to)->ring, mail))
        return true;
    for (size_t tried = 0; tried < post->parties; tried++) {
        unsigned from = (unsigned)post->next[to];
        if (from != to && broker_ring_pop(lane_of(post, from, to)->ring, mail))
            return true;
        post->next[to] = (post->next[to] + 1) % post->parties;
    }
    return false;
}

bool broker_post_next(struct broker_post *post, unsigned to, struct broker_mail *mail)
{
    if (post->taken[to] == BROKER_POST_TURN) { /* a flood does not keep it from all else */
        post->taken[to] = 0;
        ring(post, to);
        return false;
    }
    post->taken[to]++;
    return take_next(post, to, mail);
}
