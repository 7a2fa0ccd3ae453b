#include "daemon/authority_state.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "registry/list.h"

/*
 * Questions that change nothing. What was read of devices, certificates, operators, policies
 * and of the log itself is in the log before it is answered: audit_action_row says which. One
 * record a request: what a door asks further for the same one belongs to it.
 */

/* ---- Answers ---- */

/* Where the log says that they were made. */
static enum rc find_log_numbers(struct store_txn *txn, struct daemon_authority_request *request)
{
    struct audit_log *log = request->authority->setup.audit.log;
    struct reader list = READER(buf_bytes(&request->list));
    struct registry_certificate one;
    enum rc rc = RC_OK;

    buf_reset(&request->text);
    while (log != NULL && (rc = registry_answer_next_certificate(&list, &one)) == RC_OK) {
        uint64_t index = UINT64_MAX;
        enum rc found =
            audit_log_find_certificate(log, txn, BYTES_OF(one.fingerprint.at), &index);
        if (found != RC_OK && found != RC_NOT_FOUND && found != RC_BUSY)
            return found;
        buf_add_u64(&request->text, index + 1);
    }
    request->answer.log_numbers = buf_bytes(&request->text);
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

static enum rc show_device(struct store_txn *txn, struct daemon_authority_request *request)
{
    struct registry_question certificates = { .kind = REGISTRY_DEVICE };

    memcpy(certificates.id, request->question.id, sizeof certificates.id);
    request->list.max = REGISTRY_CERTIFICATES_MAX;
    TRY(registry_subject_get(txn, REGISTRY_DEVICE, bytes_of_text(request->question.id),
                             &request->answer.subject));
    TRY(registry_list_certificates(txn, &certificates, &request->list, &request->cursor));
    return find_log_numbers(txn, request);
}

static enum rc list_certificates(struct store_txn *txn,
                                 struct daemon_authority_request *request)
{
    request->list.max = REGISTRY_CERTIFICATES_MAX;
    TRY(registry_list_certificates(txn, &request->question, &request->list, &request->cursor));
    return find_log_numbers(txn, request);
}

static enum rc show_policy(struct store_txn *txn, struct daemon_authority_request *request)
{
    struct registry_policy_row row;
    struct registry_policy *told = &request->answer.policy;

    TRY(registry_policy_get(txn, request->question.version, &row));
    buf_reset(&request->text);
    buf_add(&request->text, row.text.octets);
    request->answer.name = row.text.name;
    registry_list_tell_policy(&row, told);
    request->answer.text = buf_bytes(&request->text);
    return RC_OK;
}

static enum rc show_proposal(struct store_txn *txn, struct daemon_authority_request *request)
{
    struct bytes content;

    TRY(registry_proposal_get(txn, request->question.number, &request->answer.proposal,
                              &content));
    buf_reset(&request->content);
    buf_add(&request->content, content);
    request->answer.query = buf_bytes(&request->content);
    return RC_OK;
}

static enum rc count_all(struct store_txn *txn, struct registry_status *status)
{
    struct registry_policy_row policy;

    for (unsigned i = REGISTRY_REGISTERED; i <= REGISTRY_REVOKED; i++)
        TRY(registry_subject_count(txn, REGISTRY_DEVICE, (enum registry_state)i,
                                   &status->devices[i]));
    TRY(registry_subject_count(txn, REGISTRY_OPERATOR, REGISTRY_ACTIVE, &status->operators));
    TRY(registry_subject_count(txn, REGISTRY_LINE, REGISTRY_ACTIVE, &status->lines));
    TRY(store_txn_count(txn, REGISTRY_CERTIFICATES, &status->certificates));
    TRY(registry_orphan_count(txn, &status->orphans));
    if (registry_policy_get(txn, 0, &policy) == RC_OK)
        status->policy_version = policy.version;
    return RC_OK;
}

static const char NO_EXPORTER[] = "the exporter is away: the audit log does not go out";

static enum rc sum_sources(struct store_txn *txn, const struct daemon_authority *authority,
                           struct registry_status *status)
{
    struct audit_source_sum sums[AUDIT_SOURCE_ROOM] = { 0 };

    if (authority->setup.audit.log == NULL)
        return RC_OK;
    TRY(audit_log_size(authority->setup.audit.log, txn, &status->records));
    TRY(audit_log_sums(authority->setup.audit.log, txn, sums));
    for (unsigned i = AUDIT_FROM_AUTHORITY; i < AUDIT_SOURCE_ROOM; i++)
        status->sources[i] =
            (struct registry_source){ sums[i].records, sums[i].acts, sums[i].records, 0 };
    status->sources[AUDIT_FROM_AUTHORITY].refused = authority->unrecorded;
    for (unsigned i = REGISTRY_DEVICE_DOOR; i <= REGISTRY_OPERATOR_DOOR; i++) {
        struct registry_source *source =
            &status->sources[daemon_authority_source((enum registry_channel)i)];
        source->spooled = authority->spooled[i].sequence;
        source->refused = authority->spooled[i].refused;
    }
    return RC_OK;
}

static enum rc show_status(struct store_txn *txn, struct daemon_authority_request *request)
{
    const struct daemon_authority *authority = request->authority;
    struct registry_status *status = &request->answer.status;
    uint64_t acknowledged = 0;

    *status = (struct registry_status){ .revision = store_txn_revision(txn),
                                        .sequence = store_feed_position(txn).sequence,
                                        .started_ms = authority->started_ms,
                                        .now_ms = request->now_ms,
                                        .signer = authority->issues,
                                        .checkpoint = authority->checkpoint,
                                        .sinks = authority->setup.settings.sinks,
                                        .witnesses = authority->setup.settings.witnesses };
    TRY(store_feed_acknowledged_by_all(txn, &acknowledged));
    status->doors_behind = status->sequence - acknowledged;
    TRY(sum_sources(txn, authority, status));
    if (status->sinks > 0)
        status->exported = daemon_authority_exported(authority);
    if (status->witnesses > 0)
        status->cosigned = daemon_authority_witnessed(authority);
    if (authority->setup.audit.published != NULL)
        status->published = *authority->setup.audit.published;
    if (status->sinks + status->witnesses > 0 &&
        authority->doors[REGISTRY_EXPORTER].server == NULL)
        memcpy(status->trouble, NO_EXPORTER, sizeof NO_EXPORTER);
    for (unsigned i = DAEMON_AUTHORITY_TROUBLES; i-- > 0;)
        if (authority->trouble[i][0] != '\0')
            memcpy(status->trouble, authority->trouble[i], sizeof status->trouble);
    for (size_t i = 0; i < authority->issuer_count; i++)
        if (status->crl_ms == 0 || authority->issuers[i].crl_ms < status->crl_ms)
            status->crl_ms = authority->issuers[i].crl_ms;
    return count_all(txn, status);
}

/* A copy ends with the newest checkpoint: beyond it lies what is not signed yet, and the
 * records of this copy's own pages, which would have no end. The exporter's pages are not
 * recorded. */
static bool is_behind_checkpoint(struct store_txn *txn,
                                 const struct daemon_authority_request *request)
{
    struct audit_log *log = request->authority->setup.audit.log;
    struct reader r = READER(request->question.query);
    uint64_t from = reader_u64(&r), size = 0;
    struct bytes note;

    if (request->ask != REGISTRY_ASK_AUDIT_ENTRIES || log == NULL ||
        request->channel == REGISTRY_EXPORTER)
        return false;
    return audit_log_checkpoint(log, txn, UINT64_MAX, &size, &note) != RC_OK || from >= size;
}

static enum rc ask_audit(struct store_txn *txn, struct daemon_authority_request *request)
{
    const struct daemon_authority_audit *audit = &request->authority->setup.audit;

    if (audit->ask == NULL)
        return fault(RC_NOT_FOUND, "this authority keeps no audit log");
    if (is_behind_checkpoint(txn, request))
        return RC_OK;
    TRY(audit->ask(audit->with, txn, request->ask, request->question.query, &request->list));
    request->answer.query = buf_bytes(&request->list);
    return RC_OK;
}

static enum rc read_lists(struct store_txn *txn, struct daemon_authority_request *request)
{
    const struct registry_question *q = &request->question;

    if (request->ask == REGISTRY_ASK_DEVICE_LIST)
        return registry_list_subjects(txn, REGISTRY_DEVICE, q, &request->list,
                                      &request->cursor);
    if (request->ask == REGISTRY_ASK_OPERATOR_LIST)
        return registry_list_subjects(txn, (enum registry_kind)0, q, &request->list,
                                      &request->cursor);
    if (request->ask == REGISTRY_ASK_CERTIFICATE_LIST)
        return list_certificates(txn, request);
    if (request->ask == REGISTRY_ASK_POLICY_LIST)
        return registry_list_policies(txn, q, &request->list, &request->cursor);
    if (request->ask == REGISTRY_ASK_PROPOSAL_LIST)
        return registry_list_proposals(txn, q, &request->list, &request->cursor);
    if (request->ask == REGISTRY_ASK_PROPOSAL_SHOW)
        return show_proposal(txn, request);
    if (request->ask == REGISTRY_ASK_DEVICE_SHOW)
        return show_device(txn, request);
    if (request->ask == REGISTRY_ASK_POLICY_SHOW)
        return show_policy(txn, request);
    if (request->ask == REGISTRY_ASK_STATUS)
        return show_status(txn, request);
    if (request->ask == REGISTRY_ASK_AUDIT_WATCH)
        return RC_OK; /* later */
    return ask_audit(txn, request);
}

/* ---- What was read, for the audit log ---- */

static void say(struct buf *text, const char *name, struct bytes value)
{
    if (value.len == 0)
        return;
    buf_addf(text, "%s%s=", text->len > 0 ? " " : "", name);
    text_add_escaped(text, value);
}

static void say_hex(struct buf *text, const char *name, struct bytes value)
{
    if (value.len == 0)
        return;
    buf_addf(text, "%s%s=", text->len > 0 ? " " : "", name);
    text_add_hex(text, value);
}

static void say_number(struct buf *text, const char *name, uint64_t number)
{
    if (number != 0)
        buf_addf(text, "%s%s=%" PRIu64, text->len > 0 ? " " : "", name, number);
}

/* The query as /v1/audit spells it. */
static enum rc say_query(struct buf *text, struct bytes bytes)
{
    struct audit_query query;

    TRY(audit_query_read(bytes, &query));
    audit_query_tell(&query, text);
    return RC_OK;
}

/* "follow from=new", or the index: what follows is not told to followers (is_following()). */
static enum rc say_follow(struct buf *text, struct reader *r)
{
    uint64_t from = reader_u64(r);

    if (from == UINT64_MAX)
        buf_addf(text, "follow from=new");
    else
        buf_addf(text, "follow from=%" PRIu64, from);
    return say_query(text, r->left);
}

/* Sizes and indices, as /v1/audit/proof names them. */
static void say_proof(struct buf *text, struct reader *r)
{
    uint8_t kind = reader_u8(r);

    if (kind > 3) {
        say_hex(text, "proof certificate", r->left);
        return;
    }
    uint64_t first = reader_u64(r);
    if (kind == 3)
        buf_addf(text, "proof index=%" PRIu64, first);
    else
        buf_addf(text,
                 kind == 1 ? "inclusion index=%" PRIu64 " size=%" PRIu64
                           : "consistency old=%" PRIu64 " new=%" PRIu64,
                 first, reader_u64(r));
}

static enum rc say_what(const struct daemon_authority_request *request, struct buf *text)
{
    const struct registry_question *q = &request->question;
    struct reader r = READER(q->query);

    switch ((int)request->ask) {
    case REGISTRY_ASK_AUDIT_LIST:
        return say_query(text, q->query);
    case REGISTRY_ASK_AUDIT_ENTRIES:
        buf_addf(text, "entries from=%" PRIu64, reader_u64(&r));
        return RC_OK;
    case REGISTRY_ASK_AUDIT_WATCH:
        return say_follow(text, &r);
    case REGISTRY_ASK_AUDIT_CHECKPOINT:
        buf_addf(text, "checkpoint");
        say_number(text, "size", reader_u64(&r));
        return RC_OK;
    case REGISTRY_ASK_AUDIT_PROOF:
        say_proof(text, &r);
        return RC_OK;
    case REGISTRY_ASK_POLICY_SHOW:
        buf_addf(text, "policy %" PRIu64,
                 q->version != 0 ? q->version : request->answer.policy.version);
        return RC_OK;
    case REGISTRY_ASK_PROPOSAL_LIST:
        buf_addf(text, q->open ? "list open proposals" : "list proposals");
        return RC_OK;
    case REGISTRY_ASK_PROPOSAL_SHOW:
        buf_addf(text, "proposal %" PRIu64, q->number);
        return RC_OK;
    case REGISTRY_ASK_DEVICE_SHOW:
        buf_addf(text, "device %s", q->id);
        return RC_OK;
    default:
        buf_addf(text, "list");
        say(text, "kind", bytes_of_text(q->kind == 0 ? "" : registry_kind_name(q->kind)));
        say(text, "id", bytes_of_text(q->id));
        say(text, "group", bytes_of_text(q->group));
        if (q->state != 0)
            say(text, "state", bytes_of_text(registry_state_name(q->state)));
        return RC_OK;
    }
}

enum rc daemon_authority_aim_reading(struct daemon_authority_request *request)
{
    AUTO_BUF(text, AUDIT_QUERY_MAX * 4);
    const char *what = NULL;

    TRY(say_what(request, &text));
    TRY(buf_text(&text, &what));
    size_t len = text.len < sizeof request->target ? text.len : sizeof request->target - 1;
    memcpy(request->target, what, len);
    request->target[len] = '\0';
    return RC_OK;
}

/* The exporter's reading is told by log.export: a record of each page would be news, and read.
 */
static bool is_recorded(const struct daemon_authority_request *request)
{
    enum registry_ask ask = request->ask;

    if (request->channel == REGISTRY_EXPORTER)
        return false;
    return ask == REGISTRY_ASK_DEVICE_LIST || ask == REGISTRY_ASK_DEVICE_SHOW ||
           ask == REGISTRY_ASK_CERTIFICATE_LIST || ask == REGISTRY_ASK_OPERATOR_LIST ||
           ask == REGISTRY_ASK_PROPOSAL_LIST || ask == REGISTRY_ASK_PROPOSAL_SHOW ||
           ask == REGISTRY_ASK_POLICY_LIST || ask == REGISTRY_ASK_POLICY_SHOW ||
           ask == REGISTRY_ASK_AUDIT_LIST || ask == REGISTRY_ASK_AUDIT_ENTRIES ||
           ask == REGISTRY_ASK_AUDIT_WATCH || ask == REGISTRY_ASK_AUDIT_CHECKPOINT ||
           ask == REGISTRY_ASK_AUDIT_PROOF || ask == REGISTRY_ASK_AUDIT_HOLD_LIST;
}

/* ---- AUDIT_WATCH ---- */

struct news {
    struct daemon_authority_request *request;
    struct buf hits;
};

/* Whoever follows the log has records of that (authority_reading.c). Nobody is told of those by
 * following, or followers would be each other's news without end: audit list has them. */
static bool is_following(const struct audit_record *record)
{
    return record->action == AUDIT_LOG_READ && record->decision == AUDIT_ALLOWED &&
           bytes_start_with(record->target, BYTES("follow "));
}

static enum rc add_news(void *with, const struct audit_hit *hit)
{
    struct news *news = with;

    if (is_following(hit->record))
        return RC_OK;
    if (news->hits.len + AUDIT_ENTRY_MAX + 64 > news->hits.max)
        return RC_LIMIT;
    audit_page_write_hit(&news->hits, hit);
    news->request->has_news = true;
    return RC_OK;
}

static enum rc read_on(struct store_txn *txn, struct daemon_authority_request *request,
                       struct news *news)
{
    struct audit_log *log = request->authority->setup.audit.log;
    struct reader r = READER(request->question.query);
    uint64_t from = reader_u64(&r);
    uint64_t size = 0;
    struct audit_query query;

    if (log == NULL)
        return fault(RC_NOT_FOUND, "this authority keeps no audit log");
    TRY(audit_query_read(r.left, &query));
    TRY(audit_log_size(log, txn, &size));
    if (request->channel == REGISTRY_EXPORTER) {
        request->has_news = from != size; /* each of its sinks reads the entries itself */
        request->seen = size;
        return RC_OK;
    }
    if (!request->began && from != UINT64_MAX && from > size)
        return fault(RC_MALFORMED,
                     "from: the log has %" PRIu64 " records, %" PRIu64
                     " is none of it or the next: is it another log?",
                     size, from);
    if (!request->began)
        request->seen = from == UINT64_MAX ? size : from;
    request->began = true;
    enum rc rc =
        audit_log_list_on(log, txn, &query, request->seen, add_news, news, &request->seen);
    request->behind = request->seen < size;
    return rc == RC_LIMIT ? RC_OK : rc;
}

enum rc daemon_authority_audit_news(struct store_txn *txn, void *with)
{
    struct daemon_authority_request *request = with;
    struct news news = { request, BUF_MAX(REGISTRY_LIST_MAX - 16) };

    TRY(daemon_authority_check_actor(txn, request, REGISTRY_RIGHT_AUDIT_READ));
    request->has_news = request->behind = false;
    buf_reset(&request->list);
    enum rc rc = read_on(txn, request, &news);
    if (rc == RC_OK) {
        audit_page_write_head(&request->list, request->seen, true);
        buf_add(&request->list, buf_bytes(&news.hits));
        request->answer.query = buf_bytes(&request->list);
    }
    buf_clear(&news.hits);
    return rc;
}

/* ---- Looking ---- */

static enum rc look(struct store_txn *txn, void *with)
{
    struct daemon_authority_request *request = with;

    TRY(daemon_authority_check_actor(txn, request, registry_right_of(request->ask)));
    buf_reset(&request->list);
    buf_reset(&request->cursor);
    TRY(read_lists(txn, request));
    request->answer.list = buf_bytes(&request->list);
    request->answer.cursor = buf_bytes(&request->cursor);
    return RC_OK;
}

/* Also what is not there: whoever asks for ids learns by it which there are. */
static void refuse(struct daemon_authority_request *request, enum rc rc)
{
    daemon_authority_keep_reason(request);
    if (is_recorded(request) && daemon_authority_aim_reading(request) != RC_OK)
        request->target[0] = '\0';
    daemon_authority_fail(request, fault(rc, "%s", request->reason));
}

static void looked(struct daemon_authority_request *request, enum rc rc)
{
    if (rc == RC_OK && request->ask == REGISTRY_ASK_AUDIT_WATCH)
        daemon_authority_wait(request);
    else if (rc == RC_OK)
        daemon_authority_answer(request);
    else
        refuse(request, rc);
}

static enum rc look_and_record(struct store_txn *txn, struct store_job *job)
{
    struct daemon_authority_request *request = daemon_authority_of(job);

    TRY(look(txn, request));
    TRY(daemon_authority_aim_reading(request));
    return daemon_authority_record(txn, request, RC_OK, "");
}

static void is_recorded_now(struct store_job *job, enum rc rc)
{
    struct daemon_authority_request *request = daemon_authority_of(job);

    if (rc == RC_OK)
        daemon_authority_reading_remember(request);
    else if (rc == RC_LIMIT)
        request->authority->unrecorded++;
    looked(request, rc);
}

void daemon_authority_read(struct daemon_authority_request *request)
{
    bool recorded = is_recorded(request);

    if (recorded && !daemon_authority_reading_goes_on(request)) {
        daemon_authority_reading_begins(request);
        daemon_authority_queue(request, look_and_record, is_recorded_now);
        return;
    }
    enum rc rc = store_read(request->authority->setup.store, look, request);
    if (rc == RC_OK && recorded)
        daemon_authority_reading_count(request);
    looked(request, rc);
}
