#include "keys/protocol.h"

#include <string.h>

#include "base/text.h"

/* Work is an ask with a head before it, and must fit into a message, too. */
enum { WORK_HEAD = 1 + 8 + 8 + 32, ASK_MAX = LINK_BODY_MAX - WORK_HEAD };
enum {
    ANSWERS_MAX = 1 + KEYS_ITEMS_MAX * (8 + 1 + 2 + KEYS_TEXT_MAX),
    RESULTS_MAX = 1 + KEYS_ITEMS_MAX * (1 + 2 + KEYS_TEXT_MAX),
};

static const struct link_kind SIGNER[] = {
    { KEYS_ASK_CERTIFICATES, "sign-certificates", LINK_NORMAL, ASK_MAX, ANSWERS_MAX, false,
      false },
    { KEYS_ASK_BATCH, "sign-batch", LINK_BULK, ASK_MAX, ANSWERS_MAX, false, false },
    { KEYS_ASK_CRL, "sign-crl", LINK_URGENT, ASK_MAX, ANSWERS_MAX, false, false },
    { KEYS_ASK_CHECKPOINT, "sign-checkpoint", LINK_URGENT, 8192, ANSWERS_MAX, false, false },
    { KEYS_ASK_HEAD, "head", LINK_URGENT, 0, 64, false, false },
    { KEYS_ASK_ENTRIES, "entries", LINK_BULK, 8, LINK_BODY_MAX, false, false },
    { KEYS_ASK_KEYS, "keys", LINK_NORMAL, 0, 16384, false, false },
};

/* Few credits: what waits, waits in the parent, where an urgent request can still overtake it.
 */
static const struct link_kind WORKER[] = {
    { KEYS_WORK_READY, "ready", LINK_NORMAL, 0, 0, false, false },
    { KEYS_WORK_URGENT, "sign-urgent", LINK_URGENT, LINK_BODY_MAX, RESULTS_MAX, false, false },
    { KEYS_WORK_NORMAL, "sign", LINK_NORMAL, LINK_BODY_MAX, RESULTS_MAX, false, false },
    { KEYS_WORK_BULK, "sign-bulk", LINK_BULK, LINK_BODY_MAX, RESULTS_MAX, false, false },
};

static const struct link_protocol SIGNER_PROTOCOL = {
    .name = "signer",
    .kinds = SIGNER,
    .count = sizeof SIGNER / sizeof *SIGNER,
    .credits = { [LINK_URGENT] = 4, [LINK_NORMAL] = 16, [LINK_BULK] = 8 },
    .waiting_max = 1024,
};

static const struct link_protocol WORKER_PROTOCOL = {
    .name = "worker",
    .kinds = WORKER,
    .count = sizeof WORKER / sizeof *WORKER,
    .credits = { [LINK_URGENT] = 2, [LINK_NORMAL] = 2, [LINK_BULK] = 2 },
    .waiting_max = 64, /* more than the asker has credits for */
};

const struct link_protocol *keys_protocol_signer(void)
{
    return &SIGNER_PROTOCOL;
}

const struct link_protocol *keys_protocol_worker(void)
{
    return &WORKER_PROTOCOL;
}

enum keys_kind keys_protocol_kind(enum keys_request request)
{
    if (request == KEYS_ASK_CRL)
        return KEYS_CRL;
    return request == KEYS_ASK_CHECKPOINT ? KEYS_CHECKPOINT : KEYS_CERTIFICATE;
}

static enum rc refuse(const char *what)
{
    return fault(RC_MALFORMED, "signer protocol: %s is cut short, too long or out of bounds",
                 what);
}

static enum rc whole(const struct reader *r, const char *what)
{
    return reader_done(r) ? RC_OK : refuse(what);
}

static void add_sized8(struct buf *body, struct bytes bytes)
{
    buf_add_u8(body, (uint8_t)bytes.len);
    buf_add(body, bytes);
}

static void add_name(struct buf *body, const char *name)
{
    add_sized8(body, bytes_of_text(name));
}

/* Letters, digits and hyphens (keys/rules.h), so that a name can be shown as it is. */
static bool is_name(struct bytes name)
{
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.at[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-')
            return false;
    }
    return name.len > 0 && name.len <= KEYS_NAME_MAX;
}

static void read_name(struct reader *r, char name[KEYS_NAME_MAX + 1])
{
    struct bytes read = reader_take(r, reader_u8(r));

    memset(name, 0, KEYS_NAME_MAX + 1);
    if (is_name(read))
        memcpy(name, read.at, read.len);
    else
        r->broken = true;
}

static size_t read_count(struct reader *r, size_t least, size_t most)
{
    size_t count = reader_u8(r);

    if (count >= least && count <= most)
        return count;
    r->broken = true;
    return 0;
}

static void add_body(struct buf *body, const struct keys_ask *ask, bool proof)
{
    buf_add(body, BYTES_OF(ask->correlation));
    add_name(body, ask->key);
    buf_add_u8(body, (uint8_t)ask->count);
    for (size_t i = 0; i < ask->count; i++)
        buf_add_sized16(body, ask->items[i]);
    if (!proof)
        return;
    buf_add_u8(body, (uint8_t)ask->proof_count);
    for (size_t i = 0; i < ask->proof_count; i++)
        buf_add(body, BYTES_OF(ask->proof[i].at));
}

static void read_body(struct reader *r, enum keys_kind kind, struct keys_ask *ask)
{
    reader_copy(r, ask->correlation, sizeof ask->correlation);
    read_name(r, ask->key);
    ask->count = read_count(r, 1, kind == KEYS_CERTIFICATE ? KEYS_ITEMS_MAX : 1);
    for (size_t i = 0; i < ask->count; i++) {
        ask->items[i] = reader_sized16(r, UINT16_MAX);
        if (ask->items[i].len == 0)
            r->broken = true;
    }
    if (kind == KEYS_CHECKPOINT)
        ask->proof_count = read_count(r, 0, KEYS_PROOF_NODES_MAX);
    for (size_t i = 0; i < ask->proof_count; i++)
        reader_copy(r, ask->proof[i].at, sizeof ask->proof[i].at);
}

static enum rc done(const struct buf *body, const char *what)
{
    struct bytes unused;
    enum rc rc = buf_done(body, &unused);

    return rc == RC_OK ? RC_OK : fault_while(rc, "signer protocol: %s", what);
}

static enum rc check_ask(enum keys_kind kind, const struct keys_ask *ask)
{
    if (ask->count < 1 || ask->count > (kind == KEYS_CERTIFICATE ? KEYS_ITEMS_MAX : 1) ||
        ask->proof_count > (kind == KEYS_CHECKPOINT ? KEYS_PROOF_NODES_MAX : 0))
        return fault(RC_LIMIT, "signer protocol: %zu items and %zu proof nodes in one request",
                     ask->count, ask->proof_count);
    return RC_OK;
}

enum rc keys_protocol_write_ask(enum keys_request request, const struct keys_ask *ask,
                                struct buf *body)
{
    enum keys_kind kind = keys_protocol_kind(request);

    TRY(check_ask(kind, ask));
    add_body(body, ask, kind == KEYS_CHECKPOINT);
    return done(body, "a request");
}

enum rc keys_protocol_read_ask(enum keys_request request, struct bytes body,
                               struct keys_ask *ask)
{
    struct reader r = READER(body);
    struct keys_ask read = { 0 };

    read_body(&r, keys_protocol_kind(request), &read);
    TRY(whole(&r, "a request"));
    *ask = read;
    return RC_OK;
}

static struct bytes shorten(struct bytes text)
{
    return (struct bytes){ text.at, text.len < KEYS_TEXT_MAX ? text.len : KEYS_TEXT_MAX };
}

static void add_outcome(struct buf *body, enum rc rc, struct bytes signature, struct bytes text)
{
    buf_add_u8(body, (uint8_t)rc);
    buf_add_sized16(body, rc == RC_OK ? signature : shorten(text));
}

static enum rc read_outcome(struct reader *r, struct bytes *signature, struct bytes *text)
{
    uint8_t rc = reader_u8(r);
    struct bytes read = reader_sized16(r, rc == RC_OK ? KEYS_SIGNATURE_MAX : KEYS_TEXT_MAX);

    if (rc > RC_CRYPTO || (rc == RC_OK && read.len == 0))
        r->broken = true;
    *(rc == RC_OK ? signature : text) = read;
    return (enum rc)rc;
}

enum rc keys_protocol_write_answers(const struct keys_answers *answers, struct buf *body)
{
    buf_add_u8(body, (uint8_t)answers->count);
    for (size_t i = 0; i < answers->count; i++) {
        const struct keys_answer *one = &answers->at[i];
        buf_add_u64(body, one->sequence);
        add_outcome(body, one->rc, one->signature, one->text);
    }
    return done(body, "answers");
}

enum rc keys_protocol_read_answers(struct bytes body, struct keys_answers *answers)
{
    struct reader r = READER(body);
    struct keys_answers read = { 0 };

    read.count = read_count(&r, 1, KEYS_ITEMS_MAX);
    for (size_t i = 0; i < read.count; i++) {
        struct keys_answer *one = &read.at[i];
        one->sequence = reader_u64(&r);
        one->rc = read_outcome(&r, &one->signature, &one->text);
    }
    TRY(whole(&r, "answers"));
    *answers = read;
    return RC_OK;
}

void keys_protocol_write_head(const struct keys_head *head, struct buf *body)
{
    buf_add_u64(body, head->first);
    buf_add_u64(body, head->head.sequence);
    buf_add(body, BYTES_OF(head->head.hash));
}

enum rc keys_protocol_read_head(struct bytes body, struct keys_head *head)
{
    struct reader r = READER(body);
    struct keys_head read = { 0 };

    read.first = reader_u64(&r);
    read.head.sequence = reader_u64(&r);
    reader_copy(&r, read.head.hash, sizeof read.head.hash);
    TRY(whole(&r, "a head"));
    *head = read;
    return RC_OK;
}

void keys_protocol_write_from(uint64_t from, struct buf *body)
{
    buf_add_u64(body, from);
}

enum rc keys_protocol_read_from(struct bytes body, uint64_t *from)
{
    struct reader r = READER(body);
    uint64_t read = reader_u64(&r);

    if (read == 0)
        r.broken = true;
    TRY(whole(&r, "a sequence"));
    *from = read;
    return RC_OK;
}

enum { ENTRY_HEAD = 8 + 8 + 2 + JOURNAL_HASH + 2 };

bool keys_protocol_add_entry(const struct journal_entry *entry, struct buf *body)
{
    if (body->len + ENTRY_HEAD + entry->body.len > LINK_BODY_MAX ||
        entry->body.len > UINT16_MAX)
        return false;
    buf_add_u64(body, entry->sequence);
    buf_add_u64(body, (uint64_t)entry->wall_ms);
    buf_add_u16(body, entry->kind);
    buf_add(body, BYTES_OF(entry->hash));
    buf_add_sized16(body, entry->body);
    return true;
}

enum rc keys_protocol_read_entries(struct bytes body, struct keys_entries *entries)
{
    struct reader r = READER(body);

    entries->count = 0;
    while (r.left.len > 0 && !r.broken && entries->count < KEYS_ENTRIES_MAX) {
        struct journal_entry *one = &entries->at[entries->count++];
        *one = (struct journal_entry){ .sequence = reader_u64(&r) };
        one->wall_ms = (int64_t)reader_u64(&r);
        one->kind = reader_u16(&r);
        reader_copy(&r, one->hash, sizeof one->hash);
        one->body = reader_sized16(&r, UINT16_MAX);
    }
    enum rc rc = whole(&r, "journal entries");
    if (rc != RC_OK)
        entries->count = 0;
    return rc;
}

enum rc keys_protocol_write_list(const struct keys_list *list, struct buf *body)
{
    buf_add_u64(body, list->revision);
    buf_add_u8(body, (uint8_t)list->count);
    for (size_t i = 0; i < list->count; i++) {
        const struct keys_listed *one = &list->at[i];
        add_name(body, one->name);
        buf_add_u8(body, (uint8_t)one->purpose);
        buf_add(body, BYTES_OF(one->public_key));
        buf_add_u64(body, one->tree_size);
        buf_add(body, BYTES_OF(one->tree_root.at));
        add_sized8(body, bytes_of_text(one->origin));
    }
    return done(body, "the list of keys");
}

enum rc keys_protocol_read_list(struct bytes body, struct keys_list *list)
{
    struct reader r = READER(body);
    struct keys_list read = { 0 };

    read.revision = reader_u64(&r);
    read.count = read_count(&r, 0, KEYS_PER_RULES_MAX);
    for (size_t i = 0; i < read.count; i++) {
        struct keys_listed *one = &read.at[i];
        read_name(&r, one->name);
        one->purpose =
            (enum keys_purpose)read_count(&r, KEYS_PURPOSE_CA, KEYS_PURPOSE_CHECKPOINT);
        reader_copy(&r, one->public_key, sizeof one->public_key);
        one->tree_size = reader_u64(&r);
        reader_copy(&r, one->tree_root.at, PROOF_HASH);
        struct bytes origin = reader_take(&r, reader_u8(&r));
        if (r.broken || origin.len > KEYS_PATTERN_MAX || !text_is_printable(origin))
            return refuse("the list of keys");
        memcpy(one->origin, origin.at, origin.len);
    }
    TRY(whole(&r, "the list of keys"));
    *list = read;
    return RC_OK;
}

static void add_memory(struct buf *body, const struct keys_memory *memory)
{
    buf_add_u64(body, memory->crl_number);
    buf_add_u64(body, memory->tree_size);
    buf_add(body, BYTES_OF(memory->tree_root.at));
}

static void read_memory(struct reader *r, struct keys_memory *memory)
{
    memory->crl_number = reader_u64(r);
    memory->tree_size = reader_u64(r);
    reader_copy(r, memory->tree_root.at, sizeof memory->tree_root.at);
}

enum rc keys_protocol_write_work(const struct keys_work *work, struct buf *body)
{
    TRY(check_ask(work->kind, &work->ask));
    buf_add_u8(body, (uint8_t)work->kind);
    add_memory(body, &work->memory);
    add_body(body, &work->ask, work->kind == KEYS_CHECKPOINT);
    return done(body, "work");
}

enum rc keys_protocol_read_work(struct bytes body, struct keys_work *work)
{
    struct reader r = READER(body);
    struct keys_work read = { 0 };

    uint8_t kind = reader_u8(&r);
    if (kind != KEYS_CERTIFICATE && kind != KEYS_CRL && kind != KEYS_CHECKPOINT)
        return refuse("work");
    read.kind = (enum keys_kind)kind;
    read_memory(&r, &read.memory);
    read_body(&r, read.kind, &read.ask);
    TRY(whole(&r, "work"));
    *work = read;
    return RC_OK;
}

static void add_finding(struct buf *body, const struct keys_finding *finding)
{
    add_sized8(body, (struct bytes){ finding->serial, finding->serial_len });
    buf_add(body, BYTES_OF(finding->subject_key));
    buf_add_u64(body, (uint64_t)finding->not_before_s);
    buf_add_u64(body, (uint64_t)finding->not_after_s);
    add_memory(body, &finding->memory);
}

static void read_finding(struct reader *r, struct keys_finding *finding)
{
    finding->serial_len = read_count(r, 0, KEYS_SERIAL_MAX);
    reader_copy(r, finding->serial, finding->serial_len);
    reader_copy(r, finding->subject_key, sizeof finding->subject_key);
    finding->not_before_s = (int64_t)reader_u64(r);
    finding->not_after_s = (int64_t)reader_u64(r);
    read_memory(r, &finding->memory);
}

enum rc keys_protocol_write_results(const struct keys_results *results, struct buf *body)
{
    buf_add_u8(body, (uint8_t)results->count);
    for (size_t i = 0; i < results->count; i++) {
        const struct keys_result *one = &results->at[i];
        add_outcome(body, one->rc, one->signature, one->text);
        if (one->rc == RC_OK)
            add_finding(body, &one->finding);
    }
    return done(body, "results");
}

enum rc keys_protocol_read_results(struct bytes body, struct keys_results *results)
{
    struct reader r = READER(body);
    struct keys_results read = { 0 };

    read.count = read_count(&r, 1, KEYS_ITEMS_MAX);
    for (size_t i = 0; i < read.count; i++) {
        struct keys_result *one = &read.at[i];
        one->rc = read_outcome(&r, &one->signature, &one->text);
        if (one->rc == RC_OK)
            read_finding(&r, &one->finding);
    }
    TRY(whole(&r, "results"));
    *results = read;
    return RC_OK;
}
