#include <sysexits.h>

#include "base/sandbox.h"
#include "daemon/signer.h"
#include "keys/grant.h"
#include "keys/token.h"
#include "keys/worker.h"

enum { OPEN_FILES_MAX = 64, JAIL_PATHS = 2 };

struct work {
    struct daemon_child *child;
    struct keys_rules *rules;
    struct keys_token *token;
    struct keys_worker *worker;
};

static enum rc log_in(struct work *work)
{
    const struct daemon_config *config = daemon_child_config(work->child);
    AUTO_SECRET(pin);
    AUTO_FD fd = -1;

    TRY(daemon_child_take(work->child, DAEMON_SIGNER_PIN, &fd));
    TRY(secret_read_fd(&pin, fd));
    return keys_token_open(config->signer.module, config->signer.token, &pin, &work->token);
}

static enum rc jail(struct work *work)
{
    const struct daemon_config *config = daemon_child_config(work->child);
    const struct keys_grant *grant = keys_grant_of((enum keys_grant_name)config->signer.grant);
    const struct sandbox_path paths[JAIL_PATHS] = {
        { config->signer.module_folder, grant->folder_access, false },
        { config->signer.module_conf, SANDBOX_READ, false },
    };
    struct sandbox_path given[JAIL_PATHS];
    size_t count = 0;

    for (size_t i = 0; i < JAIL_PATHS; i++)
        if (paths[i].path[0] != '\0')
            given[count++] = paths[i];
    const struct sandbox sandbox = { .name = DAEMON_SIGNER_WORKER,
                                     .calls = grant->calls | SANDBOX_CALLS_PASS,
                                     .paths = given,
                                     .path_count = count,
                                     .files_max = OPEN_FILES_MAX,
                                     .lock_memory = true };
    return daemon_child_jail(work->child, &sandbox);
}

static enum rc open_work(struct work *work)
{
    AUTO_FD link = -1;

    TRY(daemon_child_take(work->child, DAEMON_SIGNER_WORK, &link));
    TRY(keys_worker_add_keys(work->token, work->rules));
    TRY(jail(work));
    return keys_worker_open(daemon_child_loop(work->child), daemon_child_clock(work->child),
                            work->token, work->rules, TAKE_FD(link), &work->worker);
}

static int code_of(const struct work *work, enum rc rc)
{
    if (work->token != NULL && keys_token_state(work->token) == KEYS_LADDER_STOP)
        return EX_NOPERM;
    return rc == RC_OK ? 0 : EX_TEMPFAIL;
}

static int run(struct work *work)
{
    enum rc rc = daemon_signer_rules(daemon_child_config(work->child), &work->rules);

    if (rc != RC_OK)
        return daemon_child_refuse(work->child, rc, EX_CONFIG);
    rc = log_in(work);
    if (rc != RC_OK)
        return daemon_child_refuse(work->child, rc,
                                   rc == RC_DENIED      ? EX_NOPERM
                                   : rc == RC_MALFORMED ? EX_CONFIG
                                                        : EX_TEMPFAIL);
    rc = open_work(work);
    if (rc != RC_OK)
        return daemon_child_refuse(work->child, rc, rc == RC_CORRUPT ? EX_CONFIG : EX_TEMPFAIL);
    rc = daemon_child_serve(work->child, NULL, NULL);
    return rc == RC_OK ? code_of(work, rc) : daemon_child_refuse(work->child, rc, EX_TEMPFAIL);
}

int daemon_signer_work(void)
{
    struct work work = { 0 };
    enum rc rc = daemon_child_open(DAEMON_SIGNER_WORKER, &work.child);
    int code = rc == RC_OK ? run(&work) : daemon_child_end(NULL, rc);

    /* C_Finalize, and nothing after it: modules' own destructors crash (PEERS.md section 7). */
    keys_worker_close(work.worker);
    keys_token_close(work.token);
    _exit(code);
}
