/* What a witness says to a submission: C2SP tlog-witness, "add-checkpoint". */
#pragma once

#include "witness/book.h"

struct witness_answer {
    unsigned status;
    const char *type; /* media type */
    struct buf body;  /* BUF_MAX(WITNESS_ANSWER_MAX), cleared by the caller */
    bool split_view;  /* of its log: said so that the owner of the witness hears of it */
};
enum { WITNESS_ANSWER_MAX = 4096 };

/*
 * 200 with the signature, after what it signs is on disk; 400; 403 no signature of the log's
 * key; 404 no log of this origin; 409 with the size that was signed last, if the submission
 * does not begin there, or shows another tree of that size; 422 the proof does not hold; 500.
 */
void witness_judge(struct witness_book *book, struct bytes body, uint64_t now_s,
                   struct witness_answer *answer);
