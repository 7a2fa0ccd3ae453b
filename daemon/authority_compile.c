#include "daemon/authority_state.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "daemon/authority_policy.h"

/*
 * Every text is compiled by a thread of its own: a few lines can stand for 100,000 rules, which
 * take most of a second, in which the loop answers everybody else. Short ones have places of
 * their own, so that two long ones do not keep a policy's repair waiting.
 */
enum { LONG_AT_ONCE = 2, SHORT_AT_ONCE = 4 };

struct daemon_authority_compiling {
    struct daemon_authority_compiling *next;
    struct daemon_authority *authority;
    struct daemon_authority_request *request; /* NULL: the active one */
    void (*done)(struct daemon_authority_request *request);
    struct loop_watch ended;
    pthread_t thread;
    int event;
    uint64_t version; /* of the active one */
    struct buf whole; /* likewise */
    enum rc (*check)(struct bytes text, struct buf *errors, struct policy **policy);

    /* The thread's until it has written to event. */
    struct bytes text;
    struct registry_name name; /* len 0: it is short */
    struct buf errors;
    enum rc hashed, checked;
    struct policy *policy;
};

static enum rc check_hash(const struct daemon_authority_compiling *compiling)
{
    uint8_t hash[PKI_HASH_LEN];

    if (compiling->name.len == 0)
        return RC_OK;
    TRY(pki_key_hash(compiling->text, hash));
    return bytes_equal(BYTES_OF(hash), BYTES_OF(compiling->name.hash)) ? RC_OK : RC_MALFORMED;
}

static void *compile(void *with)
{
    struct daemon_authority_compiling *compiling = with;

    compiling->hashed = check_hash(compiling);
    if (compiling->hashed == RC_OK)
        compiling->checked =
            compiling->check(compiling->text, &compiling->errors, &compiling->policy);
    /* An eventfd takes 8 octets or fails for want of room, which one write cannot cause. */
    (void)!write(compiling->event, &(const uint64_t){ 1 }, sizeof(uint64_t));
    return NULL;
}

static void forget(struct daemon_authority_compiling *compiling)
{
    struct daemon_authority_compiling **at = &compiling->authority->compiling;

    while (*at != NULL && *at != compiling)
        at = &(*at)->next;
    if (*at != NULL)
        *at = compiling->next;
    loop_remove(&compiling->ended);
    own_close(&compiling->event);
    buf_clear(&compiling->whole);
    buf_clear(&compiling->errors);
    policy_unref(compiling->policy);
    free(compiling);
}

/* What does not fit its name is nobody's text: refused, not answered with errors. */
static void request_is_compiled(struct daemon_authority_compiling *compiling)
{
    struct daemon_authority_request *request = compiling->request;
    void (*done)(struct daemon_authority_request *) = compiling->done;
    enum rc hashed = compiling->hashed;

    request->compiled = compiling->checked;
    buf_reset(&request->text);
    buf_add(&request->text, buf_bytes(&compiling->errors));
    if (compiling->policy != NULL)
        daemon_authority_brings(request, TAKE(compiling->policy), &compiling->name);
    forget(compiling);
    if (hashed == RC_OK)
        done(request);
    else
        daemon_authority_refuse(
            request, fault(hashed, "policy: its octets are not those that its hash names"));
}

static enum rc is_compiled(struct loop_watch *watch, unsigned ready)
{
    struct daemon_authority_compiling *compiling =
        (void *)((char *)watch - offsetof(struct daemon_authority_compiling, ended));

    (void)ready;
    pthread_join(compiling->thread, NULL);
    loop_remove(&compiling->ended);
    if (compiling->request != NULL) {
        request_is_compiled(compiling);
        return RC_OK;
    }
    enum rc rc = compiling->hashed == RC_OK ? compiling->checked : RC_CORRUPT;
    daemon_authority_active_compiled(compiling->authority, compiling->version, &compiling->name,
                                     rc, TAKE(compiling->policy),
                                     buf_bytes(&compiling->errors));
    forget(compiling);
    return RC_OK;
}

static enum rc start(struct daemon_authority_compiling *compiling)
{
    compiling->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (compiling->event < 0)
        return fault_errno("eventfd");
    compiling->ended.ready = is_compiled;
    TRY(loop_add(compiling->authority->setup.loop, &compiling->ended, compiling->event,
                 LOOP_READ));
    errno = pthread_create(&compiling->thread, NULL, compile, compiling);
    return errno == 0 ? RC_OK : fault_errno("start a thread");
}

static struct daemon_authority_compiling *make(struct daemon_authority *authority)
{
    struct daemon_authority_compiling *made = calloc(1, sizeof *made);

    if (made == NULL)
        return NULL;
    *made = (struct daemon_authority_compiling){ .next = authority->compiling,
                                                 .authority = authority,
                                                 .event = -1,
                                                 .check = authority->setup.check_policy,
                                                 .whole = BUF_MAX(REGISTRY_POLICY_MAX),
                                                 .errors = BUF_MAX(REGISTRY_TEXT_PART) };
    if (made->check == NULL)
        made->check = daemon_authority_check_policy;
    authority->compiling = made;
    return made;
}

enum rc daemon_authority_compile_check_room(const struct daemon_authority *authority,
                                            bool in_parts)
{
    unsigned under_way = 0;

    for (const struct daemon_authority_compiling *at = authority->compiling; at != NULL;
         at = at->next)
        under_way += at->request != NULL && (at->name.len > 0) == in_parts;
    return under_way < (in_parts ? LONG_AT_ONCE : SHORT_AT_ONCE)
               ? RC_OK
               : fault(RC_BUSY, "other policies are being read");
}

void daemon_authority_compile(struct daemon_authority_request *request,
                              const struct registry_text *text,
                              void (*done)(struct daemon_authority_request *request))
{
    struct daemon_authority_compiling *made = NULL;
    enum rc rc = daemon_authority_compile_check_room(request->authority, text->name.len > 0);

    if (rc == RC_OK) {
        made = make(request->authority);
        rc = made != NULL ? RC_OK : fault(RC_NOMEM, "a policy");
    }
    if (rc == RC_OK) {
        made->request = request;
        made->done = done;
        made->text = text->octets;
        made->name = text->name;
        rc = start(made);
    }
    if (rc == RC_OK)
        return;
    if (made != NULL)
        forget(made);
    daemon_authority_turn_away(request, rc);
}

enum rc daemon_authority_compile_active(struct daemon_authority *authority, struct buf *whole,
                                        const struct registry_name *name, uint64_t version)
{
    struct daemon_authority_compiling *made = make(authority);

    if (made == NULL)
        return fault(RC_NOMEM, "a policy");
    made->whole = *whole;
    *whole = (struct buf)BUF_MAX(0);
    made->text = buf_bytes(&made->whole);
    made->name = *name;
    made->version = version;
    enum rc rc = start(made);
    if (rc != RC_OK)
        forget(made);
    return rc;
}

void daemon_authority_compile_stop(struct daemon_authority *authority)
{
    while (authority->compiling != NULL) {
        struct daemon_authority_compiling *compiling = authority->compiling;
        pthread_join(compiling->thread, NULL);
        if (compiling->request != NULL)
            daemon_authority_turn_away(compiling->request,
                                       fault(RC_CLOSED, "the authority ends"));
        forget(compiling);
    }
}
