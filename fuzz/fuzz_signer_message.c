/* Target: keys_protocol_read_ask, _work, _results, _answers, _entries, _list, _head, _from;
 * keys_entry_read */
#include <stdint.h>
#include <stdlib.h>

#include "keys/entry.h"
#include "keys/protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The writers give back exactly what was read: there is one encoding. */
static void expect(struct bytes body, enum rc rc, const struct buf *again)
{
    if (rc != RC_OK || !bytes_equal(body, buf_bytes(again)))
        abort();
}

static void ask(enum keys_request request, struct bytes body)
{
    AUTO_BUF(again, LINK_BODY_MAX);
    struct keys_ask made;

    if (keys_protocol_read_ask(request, body, &made) == RC_OK)
        expect(body, keys_protocol_write_ask(request, &made, &again), &again);
}

static void work(struct bytes body)
{
    AUTO_BUF(again, LINK_BODY_MAX);
    struct keys_work made;

    if (keys_protocol_read_work(body, &made) == RC_OK)
        expect(body, keys_protocol_write_work(&made, &again), &again);
}

static void results(struct bytes body)
{
    AUTO_BUF(again, LINK_BODY_MAX);
    struct keys_results made;

    if (keys_protocol_read_results(body, &made) == RC_OK)
        expect(body, keys_protocol_write_results(&made, &again), &again);
}

static void answers(struct bytes body)
{
    AUTO_BUF(again, LINK_BODY_MAX);
    struct keys_answers made;

    if (keys_protocol_read_answers(body, &made) == RC_OK)
        expect(body, keys_protocol_write_answers(&made, &again), &again);
}

static void entries(struct bytes body)
{
    AUTO_BUF(again, LINK_BODY_MAX);
    struct keys_entries made;

    if (keys_protocol_read_entries(body, &made) != RC_OK)
        return;
    for (size_t i = 0; i < made.count; i++)
        if (!keys_protocol_add_entry(&made.at[i], &again))
            abort();
    expect(body, RC_OK, &again);
}

static void list(struct bytes body)
{
    AUTO_BUF(again, LINK_BODY_MAX);
    struct keys_list made;

    if (keys_protocol_read_list(body, &made) == RC_OK)
        expect(body, keys_protocol_write_list(&made, &again), &again);
}

static void head_or_from(struct bytes body)
{
    AUTO_BUF(again, LINK_BODY_MAX);
    struct keys_head head;
    uint64_t from;

    if (keys_protocol_read_from(body, &from) == RC_OK)
        keys_protocol_write_from(from, &again);
    else if (keys_protocol_read_head(body, &head) == RC_OK)
        keys_protocol_write_head(&head, &again);
    else
        return;
    expect(body, RC_OK, &again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes body = { data + 1, size - 1 };
    struct keys_entry entry;

    if (size == 0 || size > LINK_BODY_MAX)
        return 0;
    switch (data[0] % 10) {
    case 0:
        ask(KEYS_ASK_BATCH, body);
        break;
    case 1:
        ask(KEYS_ASK_CHECKPOINT, body);
        break;
    case 2:
        work(body);
        break;
    case 3:
        results(body);
        break;
    case 4:
        answers(body);
        break;
    case 5:
        entries(body);
        break;
    case 6:
        list(body);
        break;
    case 7:
        head_or_from(body);
        break;
    case 9:
        ask(KEYS_ASK_CRL, body);
        break;
    default:
        /* No crash is all that is asked: the writer appends to a journal. */
        if (size > 1)
            (void)!keys_entry_read(data[1] % 5, (struct bytes){ data + 2, size - 2 }, &entry);
    }
    return 0;
}
