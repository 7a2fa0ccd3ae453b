/* Target: registry_question_read, registry_answer_read, registry_answer_next_*,
 * registry_ids_next */
#include <stdlib.h>

#include "registry/answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* What was read is written as the very bytes it came from: there is one form of each message.
 */
static void read_question(enum registry_ask ask, struct bytes body)
{
    struct registry_question question;
    AUTO_BUF(again, LINK_BODY_MAX);

    if (registry_question_read(ask, body, &question) != RC_OK)
        return;
    must(registry_question_write(ask, &question, &again) == RC_OK);
    must(bytes_equal(buf_bytes(&again), body));
    struct reader ids = READER(question.ids);
    char id[REGISTRY_ID_MAX + 1];
    while (registry_ids_next(&ids, id) == RC_OK) {
    }
    must(reader_done(&ids)); /* all of it had passed */
}

static void walk_lists(struct bytes list)
{
    struct reader changes = READER(list), subjects = READER(list), policies = READER(list),
                  certificates = READER(list), proposals = READER(list);
    struct registry_proposal proposal;
    struct registry_change change;
    struct registry_subject subject;
    struct registry_policy policy;
    struct registry_certificate certificate;
    uint64_t sequence = 0;

    while (registry_answer_next_change(&changes, &sequence, &change) == RC_OK) {
    }
    while (registry_answer_next_subject(&subjects, &subject) == RC_OK) {
    }
    while (registry_answer_next_policy(&policies, &policy) == RC_OK) {
    }
    while (registry_answer_next_certificate(&certificates, &certificate) == RC_OK) {
    }
    while (registry_answer_next_proposal(&proposals, &proposal) == RC_OK) {
    }
}

static void read_answer(enum registry_ask ask, struct bytes body)
{
    struct registry_answer answer;
    AUTO_BUF(again, LINK_BODY_MAX);

    if (registry_answer_read(ask, body, &answer) != RC_OK)
        return;
    walk_lists(answer.list);
    must(registry_answer_write(ask, &answer, &again) == RC_OK);
    must(bytes_equal(buf_bytes(&again), body));
}

/* The first octet: which request, the top bit for its answer. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct bytes body = { data + 1, size - 1 };
    enum registry_ask ask = (enum registry_ask)(data[0] & 0x7f);
    if ((data[0] & 0x80) == 0)
        read_question(ask, body);
    else
        read_answer(ask, body);
    return 0;
}
