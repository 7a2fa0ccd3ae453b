#include "tests/support/hostile.h"

#include <fcntl.h>
#include <openssl/sha.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/file.h"
#include "base/link_protocol.h"
#include "base/sealed.h"
#include "keys/entry.h"
#include "tests/support/check.h"
#include "tests/support/signing.h"

enum { WAIT_MS = 60000 };

/* ---- Bytes on the socket ---- */

void hostile_send(struct hostile *h, struct bytes datagram, int fd)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } beside = { .head = { .cmsg_level = SOL_SOCKET,
                           .cmsg_type = SCM_RIGHTS,
                           .cmsg_len = CMSG_LEN(sizeof fd) } };
    struct iovec part = { (void *)(uintptr_t)datagram.at, datagram.len };
    struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 };

    memcpy(CMSG_DATA(&beside.head), &fd, sizeof fd);
    if (fd >= 0) {
        m.msg_control = beside.room;
        m.msg_controllen = sizeof beside.room;
    }
    assert_int_equal(sendmsg(h->socket, &m, MSG_NOSIGNAL), datagram.len);
}

bool hostile_receive(struct hostile *h, struct buf *reply)
{
    struct pollfd ready = { .fd = h->socket, .events = POLLIN };

    assert_int_equal(poll(&ready, 1, WAIT_MS), 1);
    uint8_t *room = buf_extend(reply, LINK_MESSAGE_MAX);
    assert_non_null(room);
    ssize_t got = recv(h->socket, room, LINK_MESSAGE_MAX, 0);
    buf_cut(reply, got > 0 ? (size_t)got : 0);
    return got > 0;
}

bool hostile_exchange(struct hostile *h, struct bytes datagram, int fd, struct buf *reply)
{
    hostile_send(h, datagram, fd);
    return hostile_receive(h, reply);
}

void hostile_frame(struct hostile *h, uint16_t kind, struct bytes body, struct buf *datagram)
{
    static const uint16_t CREDIT[] = { 0, 4, 20, 0, 0, 0, 20, 4 };

    buf_reset(datagram);
    buf_add_u16(datagram, kind);
    buf_add_u16(datagram, 0);
    buf_add_u16(datagram, h->use++);
    buf_add_u16(datagram, kind < sizeof CREDIT / sizeof *CREDIT ? CREDIT[kind] : 0);
    buf_add_u32(datagram, 0);
    buf_add(datagram, body);
}

/* docs/protocol/signer.md, "Reply to 1-4", of one item. */
static bool read_answer(struct bytes datagram, struct bytes asked, struct hostile_told *told,
                        struct bytes *said)
{
    struct reader r = READER(datagram);
    struct bytes kind = reader_take(&r, 2);
    bool reply = reader_u16(&r) == 1;
    struct bytes id = reader_take(&r, 4);

    reply = reply && reader_u32(&r) == 0 && reader_u8(&r) == 1;
    told->sequence = reader_u64(&r);
    told->rc = (enum rc)reader_u8(&r);
    *said = reader_sized16(&r, KEYS_TEXT_MAX);
    if (!reply || !reader_done(&r) || !bytes_equal(kind, (struct bytes){ asked.at, 2 }) ||
        !bytes_equal(id, (struct bytes){ asked.at + 4, 4 }))
        return false;
    if (told->rc != RC_OK && said->len > 0)
        memcpy(told->text, said->at, said->len);
    return true;
}

static bool is_as_told(const struct hostile *h, const struct hostile_row *row,
                       const struct hostile_told *told, struct bytes item, struct bytes said)
{
    if (told->rc != row->rc || told->sequence == 0)
        return false;
    if (told->rc == RC_OK)
        return signing_verifies_by(keys_rules_find(h->rules, bytes_of_text(row->key)), item,
                                   said);
    return said.len > 0 && strstr(told->text, row->expected) != NULL;
}

void hostile_ask_body(struct hostile *h, const struct hostile_row *row, struct bytes body,
                      int fd, struct bytes item)
{
    AUTO_BUF(datagram, 2 * LINK_MESSAGE_MAX);
    AUTO_BUF(reply, LINK_MESSAGE_MAX);
    struct hostile_told *told = &h->told[h->count++];
    struct bytes said = { 0 };

    assert_true(h->count < HOSTILE_TOLD_MAX);
    *told = (struct hostile_told){ .claim = row->claim };
    memcpy(told->key, row->key, strlen(row->key));
    SHA256(item.at, item.len, told->digest);
    if (row->key[0] != '\0')
        memcpy(told->correlation, body.at, sizeof told->correlation);
    hostile_frame(h, row->kind, body, &datagram);
    if (!hostile_exchange(h, buf_bytes(&datagram), fd, &reply))
        fail_msg("%s: the link is closed", row->claim);
    if (!read_answer(buf_bytes(&reply), buf_bytes(&datagram), told, &said))
        fail_msg("%s: not an answer", row->claim);
    if (is_as_told(h, row, told, item, said))
        return;
    print_error("%s: %s at %llu \"%s\", expected %s \"%s\"\n", row->claim, rc_name(told->rc),
                (unsigned long long)told->sequence, told->text, rc_name(row->rc),
                row->expected);
    h->wrong++;
}

void hostile_begin_body(const struct hostile *h, const struct hostile_row *row,
                        struct buf *body)
{
    buf_add_u64(body, UINT64_C(0xbad0bad0bad0bad0));
    buf_add_u64(body, h->count);
    buf_add_u8(body, (uint8_t)strlen(row->key));
    buf_add(body, bytes_of_text(row->key));
}

/* What is refused before its memory is read is journaled by its request. */
void hostile_ask_sealed(struct hostile *h, const struct hostile_row *row, size_t len, int fd,
                        struct bytes item)
{
    AUTO_BUF(body, LINK_BODY_MAX);

    hostile_begin_body(h, row, &body);
    buf_add_u32(&body, (uint32_t)len);
    hostile_ask_body(h, row, buf_bytes(&body), fd,
                     item.at == NULL || row->rc == RC_NOT_FOUND ? buf_bytes(&body) : item);
}

void hostile_ask(struct hostile *h, const struct hostile_row *row, struct bytes item,
                 const struct proof_hash *proof, size_t proof_count)
{
    AUTO_BUF(body, LINK_BODY_MAX);
    AUTO_FD fd = -1;

    if (row->kind == KEYS_ASK_CRL) {
        assert_int_equal(sealed_make("crl", item, &fd), RC_OK);
        hostile_ask_sealed(h, row, item.len, fd, item);
        return;
    }
    hostile_begin_body(h, row, &body);
    buf_add_u8(&body, 1);
    buf_add_sized16(&body, item);
    if (row->kind == KEYS_ASK_CHECKPOINT)
        buf_add_u8(&body, (uint8_t)proof_count);
    for (size_t i = 0; i < proof_count; i++)
        buf_add(&body, BYTES_OF(proof[i].at));
    hostile_ask_body(h, row, buf_bytes(&body), -1, item);
}

/* ---- The journal, read by the offline judge ---- */

struct judged {
    struct hostile *h;
    size_t strange;
};

static bool is_the_entry_of(const struct hostile_told *told, const struct keys_entry *entry)
{
    enum keys_entry_kind kind = told->rc == RC_OK ? KEYS_ENTRY_SIGNED : KEYS_ENTRY_REFUSED;

    return entry->kind == kind && strcmp(entry->key, told->key) == 0 && entry->rc == told->rc &&
           bytes_equal(BYTES_OF(entry->digest), BYTES_OF(told->digest)) &&
           bytes_equal(BYTES_OF(entry->correlation), BYTES_OF(told->correlation)) &&
           bytes_equal_text(entry->text, told->text);
}

static enum rc judge_entry(void *with, const struct journal_entry *at)
{
    struct judged *judged = with;
    struct hostile *h = judged->h;
    struct keys_entry entry;

    TRY(keys_entry_read(at->kind, at->body, &entry));
    if (entry.kind == KEYS_ENTRY_MEMORY)
        return RC_OK;
    for (size_t i = 0; i < h->count; i++)
        if (h->told[i].sequence == at->sequence) {
            h->told[i].found = is_the_entry_of(&h->told[i], &entry);
            return RC_OK;
        }
    judged->strange++;
    return RC_OK;
}

static void ask_good(struct hostile *h)
{
    [[gnu::cleanup(tbs_clear)]] struct tbs tbs = { 0 };
    const struct hostile_row row = { "a good one", KEYS_ASK_CERTIFICATES, "devices", RC_OK,
                                     "" };
    AUTO_BUF(built, TBS_MAX);

    hostile_fill(h, "devices", &tbs);
    hostile_ask(h, &row, tbs_build(&tbs, &built), NULL, 0);
}

void hostile_judge(struct hostile *h, const char *journal)
{
    struct judged judged = { .h = h };
    struct journal_recovery found;
    struct journal_head head;
    AUTO_FD dir = -1;
    size_t missing = 0;

    ask_good(h);
    assert_int_equal(file_open_dir(AT_FDCWD, journal, &dir), RC_OK);
    assert_int_equal(journal_verify(dir, judge_entry, &judged, &head, &found), RC_OK);
    for (size_t i = 0; i < h->count; i++) {
        if (h->told[i].found)
            continue;
        print_error("%s: not in the journal as told\n", h->told[i].claim);
        missing++;
    }
    assert_int_equal(h->wrong, 0);
    assert_int_equal(missing, 0);
    assert_int_equal(judged.strange, 0);
}
