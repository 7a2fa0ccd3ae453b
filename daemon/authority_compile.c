#include "daemon/authority_state.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/*
 * A text in parts is compiled by a thread of its own: 100,000 rules take most of a second, in
 * which the loop answers everybody else. A short one is compiled where it is asked for.
 */
enum { AT_ONCE = 2 };

struct daemon_authority_compiling {
    struct daemon_authority_compiling *next;
    struct daemon_authority_request *request;
    void (*done)(struct daemon_authority_request *request);
    struct loop_watch ended;
    pthread_t thread;
    int event;
    enum rc (*check)(struct bytes text, struct buf *errors);

    /* The thread's until it has written to event; text is the request's whole. */
    struct bytes text;
    struct registry_name name;
    struct buf errors;
    enum rc hashed, checked;
    struct policy *policy; /* to be judged by if it comes into force */
};

/* Without it the authority compiles once more where it judges first, which is slow, not wrong.
 */
static void make_ready(struct daemon_authority_compiling *compiling)
{
    struct policy_errors errors;

    if (policy_compile(compiling->text, 0, &errors, &compiling->policy) != RC_OK)
        compiling->policy = NULL;
}

static void *compile(void *with)
{
    struct daemon_authority_compiling *compiling = with;
    uint8_t hash[PKI_HASH_LEN];

    compiling->hashed = pki_key_hash(compiling->text, hash);
    if (compiling->hashed == RC_OK &&
        !bytes_equal(BYTES_OF(hash), BYTES_OF(compiling->name.hash)))
        compiling->hashed = RC_MALFORMED;
    if (compiling->hashed == RC_OK && compiling->check != NULL)
        compiling->checked = compiling->check(compiling->text, &compiling->errors);
    if (compiling->hashed == RC_OK && compiling->checked == RC_OK)
        make_ready(compiling);
    /* An eventfd takes 8 octets or fails for want of room, which one write cannot cause. */
    (void)!write(compiling->event, &(const uint64_t){ 1 }, sizeof(uint64_t));
    return NULL;
}

static void forget(struct daemon_authority *authority,
                   struct daemon_authority_compiling *compiling)
{
    struct daemon_authority_compiling **at = &authority->compiling;

    while (*at != NULL && *at != compiling)
        at = &(*at)->next;
    if (*at != NULL)
        *at = compiling->next;
    loop_remove(&compiling->ended);
    own_close(&compiling->event);
    buf_clear(&compiling->errors);
    policy_unref(compiling->policy);
    free(compiling);
}

/* What does not fit its name is nobody's text: refused, not answered with errors. */
static enum rc is_compiled(struct loop_watch *watch, unsigned ready)
{
    struct daemon_authority_compiling *compiling =
        (void *)((char *)watch - offsetof(struct daemon_authority_compiling, ended));
    struct daemon_authority_request *request = compiling->request;
    void (*done)(struct daemon_authority_request *) = compiling->done;
    enum rc hashed = compiling->hashed;

    (void)ready;
    pthread_join(compiling->thread, NULL);
    request->compiled = compiling->checked;
    buf_reset(&request->text);
    buf_add(&request->text, buf_bytes(&compiling->errors));
    if (compiling->policy != NULL) {
        policy_unref(request->authority->ready);
        request->authority->ready = TAKE(compiling->policy);
        request->authority->ready_name = compiling->name;
    }
    forget(request->authority, compiling);
    if (hashed == RC_OK)
        done(request);
    else
        daemon_authority_refuse(
            request, fault(hashed, "policy: its octets are not those that its hash names"));
    return RC_OK;
}

static enum rc start(struct daemon_authority *authority,
                     struct daemon_authority_compiling *compiling)
{
    compiling->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (compiling->event < 0)
        return fault_errno("eventfd");
    compiling->ended.ready = is_compiled;
    TRY(loop_add(authority->setup.loop, &compiling->ended, compiling->event, LOOP_READ));
    errno = pthread_create(&compiling->thread, NULL, compile, compiling);
    return errno == 0 ? RC_OK : fault_errno("start a thread");
}

void daemon_authority_compile(struct daemon_authority_request *request,
                              const struct registry_name *name,
                              void (*done)(struct daemon_authority_request *request))
{
    struct daemon_authority *authority = request->authority;
    struct daemon_authority_compiling *made = NULL;
    unsigned under_way = 0;

    for (made = authority->compiling; made != NULL; made = made->next)
        under_way++;
    if (under_way >= AT_ONCE) {
        daemon_authority_turn_away(request, fault(RC_BUSY, "other policies are being read"));
        return;
    }
    made = calloc(1, sizeof *made);
    if (made == NULL) {
        daemon_authority_turn_away(request, fault(RC_NOMEM, "a policy"));
        return;
    }
    *made = (struct daemon_authority_compiling){ .next = authority->compiling,
                                                 .request = request,
                                                 .done = done,
                                                 .event = -1,
                                                 .check = authority->setup.check_policy,
                                                 .text = buf_bytes(&request->whole),
                                                 .errors = BUF_MAX(REGISTRY_TEXT_PART) };
    made->name = *name;
    authority->compiling = made;
    enum rc rc = start(authority, made);
    if (rc != RC_OK) {
        forget(authority, made);
        daemon_authority_turn_away(request, rc);
    }
}

void daemon_authority_compile_stop(struct daemon_authority *authority)
{
    while (authority->compiling != NULL) {
        struct daemon_authority_compiling *compiling = authority->compiling;
        pthread_join(compiling->thread, NULL);
        daemon_authority_turn_away(compiling->request, fault(RC_CLOSED, "the authority ends"));
        forget(authority, compiling);
    }
}
