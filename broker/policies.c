#include "broker/policies.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <openssl/evp.h>

enum { AGAIN_MS = 1000 };

struct broker_policies {
    struct broker_front *front;
    struct loop *loop;
    struct broker_front_observer observer;
    void (*here)(struct broker_front *front);
    struct loop_timer again; /* after an answer that was no */
    struct broker_policy *current;

    bool behind; /* what follows is there, and is not in force */
    uint64_t version;
    struct registry_name name;
    uint64_t told; /* the last version whose failure was told */

    bool asking, compiling; /* one of them at a time, and of what follows */
    struct registry_name fetched;
    uint32_t part;
    struct buf text;

    struct loop_watch ended;
    pthread_t thread;
    int event;
    atomic_bool stop; /* what it compiles is not wanted any more */
    /* The thread's, while it is compiling; so are text and fetched. */
    struct broker_policy *made;
    enum rc hashed;
};

/* ---- One that is compiled ---- */

struct broker_policy *broker_policy_hold(struct broker_policy *policy)
{
    if (policy != NULL)
        atomic_fetch_add(&policy->holders, 1);
    return policy;
}

void broker_policy_release(struct broker_policy *policy)
{
    if (policy == NULL || atomic_fetch_sub(&policy->holders, 1) != 1)
        return;
    policy_unref(policy->policy);
    free(policy);
}

static struct broker_policy *new_policy(uint64_t version, const struct registry_name *name)
{
    struct broker_policy *made = calloc(1, sizeof *made);

    if (made == NULL)
        return NULL;
    atomic_init(&made->holders, 1);
    made->version = version;
    made->name = *name;
    return made;
}

static void compile(struct broker_policy *policy, struct bytes text, const atomic_bool *stop)
{
    struct policy_errors errors;

    if (policy_compile_until(stop, text, policy->version, &errors, &policy->policy) == RC_OK)
        return;
    struct bytes why = bytes_of_text(fault_text());
    size_t len = why.len < sizeof policy->why ? why.len : sizeof policy->why - 1;
    memcpy(policy->why, why.at, len);
}

static void install(struct broker_policies *policies, struct broker_policy *policy)
{
    broker_policy_release(policies->current);
    policies->current = policy;
    policies->behind = false;
}

/* ---- Fetching ---- */

static void get(struct broker_policies *policies);

static void tell(struct broker_policies *policies)
{
    if (policies->observer.line != NULL && policies->told != policies->version)
        policies->observer.line(policies->observer.with, fault_text());
    policies->told = policies->version;
}

/* That the authority is away the front tells. */
static void try_again(struct broker_policies *policies, enum rc rc)
{
    if (rc != RC_BUSY && rc != RC_CLOSED)
        tell(policies);
    buf_clear(&policies->text);
    if (loop_arm(policies->loop, &policies->again, AGAIN_MS) != RC_OK)
        tell(policies);
}

/* A short one came with the feed, and has no name. */
static bool is_what_its_name_says(const struct registry_name *name, struct bytes text)
{
    uint8_t hash[EVP_MAX_MD_SIZE];

    return name->len == 0 ||
           (EVP_Digest(text.at, text.len, hash, NULL, EVP_sha256(), NULL) == 1 &&
            bytes_equal((struct bytes){ hash, REGISTRY_TEXT_HASH }, BYTES_OF(name->hash)));
}

static void *run(void *with)
{
    struct broker_policies *policies = with;
    struct bytes text = buf_bytes(&policies->text);

    bool right = is_what_its_name_says(&policies->fetched, text);
    policies->hashed = right ? RC_OK : RC_MALFORMED;
    if (right)
        compile(policies->made, text, &policies->stop);
    /* An eventfd takes 8 octets or fails for want of room, which one write cannot cause. */
    (void)!write(policies->event, &(const uint64_t){ 1 }, sizeof(uint64_t));
    return NULL;
}

/* All that the thread had is the main thread's again. */
static void join(struct broker_policies *policies)
{
    pthread_join(policies->thread, NULL);
    loop_remove(&policies->ended);
    own_close(&policies->event);
    buf_clear(&policies->text);
    policies->compiling = false;
}

static enum rc on_ended(struct loop_watch *watch, unsigned ready)
{
    struct broker_policies *policies =
        (void *)((char *)watch - offsetof(struct broker_policies, ended));

    (void)ready;
    join(policies);
    struct broker_policy *made = TAKE(policies->made);
    bool wanted = policies->behind && !atomic_load(&policies->stop);
    if (wanted && policies->hashed == RC_OK) {
        install(policies, made);
        policies->here(policies->front);
        return RC_OK;
    }
    broker_policy_release(made);
    if (wanted)
        try_again(policies, fault(policies->hashed,
                                  "policy: what came of version %llu is not "
                                  "what its hash names",
                                  (unsigned long long)policies->version));
    else if (policies->behind)
        get(policies);
    return RC_OK;
}

static enum rc start(struct broker_policies *policies)
{
    atomic_store(&policies->stop, false);
    policies->made = new_policy(policies->version, &policies->name);
    if (policies->made == NULL)
        return fault(RC_NOMEM, "a policy");
    policies->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (policies->event < 0)
        return fault_errno("eventfd");
    TRY(loop_add(policies->loop, &policies->ended, policies->event, LOOP_READ));
    errno = pthread_create(&policies->thread, NULL, run, policies);
    if (errno != 0)
        return fault_errno("start a thread");
    policies->compiling = true;
    return RC_OK;
}

static void compile_aside(struct broker_policies *policies)
{
    enum rc rc = start(policies);

    if (rc == RC_OK)
        return;
    loop_remove(&policies->ended);
    own_close(&policies->event);
    broker_policy_release(TAKE(policies->made));
    try_again(policies, rc);
}

static void on_part(void *with, enum rc rc, const struct registry_answer *answer,
                    struct bytes reason);

static enum rc ask(struct broker_policies *policies)
{
    const struct registry_question question = { .name = policies->fetched,
                                                .part = policies->part };

    TRY(broker_front_ask(policies->front, REGISTRY_ASK_POLICY_TEXT, &question, on_part,
                         policies));
    policies->asking = true;
    return RC_OK;
}

static enum rc take_part(struct broker_policies *policies, const struct registry_answer *answer)
{
    if (answer->list.len != registry_text_part_len(&policies->fetched, policies->part))
        return fault(RC_MALFORMED, "part %u of a policy has %zu octets", policies->part,
                     answer->list.len);
    buf_add(&policies->text, answer->list);
    if (policies->text.broken)
        return fault(RC_NOMEM, "a policy");
    if (++policies->part < registry_text_parts(&policies->fetched))
        return ask(policies);
    compile_aside(policies);
    return RC_OK;
}

/* A newer version may have come meanwhile: then that one's parts are asked for. */
static void on_part(void *with, enum rc rc, const struct registry_answer *answer,
                    struct bytes reason)
{
    struct broker_policies *policies = with;

    policies->asking = false;
    if (policies->compiling) /* a short one that came meanwhile */
        return;
    if (!policies->behind) {
        buf_clear(&policies->text);
        return;
    }
    if (!registry_name_equal(&policies->fetched, &policies->name)) {
        get(policies);
        return;
    }
    rc = rc == RC_OK ? take_part(policies, answer)
                     : fault(rc, "version %llu of the policy: %.*s",
                             (unsigned long long)policies->version, BYTES_FMT(reason));
    if (rc != RC_OK)
        try_again(policies, rc);
}

static void fetch(struct broker_policies *policies)
{
    policies->text = (struct buf)BUF_MAX(policies->name.len);
    policies->part = 0;
    enum rc rc = ask(policies);
    if (rc != RC_OK)
        try_again(policies, rc);
}

static void use_short(struct broker_policies *policies, struct bytes text)
{
    policies->text = (struct buf)BUF_MAX(text.len);
    buf_add(&policies->text, text);
    if (policies->text.broken)
        try_again(policies, fault(RC_NOMEM, "a policy"));
    else
        compile_aside(policies);
}

/* What follows, in whichever way its text comes. */
static void get(struct broker_policies *policies)
{
    uint64_t version = 0;
    struct registry_text text =
        registry_projection_policy(broker_front_projection(policies->front), &version);

    if (policies->name.len > 0 && policies->asking)
        return; /* for what is not wanted any more: when that is answered */
    loop_disarm(&policies->again);
    buf_clear(&policies->text);
    policies->fetched = policies->name;
    if (policies->name.len > 0)
        fetch(policies);
    else
        use_short(policies, text.octets);
}

void broker_policies_go_on(struct broker_policies *policies)
{
    if (!policies->behind || policies->asking || policies->compiling)
        return;
    broker_policies_follow(policies, true);
}

static enum rc on_again(struct loop_timer *timer)
{
    broker_policies_go_on((void *)((char *)timer - offsetof(struct broker_policies, again)));
    return RC_OK;
}

/* ---- Following ---- */

static bool is_made(const struct broker_policies *policies)
{
    return policies->made->version == policies->version &&
           registry_name_equal(&policies->made->name, &policies->name);
}

void broker_policies_follow(struct broker_policies *policies, bool anew)
{
    const struct broker_policy *current = policies->current;
    uint64_t version = 0;
    struct registry_text text =
        registry_projection_policy(broker_front_projection(policies->front), &version);

    bool known = version == policies->version &&
                 registry_name_equal(&text.name, &policies->name) && current != NULL;
    if (known && !anew)
        return;
    policies->version = version;
    policies->name = text.name;
    policies->behind = true;
    /* One is compiled at a time: a newer one, a rollback above all, waits for no other. */
    if (policies->compiling && !is_made(policies))
        atomic_store(&policies->stop, true);
    if (text.name.len > 0 && current != NULL && current->version == version &&
        registry_name_equal(&current->name, &text.name))
        policies->behind = false;
    else if (!policies->compiling && (!policies->asking || text.name.len == 0))
        get(policies);
}

bool broker_policies_is_behind(const struct broker_policies *policies)
{
    return policies->behind;
}

struct broker_policy *broker_policies_current(const struct broker_policies *policies)
{
    return policies->current;
}

/* ---- Life ---- */

enum rc broker_policies_new(struct broker_front *front, const struct broker_front_setup *setup,
                            void (*here)(struct broker_front *front),
                            struct broker_policies **policies)
{
    struct broker_policies *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "policies of a door");
    made->front = front;
    made->loop = setup->loop;
    made->observer = setup->observer;
    made->here = here;
    made->again.due = on_again;
    made->ended.ready = on_ended;
    made->event = -1;
    *policies = made;
    return RC_OK;
}

void broker_policies_free(struct broker_policies *policies)
{
    if (policies == NULL)
        return;
    atomic_store(&policies->stop, true);
    if (policies->compiling)
        join(policies);
    broker_policy_release(policies->made);
    broker_policy_release(policies->current);
    buf_clear(&policies->text);
    loop_disarm(&policies->again);
    free(policies);
}
