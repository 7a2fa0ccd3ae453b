#include "keys/entry.h"

#include <string.h>

enum { ENTRY_BODY_MAX = 1024 };

static void add_memory(struct buf *body, const struct keys_memory *memory)
{
    buf_add_u64(body, memory->crl_number);
    buf_add_u64(body, memory->tree_size);
    buf_add(body, BYTES_OF(memory->tree_root.at));
}

static void add_signed(struct buf *body, const struct keys_entry *entry)
{
    buf_add(body, BYTES_OF(entry->issuer_key));
    buf_add_u8(body, (uint8_t)entry->serial_len);
    buf_add(body, (struct bytes){ entry->serial, entry->serial_len });
    buf_add(body, BYTES_OF(entry->subject_key));
    buf_add_u64(body, (uint64_t)entry->not_before_s);
    buf_add_u64(body, (uint64_t)entry->not_after_s);
    if (entry->of != KEYS_CERTIFICATE)
        add_memory(body, &entry->memory);
}

enum rc keys_entry_append(struct journal *journal, const struct keys_entry *entry,
                          uint64_t *sequence)
{
    AUTO_BUF(body, ENTRY_BODY_MAX);
    struct bytes bytes;

    buf_add_u8(&body, (uint8_t)strlen(entry->key));
    buf_add(&body, bytes_of_text(entry->key));
    if (entry->kind == KEYS_ENTRY_MEMORY) {
        add_memory(&body, &entry->memory);
    } else {
        buf_add(&body, BYTES_OF(entry->correlation));
        buf_add_u8(&body, (uint8_t)entry->of);
        buf_add(&body, BYTES_OF(entry->digest));
    }
    if (entry->kind == KEYS_ENTRY_SIGNED)
        add_signed(&body, entry);
    if (entry->kind == KEYS_ENTRY_REFUSED) {
        buf_add_u8(&body, (uint8_t)entry->rc);
        buf_add_sized16(&body, entry->text);
    }
    TRY(buf_done(&body, &bytes));
    return journal_append(journal, (uint16_t)entry->kind, bytes, sequence);
}

static size_t read_size(struct reader *r, size_t most)
{
    size_t size = reader_u8(r);

    if (size <= most)
        return size;
    r->broken = true;
    return 0;
}

static void read_memory(struct reader *r, struct keys_memory *memory)
{
    memory->crl_number = reader_u64(r);
    memory->tree_size = reader_u64(r);
    reader_copy(r, memory->tree_root.at, sizeof memory->tree_root.at);
}

static void read_signed(struct reader *r, struct keys_entry *entry)
{
    reader_copy(r, entry->issuer_key, sizeof entry->issuer_key);
    entry->serial_len = read_size(r, KEYS_SERIAL_MAX);
    reader_copy(r, entry->serial, entry->serial_len);
    reader_copy(r, entry->subject_key, sizeof entry->subject_key);
    entry->not_before_s = (int64_t)reader_u64(r);
    entry->not_after_s = (int64_t)reader_u64(r);
    if (entry->of != KEYS_CERTIFICATE)
        read_memory(r, &entry->memory);
}

enum rc keys_entry_read(uint16_t kind, struct bytes body, struct keys_entry *entry)
{
    struct reader r = READER(body);
    struct keys_entry read = { .kind = (enum keys_entry_kind)kind };

    size_t len = read_size(&r, KEYS_NAME_MAX);
    reader_copy(&r, (uint8_t *)read.key, len);
    if (kind == KEYS_ENTRY_MEMORY) {
        read_memory(&r, &read.memory);
    } else {
        reader_copy(&r, read.correlation, sizeof read.correlation);
        read.of = (enum keys_kind)read_size(&r, KEYS_CHECKPOINT);
        reader_copy(&r, read.digest, sizeof read.digest);
    }
    if (kind == KEYS_ENTRY_SIGNED)
        read_signed(&r, &read);
    if (kind == KEYS_ENTRY_REFUSED) {
        read.rc = (enum rc)read_size(&r, RC_CRYPTO);
        read.text = reader_sized16(&r, KEYS_TEXT_MAX);
    }
    if (kind < KEYS_ENTRY_SIGNED || kind > KEYS_ENTRY_MEMORY || !reader_done(&r))
        return fault(RC_CORRUPT, "signer journal: an entry of kind %u is not as written", kind);
    *entry = read;
    return RC_OK;
}
