#include "integration/witness.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "audit/checkpoint.h"
#include "audit/submission.h"
#include "base/text.h"
#include "integration/post.h"

enum {
    ANSWER_MS = 10 * 1000,
    ANSWER_MAX = 2048, /* signature lines, or a reason */
    URL_MAX = 512,
    REASON_SHOWN = 120,
    OK = 200,
    CONFLICT = 409
};

enum state {
    IDLE,     /* until there is a newer checkpoint */
    PROVING,  /* until the log's proof is here */
    ASKING,   /* until the witness has answered */
    BRINGING, /* until the log has the signatures */
    RESTING,  /* until the next try */
    BROKEN,   /* until the next start */
};

struct integration_witness {
    struct integration_witness_setup setup;
    struct integration_tls_identity *identity; /* of https */
    struct integration_post *post;
    enum state state;
    struct loop_timer retry;
    struct integration_health health;
    struct buf newest, note, lines; /* the newest checkpoint, the one under way, its lines */
    struct buf done;                /* text of the one that was brought back last */
    uint64_t newest_size, size;     /* of their trees */
    uint64_t signed_size;           /* by the witness, as far as we know */
    bool corrected;                 /* it has told its size in this try */
    uint64_t cosigned;
};

static enum rc ask(struct integration_witness *witness, const struct proof_hash *nodes,
                   size_t count);

/* ---- Tries ---- */

static void rest(struct integration_witness *witness)
{
    witness->state = RESTING;
    witness->signed_size = 0; /* it will say */
    integration_health_fail(&witness->health, witness->setup.loop);
    if (integration_health_retry(&witness->health, witness->setup.loop, &witness->retry,
                                 witness->setup.retry_most_ms) != RC_OK)
        witness->state = IDLE; /* with the next checkpoint */
    witness->setup.told(witness->setup.with);
}

static void settle(struct integration_witness *witness, enum rc rc)
{
    if (rc != RC_OK)
        rest(witness);
}

/* From what it has signed to the checkpoint under way. */
static enum rc go(struct integration_witness *witness)
{
    if (witness->signed_size > witness->size)
        return fault(RC_DENIED,
                     "the witness has signed a tree of %" PRIu64
                     " records, this log has %" PRIu64,
                     witness->signed_size, witness->size);
    if (witness->signed_size == 0 || witness->signed_size == witness->size)
        return ask(witness, NULL, 0);
    witness->state = PROVING;
    witness->setup.wants(witness->setup.with);
    return RC_OK;
}

/* A log that signed one tree twice has two texts. */
static bool has_news(const struct integration_witness *witness)
{
    struct bytes text, lines;

    return audit_note_split(buf_bytes(&witness->newest), &text, &lines) == RC_OK &&
           !bytes_equal(text, buf_bytes(&witness->done));
}

static void begin(struct integration_witness *witness)
{
    if (!has_news(witness)) {
        witness->state = IDLE;
        return;
    }
    buf_reset(&witness->note);
    buf_add(&witness->note, buf_bytes(&witness->newest));
    witness->size = witness->newest_size;
    witness->corrected = false;
    settle(witness, go(witness));
}

static enum rc try_again(struct loop_timer *timer)
{
    begin((void *)((char *)timer - offsetof(struct integration_witness, retry)));
    return RC_OK;
}

/* ---- What the witness says ---- */

static enum rc take_lines(struct integration_witness *witness, struct bytes body)
{
    struct bytes lines;

    buf_reset(&witness->lines);
    buf_add(&witness->lines, body);
    TRY(buf_done(&witness->lines, &lines));
    if (lines.len == 0)
        return fault(RC_MALFORMED, "the witness signed nothing");
    witness->signed_size = witness->size;
    witness->state = BRINGING;
    witness->setup.wants(witness->setup.with);
    return RC_OK;
}

static enum rc take_size(struct integration_witness *witness, struct bytes body)
{
    struct reader r = READER(body);
    uint64_t size = 0;

    if (text_read_u64(audit_note_take(&r, '\n'), INT64_MAX, &size) != RC_OK || !reader_done(&r))
        return fault(RC_MALFORMED, "the witness does not say what it has signed");
    if (witness->corrected || size == witness->signed_size)
        return fault(RC_DENIED,
                     "the witness has signed a tree of %" PRIu64
                     " records, and this log's of that size is another",
                     size);
    witness->signed_size = size;
    witness->corrected = true;
    return go(witness);
}

static enum rc take_answer(struct integration_witness *witness,
                           const struct integration_post_answer *answer)
{
    size_t len = answer->body.len < REASON_SHOWN ? answer->body.len : REASON_SHOWN;

    if (answer->rc != RC_OK)
        return answer->rc;
    if (answer->status == OK)
        return take_lines(witness, answer->body);
    if (answer->status == CONFLICT && strcmp(answer->type, "text/x.tlog.size") == 0)
        return take_size(witness, answer->body);
    while (len > 0 && answer->body.at[len - 1] == '\n')
        len--;
    return fault(RC_DENIED, "the witness answers %u: %.*s", answer->status, (int)len,
                 (const char *)answer->body.at);
}

static void on_answer(void *with, const struct integration_post_answer *answer)
{
    struct integration_witness *witness = with;

    settle(witness, take_answer(witness, answer));
}

static enum rc ask(struct integration_witness *witness, const struct proof_hash *nodes,
                   size_t count)
{
    struct audit_submission submission = { .old_size = witness->signed_size,
                                           .count = count,
                                           .note = buf_bytes(&witness->note) };
    AUTO_BUF(body, AUDIT_SUBMISSION_MAX);

    if (count > AUDIT_SUBMISSION_NODES)
        return fault(RC_LIMIT, "a proof of %zu nodes", count);
    if (count > 0)
        memcpy(submission.nodes, nodes, count * sizeof *nodes);
    TRY(audit_submission_write(&submission, &body));
    witness->state = ASKING;
    return integration_post_send(witness->post, buf_bytes(&body));
}

/* ---- What the log says ---- */

enum rc integration_witness_offer(struct integration_witness *witness, struct bytes note)
{
    struct audit_checkpoint checkpoint;

    TRY(audit_checkpoint_of_note(note, &checkpoint));
    buf_reset(&witness->newest);
    buf_add(&witness->newest, note);
    witness->newest_size = checkpoint.size;
    if (witness->newest.broken) {
        buf_reset(&witness->newest);
        return fault(RC_NOMEM, "a checkpoint");
    }
    if (witness->state == IDLE)
        begin(witness);
    return RC_OK;
}

bool integration_witness_proves(const struct integration_witness *witness, uint64_t *from,
                                uint64_t *to)
{
    *from = witness->signed_size;
    *to = witness->size;
    return witness->state == PROVING;
}

void integration_witness_prove(struct integration_witness *witness,
                               const struct proof_hash *nodes, size_t count)
{
    if (witness->state == PROVING)
        settle(witness, ask(witness, nodes, count));
}

bool integration_witness_brings(const struct integration_witness *witness, uint64_t *size,
                                struct bytes *lines)
{
    *size = witness->size;
    *lines = buf_bytes(&witness->lines);
    return witness->state == BRINGING;
}

/* Is there a line in the note by the same name and key? */
static enum rc find_line(struct bytes note, const struct audit_note_line *wanted)
{
    AUTO_BUF(room, AUDIT_NOTE_MAX);
    struct bytes text, lines;
    struct audit_note_line line;

    TRY(audit_note_split(note, &text, &lines));
    struct reader r = READER(lines);
    while (r.left.len > 0) {
        TRY(audit_note_next(&r, &room, &line));
        if (bytes_equal(line.name, wanted->name) && bytes_equal(line.id, wanted->id))
            return RC_OK;
    }
    return fault(RC_DENIED, "%.*s is none of authority.witnesses, or has another key there",
                 (int)wanted->name.len, (const char *)wanted->name.at);
}

/* One line that came along is enough: a witness may sign with a second key, for others. */
static enum rc find_lines(const struct integration_witness *witness, struct bytes note)
{
    AUTO_BUF(room, AUDIT_NOTE_MAX);
    struct reader r = READER(buf_bytes(&witness->lines));
    struct audit_note_line line;
    enum rc rc = RC_DENIED;

    while (rc != RC_OK && r.left.len > 0) {
        TRY(audit_note_next(&r, &room, &line));
        rc = find_line(note, &line);
    }
    return rc;
}

static void keep_done(struct integration_witness *witness)
{
    struct bytes text, lines;

    buf_reset(&witness->done);
    if (audit_note_split(buf_bytes(&witness->note), &text, &lines) == RC_OK)
        buf_add(&witness->done, text);
    witness->cosigned = witness->size;
}

void integration_witness_brought(struct integration_witness *witness, struct bytes note)
{
    if (witness->state != BRINGING)
        return;
    enum rc rc = find_lines(witness, note);
    if (rc != RC_OK) {
        rest(witness);
        return;
    }
    keep_done(witness);
    integration_health_reset_wait(&witness->health);
    integration_health_up(&witness->health, witness->setup.loop);
    begin(witness);
    witness->setup.told(witness->setup.with);
}

void integration_witness_fail(struct integration_witness *witness)
{
    if (witness->state == PROVING || witness->state == BRINGING)
        rest(witness);
}

void integration_witness_status(const struct integration_witness *witness,
                                struct integration_witness_status *status)
{
    *status = (struct integration_witness_status){ witness->health, witness->cosigned };
}

/* ---- Life ---- */

/* "192.0.2.1", "2001:db8::1": as a certificate's address is looked for. */
static void address_of(const struct integration_witness_url *url, char host[sizeof url->place])
{
    const char *end = strrchr(url->place, ':'), *begin = url->place;

    if (*begin == '[') {
        begin++;
        end--;
    }
    memcpy(host, begin, (size_t)(end - begin));
    host[end - begin] = '\0';
}

static enum rc make_identity(struct integration_witness *witness,
                             const struct integration_witness_url *url)
{
    char host[sizeof url->place];
    const struct integration_tls_setup tls = {
        .server_name = *witness->setup.name != '\0' ? witness->setup.name : host,
        .authorities = witness->setup.authorities,
        .certificate = "",
        .key = "",
    };

    address_of(url, host);
    return integration_tls_identity_new(&tls, &witness->identity);
}

/* A name stands in the URL, so that it is asked for; where that is, is not looked up. */
static enum rc make_post(struct integration_witness *witness,
                         const struct integration_witness_url *url)
{
    AUTO_BUF(text, URL_MAX);
    bool named = url->tls && *witness->setup.name != '\0';
    struct integration_post_setup setup = {
        .loop = witness->setup.loop,
        .connect_to = named ? url->place : NULL,
        .identity = witness->identity,
        .type = "text/plain; charset=utf-8",
        .connect_ms = witness->setup.connect_ms,
        .whole_ms = witness->setup.connect_ms + ANSWER_MS,
        .answer_max = ANSWER_MAX,
        .done = on_answer,
        .with = witness,
    };
    size_t len = strlen(url->path);

    if (len > 0 && url->path[len - 1] == '/')
        len--;
    buf_addf(&text, "%s://", url->tls ? "https" : "http");
    if (named)
        buf_addf(&text, "%s:%u", witness->setup.name, url->port);
    else
        buf_addf(&text, "%s", url->place);
    buf_addf(&text, "%.*s/add-checkpoint", (int)len, url->path);
    TRY(buf_text(&text, &setup.url));
    return integration_post_new(&setup, &witness->post);
}

enum rc integration_witness_new(const struct integration_witness_setup *setup,
                                struct integration_witness **witness)
{
    AUTO_OF(integration_witness) *made = calloc(1, sizeof *made);
    struct integration_witness_url url;

    if (made == NULL)
        return fault(RC_NOMEM, "a witness");
    made->setup = *setup;
    made->newest = BUF_MAX(AUDIT_NOTE_MAX);
    made->note = BUF_MAX(AUDIT_NOTE_MAX);
    made->lines = BUF_MAX(ANSWER_MAX);
    made->done = BUF_MAX(AUDIT_NOTE_MAX);
    made->retry.due = try_again;
    integration_health_begin(&made->health, setup->loop);
    TRY(integration_witness_read_url(setup->url, &url));
    if (!url.tls || make_identity(made, &url) == RC_OK) {
        TRY(make_post(made, &url));
    } else {
        integration_health_fail(&made->health, setup->loop);
        made->state = BROKEN;
    }
    *witness = TAKE(made);
    return RC_OK;
}

void integration_witness_free(struct integration_witness *witness)
{
    if (witness == NULL)
        return;
    loop_disarm(&witness->retry);
    integration_post_free(witness->post);
    integration_tls_identity_free(witness->identity);
    buf_clear(&witness->newest);
    buf_clear(&witness->note);
    buf_clear(&witness->lines);
    buf_clear(&witness->done);
    free(witness);
}
