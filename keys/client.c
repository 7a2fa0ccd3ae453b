#include "keys/client.h"

#include <stdlib.h>
#include <string.h>

#include "base/sealed.h"

struct keys_client {
    struct link *link;
};

/* One question under way; which member is set says what the reply is read as. */
struct question {
    keys_client_signed *if_signed;
    keys_client_told_head *if_head;
    keys_client_told_entries *if_entries;
    keys_client_told_list *if_list;
    void *with;
};

enum rc keys_client_open(struct loop *loop, int fd, void (*closed)(void *with), void *with,
                         struct keys_client **client)
{
    AUTO_FD owned = fd;
    struct keys_client *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "signer's client");
    enum rc rc =
        link_open(loop, TAKE_FD(owned), keys_protocol_signer(), closed, with, &made->link);
    if (rc == RC_OK)
        *client = made;
    else
        free(made);
    return rc;
}

void keys_client_close(struct keys_client *client)
{
    if (client == NULL)
        return;
    link_close(client->link);
    free(client);
}

static void tell_signed(const struct question *q, enum rc rc, struct bytes body)
{
    struct keys_answers answers = { 0 };

    if (rc == RC_OK)
        rc = keys_protocol_read_answers(body, &answers);
    q->if_signed(q->with, rc, &answers);
}

static void tell_head(const struct question *q, enum rc rc, struct bytes body)
{
    struct keys_head head = { 0 };

    if (rc == RC_OK)
        rc = keys_protocol_read_head(body, &head);
    q->if_head(q->with, rc, &head);
}

static void tell_entries(const struct question *q, enum rc rc, struct bytes body)
{
    struct keys_entries entries = { 0 };

    if (rc == RC_OK)
        rc = keys_protocol_read_entries(body, &entries);
    q->if_entries(q->with, rc, &entries);
}

static void tell_list(const struct question *q, enum rc rc, struct bytes body)
{
    struct keys_list list = { 0 };

    if (rc == RC_OK)
        rc = keys_protocol_read_list(body, &list);
    q->if_list(q->with, rc, &list);
}

static void replied(void *with, const struct link_reply *reply)
{
    struct question q = *(struct question *)with;
    enum rc rc = reply->rc;

    free(with);
    if (rc != RC_OK)
        rc = fault(rc, "signer: %.*s", BYTES_FMT(reply->body));
    if (q.if_signed != NULL)
        tell_signed(&q, rc, reply->body);
    else if (q.if_head != NULL)
        tell_head(&q, rc, reply->body);
    else if (q.if_entries != NULL)
        tell_entries(&q, rc, reply->body);
    else
        tell_list(&q, rc, reply->body);
}

/* The body, and with a CRL, which no message holds, the memory that goes along. */
static enum rc write_ask(enum keys_request request, const struct keys_ask *asked,
                         struct buf *body, int *fd)
{
    struct bytes crl = asked->items[0];
    struct keys_ask sealed = { .sealed = (uint32_t)crl.len };

    if (request != KEYS_ASK_CRL)
        return keys_protocol_write_ask(request, asked, body);
    if (asked->count != 1 || crl.len > KEYS_CRL_MAX)
        return fault(RC_LIMIT, "a CRL of %zu octets, at most %d, and alone", crl.len,
                     KEYS_CRL_MAX);
    memcpy(sealed.correlation, asked->correlation, sizeof sealed.correlation);
    memcpy(sealed.key, asked->key, sizeof sealed.key);
    TRY(keys_protocol_write_ask(request, &sealed, body));
    return sealed_make("crl", crl, fd);
}

static enum rc ask(struct keys_client *client, enum keys_request request, struct bytes body,
                   int fd, struct question question)
{
    struct question *kept = malloc(sizeof *kept);

    if (kept == NULL)
        return fault(RC_NOMEM, "question to the signer");
    *kept = question;
    enum rc rc = link_ask(client->link, (uint16_t)request, body, fd, replied, kept);
    if (rc != RC_OK)
        free(kept);
    return rc;
}

enum rc keys_client_sign(struct keys_client *client, enum keys_request request,
                         const struct keys_ask *asked, keys_client_signed *done, void *with)
{
    AUTO_BUF(body, LINK_BODY_MAX);
    AUTO_FD fd = -1;

    TRY(write_ask(request, asked, &body, &fd));
    return ask(client, request, buf_bytes(&body), fd,
               (struct question){ .if_signed = done, .with = with });
}

enum rc keys_client_head(struct keys_client *client, keys_client_told_head *done, void *with)
{
    return ask(client, KEYS_ASK_HEAD, BYTES(""), -1,
               (struct question){ .if_head = done, .with = with });
}

enum rc keys_client_entries(struct keys_client *client, uint64_t from,
                            keys_client_told_entries *done, void *with)
{
    AUTO_BUF(body, 16);

    keys_protocol_write_from(from, &body);
    return ask(client, KEYS_ASK_ENTRIES, buf_bytes(&body), -1,
               (struct question){ .if_entries = done, .with = with });
}

enum rc keys_client_list(struct keys_client *client, keys_client_told_list *done, void *with)
{
    return ask(client, KEYS_ASK_KEYS, BYTES(""), -1,
               (struct question){ .if_list = done, .with = with });
}

static enum rc wait_for(int socket, enum keys_request request, struct bytes body, int fd,
                        int64_t timeout_ms, struct buf *room)
{
    buf_reset(room);
    return link_ask_and_wait(socket, keys_protocol_signer(), (uint16_t)request, body, fd,
                             timeout_ms, room);
}

enum rc keys_client_sign_and_wait(int socket, enum keys_request request,
                                  const struct keys_ask *asked, int64_t timeout_ms,
                                  struct buf *room, struct keys_answers *answers)
{
    AUTO_BUF(body, LINK_BODY_MAX);
    AUTO_FD fd = -1;

    TRY(write_ask(request, asked, &body, &fd));
    TRY(wait_for(socket, request, buf_bytes(&body), fd, timeout_ms, room));
    return keys_protocol_read_answers(buf_bytes(room), answers);
}

enum rc keys_client_head_and_wait(int socket, int64_t timeout_ms, struct keys_head *head)
{
    AUTO_BUF(room, LINK_BODY_MAX);

    TRY(wait_for(socket, KEYS_ASK_HEAD, BYTES(""), -1, timeout_ms, &room));
    return keys_protocol_read_head(buf_bytes(&room), head);
}

enum rc keys_client_entries_and_wait(int socket, uint64_t from, int64_t timeout_ms,
                                     struct buf *room, struct keys_entries *entries)
{
    AUTO_BUF(body, 16);

    keys_protocol_write_from(from, &body);
    TRY(wait_for(socket, KEYS_ASK_ENTRIES, buf_bytes(&body), -1, timeout_ms, room));
    return keys_protocol_read_entries(buf_bytes(room), entries);
}

enum rc keys_client_list_and_wait(int socket, int64_t timeout_ms, struct keys_list *list)
{
    AUTO_BUF(room, LINK_BODY_MAX);

    TRY(wait_for(socket, KEYS_ASK_KEYS, BYTES(""), -1, timeout_ms, &room));
    return keys_protocol_read_list(buf_bytes(&room), list);
}
