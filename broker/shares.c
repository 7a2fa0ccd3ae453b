#include "broker/shares.h"

#include <stdlib.h>
#include <string.h>

#include "broker/origin.h"

/* A token has a thousand parts; each millisecond brings as many parts as a second tokens. */
enum { TOKEN = 1000 };

struct credit {
    int64_t parts, filled_ms;
    unsigned waiting;
};

struct broker_share {
    uint8_t origin[BROKER_ORIGIN];
    bool used;
    struct credit credit;
};

struct broker_shares {
    struct credit all;
    struct broker_share of[BROKER_SHARES_ENTRIES];
};

enum rc broker_shares_new(int64_t now_ms, struct broker_shares **shares)
{
    struct broker_shares *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "shares");
    made->all = (struct credit){ BROKER_SHARES_BURST * TOKEN, now_ms, 0 };
    *shares = made;
    return RC_OK;
}

void broker_shares_free(struct broker_shares *shares)
{
    free(shares);
}

static void fill(struct credit *credit, int64_t now_ms, int64_t a_second, int64_t burst)
{
    credit->parts += (now_ms - credit->filled_ms) * a_second;
    credit->filled_ms = now_ms;
    if (credit->parts > burst * TOKEN)
        credit->parts = burst * TOKEN;
}

static void pay(struct credit *credit)
{
    credit->parts -= TOKEN;
    credit->waiting++;
}

/* The longest idle of those without a question under way: there are more entries than
 * questions. */
static struct broker_share *replace(struct broker_shares *shares)
{
    struct broker_share *chosen = NULL;

    for (size_t i = 0; i < BROKER_SHARES_ENTRIES; i++) {
        struct broker_share *each = &shares->of[i];
        if (!each->used)
            return each;
        if (each->credit.waiting == 0 &&
            (chosen == NULL || each->credit.filled_ms < chosen->credit.filled_ms))
            chosen = each;
    }
    return chosen;
}

static struct broker_share *find(struct broker_shares *shares, const char *peer, int64_t now_ms)
{
    uint8_t origin[BROKER_ORIGIN];

    broker_origin_of(peer, origin);
    for (size_t i = 0; i < BROKER_SHARES_ENTRIES; i++)
        if (shares->of[i].used && bytes_equal(BYTES_OF(shares->of[i].origin), BYTES_OF(origin)))
            return &shares->of[i];
    struct broker_share *made = replace(shares);
    *made = (struct broker_share){ .used = true,
                                   .credit = { BROKER_SHARE_BURST * TOKEN, now_ms, 0 } };
    memcpy(made->origin, origin, BROKER_ORIGIN);
    return made;
}

enum rc broker_shares_begin(struct broker_shares *shares, const char *peer, int64_t now_ms,
                            struct broker_share **share)
{
    struct broker_share *own = find(shares, peer, now_ms);

    fill(&own->credit, now_ms, BROKER_SHARE_A_SECOND, BROKER_SHARE_BURST);
    if (own->credit.waiting == BROKER_SHARE_WAITING || own->credit.parts < TOKEN)
        return fault(RC_LIMIT, "too many unknown certificates from this address");
    fill(&shares->all, now_ms, BROKER_SHARES_A_SECOND, BROKER_SHARES_BURST);
    if (shares->all.waiting == BROKER_SHARES_WAITING || shares->all.parts < TOKEN)
        return fault(RC_LIMIT, "too many unknown certificates");
    pay(&own->credit);
    pay(&shares->all);
    *share = own;
    return RC_OK;
}

void broker_shares_end(struct broker_shares *shares, struct broker_share *share)
{
    share->credit.waiting--;
    shares->all.waiting--;
}
