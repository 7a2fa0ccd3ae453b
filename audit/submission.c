#include "audit/submission.h"

#include <inttypes.h>

#include "base/text.h"

enum rc audit_submission_write(const struct audit_submission *submission, struct buf *body)
{
    struct bytes done;

    buf_addf(body, "old %" PRIu64 "\n", submission->old_size);
    for (size_t i = 0; i < submission->count; i++) {
        text_add_base64(body, BYTES_OF(submission->nodes[i].at));
        buf_addf(body, "\n");
    }
    buf_addf(body, "\n");
    buf_add(body, submission->note);
    return buf_done(body, &done);
}

static const char *what_is_wrong(struct reader *r, struct audit_submission *made)
{
    if (!bytes_equal(audit_note_take(r, ' '), BYTES("old")) ||
        text_read_u64(audit_note_take(r, '\n'), INT64_MAX, &made->old_size) != RC_OK)
        return "the first line is not \"old <size>\"";
    for (;;) {
        struct bytes line = audit_note_take(r, '\n');
        if (r->broken)
            return "no empty line behind the proof";
        if (line.len == 0)
            break;
        if (made->count == AUDIT_SUBMISSION_NODES)
            return "more than 63 lines of proof";
        if (!audit_note_read_hash(line, made->nodes[made->count].at))
            return "a line of the proof is not base64 of 32 octets";
        made->count++;
    }
    made->note = r->left;
    return NULL;
}

enum rc audit_submission_read(struct bytes body, struct audit_submission *submission)
{
    struct audit_submission made = { 0 };
    struct reader r = READER(body);

    if (body.len > AUDIT_SUBMISSION_MAX)
        return fault(RC_MALFORMED, "C2SP tlog-witness: a body over %d octets",
                     AUDIT_SUBMISSION_MAX);
    const char *wrong = what_is_wrong(&r, &made);
    if (wrong != NULL)
        return fault(RC_MALFORMED, "C2SP tlog-witness: %s", wrong);
    *submission = made;
    return RC_OK;
}
