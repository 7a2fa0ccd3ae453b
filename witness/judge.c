#include "witness/judge.h"

#include <inttypes.h>

#include "audit/submission.h"

enum {
    OK = 200,
    BAD_REQUEST = 400,
    FORBIDDEN = 403,
    NOT_FOUND = 404,
    CONFLICT = 409,
    UNPROCESSABLE = 422,
    FAILED = 500
};

static void say(struct witness_answer *answer, unsigned status, const char *text)
{
    answer->status = status;
    answer->type = "text/plain; charset=utf-8";
    buf_reset(&answer->body);
    buf_addf(&answer->body, "%s\n", text);
}

static void say_size(struct witness_answer *answer, const struct witness_log *log)
{
    answer->status = CONFLICT;
    answer->type = "text/x.tlog.size";
    buf_reset(&answer->body);
    buf_addf(&answer->body, "%" PRIu64 "\n", log->size);
}

static bool same_root(const struct proof_hash *a, const struct proof_hash *b)
{
    return bytes_equal(BYTES_OF(a->at), BYTES_OF(b->at));
}

/* Whose it is, by its first line; then whether its key signed it. */
static struct witness_log *find_log(struct witness_book *book,
                                    const struct audit_submission *submission,
                                    struct audit_checkpoint *checkpoint,
                                    struct witness_answer *answer)
{
    struct reader r = READER(submission->note);
    struct bytes origin = audit_note_take(&r, '\n');
    struct witness_log *log = r.broken ? NULL : witness_book_find(book, origin);

    if (r.broken) {
        say(answer, BAD_REQUEST, "no checkpoint");
        return NULL;
    }
    if (log == NULL) {
        say(answer, NOT_FOUND, "no log of this origin is watched here");
        return NULL;
    }
    enum rc rc = audit_checkpoint_verify(log->key, submission->note, checkpoint);
    if (rc == RC_OK)
        return log;
    say(answer, rc == RC_MALFORMED ? BAD_REQUEST : FORBIDDEN, fault_text());
    return NULL;
}

/* Does it continue what was signed last? Has answered if not. */
static bool continues(struct witness_book *book, const struct witness_log *log,
                      const struct audit_submission *submission,
                      const struct audit_checkpoint *checkpoint, struct witness_answer *answer)
{
    if (submission->old_size > checkpoint->size) {
        say(answer, BAD_REQUEST, "the old size is above the checkpoint's");
        return false;
    }
    /* Whatever size it says it comes from: two trees of one size are two logs. */
    if (log->begun && checkpoint->size == log->size &&
        !same_root(&checkpoint->root, &log->root)) {
        witness_book_keep_evidence(book, checkpoint, submission->note);
        answer->split_view = true;
        say_size(answer, log);
        return false;
    }
    if (submission->old_size != log->size) {
        say_size(answer, log);
        return false;
    }
    if (journal_proof_check_consistency(log->size, &log->root, checkpoint->size,
                                        &checkpoint->root, submission->nodes,
                                        submission->count) != RC_OK) {
        say(answer, UNPROCESSABLE, fault_text());
        return false;
    }
    return true;
}

/* Durable before it leaves. */
static enum rc sign(struct witness_book *book, struct witness_log *log,
                    const struct audit_checkpoint *checkpoint, struct bytes note,
                    uint64_t now_s, struct buf *line)
{
    struct bytes text, lines, signature;

    TRY(audit_note_split(note, &text, &lines));
    TRY(audit_cosigner_sign(book->cosigner, text, now_s, line));
    TRY(buf_done(line, &signature));
    return witness_book_keep(book, log, checkpoint, note);
}

void witness_judge(struct witness_book *book, struct bytes body, uint64_t now_s,
                   struct witness_answer *answer)
{
    AUTO_BUF(line, WITNESS_ANSWER_MAX);
    struct audit_submission submission;
    struct audit_checkpoint checkpoint;
    struct witness_log *log = NULL;

    answer->split_view = false;
    if (audit_submission_read(body, &submission) != RC_OK) {
        say(answer, BAD_REQUEST, fault_text());
        return;
    }
    log = find_log(book, &submission, &checkpoint, answer);
    if (log == NULL || !continues(book, log, &submission, &checkpoint, answer))
        return;
    if (sign(book, log, &checkpoint, submission.note, now_s, &line) != RC_OK) {
        say(answer, FAILED, "the witness cannot remember it, and so does not sign");
        return;
    }
    answer->status = OK;
    answer->type = "text/plain; charset=utf-8";
    buf_reset(&answer->body);
    buf_add(&answer->body, buf_bytes(&line));
}
