/* Holds the issuing keys' journal, and the workers that hold the keys. Never sees the network.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/file.h"
#include "base/sandbox.h"
#include "daemon/signer.h"
#include "journal/journal.h"
#include "keys/signer.h"

enum { OPEN_FILES_MAX = 64 };

struct parent {
    struct daemon_child *child;
    struct keys_rules *rules;
    struct journal *journal;
    struct keys_signer *signer;
    int dir;
    int code; /* of a worker that did not start */
};

static enum rc open_journal(struct parent *parent)
{
    const struct daemon_config *config = daemon_child_config(parent->child);
    const struct journal_limits limits = {
        .segment_bytes = (uint64_t)config->signer.journal_segment,
        .bytes_max = (uint64_t)config->signer.journal_most,
    };
    struct journal_recovery recovery;

    TRY(file_open_dir(AT_FDCWD, config->signer.journal, &parent->dir));
    TRY(journal_open(parent->dir, &limits, daemon_child_clock(parent->child), &recovery,
                     &parent->journal));
    return keys_signer_new(daemon_child_loop(parent->child), daemon_child_clock(parent->child),
                           parent->journal, parent->rules, &parent->signer);
}

static enum rc start_workers(struct parent *parent)
{
    const struct daemon_config *config = daemon_child_config(parent->child);
    AUTO_FD pin = -1;

    TRY(daemon_child_take(parent->child, DAEMON_SIGNER_PIN, &pin));
    for (int64_t i = 0; i < config->signer.workers; i++) {
        int link = -1;
        TRY(daemon_signer_start_worker(config, pin, &link, &parent->code));
        TRY(keys_signer_add_worker(parent->signer, link));
    }
    return RC_OK;
}

/* The authority's channel is there from the birth on, or comes when the authority does. */
static enum rc take_authority(struct parent *parent)
{
    int fd = -1;

    if (daemon_child_take(parent->child, "authority", &fd) != RC_OK)
        return RC_OK;
    return keys_signer_serve(parent->signer, fd);
}

static enum rc open_all(struct parent *parent)
{
    TRY(open_journal(parent));
    TRY(start_workers(parent));
    return take_authority(parent);
}

static enum rc jail(struct parent *parent)
{
    const struct daemon_config *config = daemon_child_config(parent->child);
    const struct sandbox_path paths[] = {
        { config->signer.journal, SANDBOX_READ | SANDBOX_WRITE | SANDBOX_MAKE, false },
    };
    const struct sandbox sandbox = { .name = "signer",
                                     .calls = SANDBOX_CALLS_FILES | SANDBOX_CALLS_PASS,
                                     .paths = paths,
                                     .path_count = 1,
                                     .files_max = OPEN_FILES_MAX };

    return daemon_child_jail(parent->child, &sandbox);
}

static enum rc peer_came(void *with, const char *name, int fd)
{
    struct parent *parent = with;

    if (strcmp(name, "authority") == 0)
        return keys_signer_serve(parent->signer, fd);
    close(fd);
    return fault(RC_DENIED, "the signer has no channel to %s", name);
}

static enum rc serve(struct parent *parent)
{
    TRY(daemon_child_serve(parent->child, peer_came, parent));
    return keys_signer_outcome(parent->signer);
}

static int run(struct parent *parent)
{
    enum rc rc = daemon_signer_rules(daemon_child_config(parent->child), &parent->rules);

    if (rc != RC_OK)
        return daemon_child_refuse(parent->child, rc, EX_CONFIG);
    rc = open_all(parent);
    if (rc != RC_OK && (parent->code == EX_NOPERM || parent->code == EX_CONFIG))
        return daemon_child_refuse(parent->child, rc, parent->code);
    if (rc == RC_OK)
        rc = jail(parent);
    if (rc == RC_OK)
        rc = serve(parent);
    return rc == RC_OK ? 0 : daemon_child_refuse(parent->child, rc, EX_TEMPFAIL);
}

int main(int argc, char **argv)
{
    struct parent parent = { .dir = -1 };

    if (argc > 0 && strcmp(argv[0], DAEMON_SIGNER_WORKER) == 0)
        return daemon_signer_work();
    enum rc rc = daemon_child_open("signer", &parent.child);
    int code = rc == RC_OK ? run(&parent) : daemon_child_end(NULL, rc);
    keys_signer_free(parent.signer);
    journal_close(parent.journal);
    if (parent.dir >= 0)
        close(parent.dir);
    free(parent.rules);
    daemon_child_free(parent.child);
    return code;
}
