/* Decides and remembers: the registry, issuing, what the doors must know. Never sees the
 * network. */
#include <fcntl.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/file.h"
#include "base/sandbox.h"
#include "daemon/authority.h"
#include "daemon/authority_audit.h"
#include "daemon/authority_first.h"
#include "daemon/authority_life.h"
#include "daemon/authority_policy.h"
#include "daemon/child.h"

enum { OPEN_FILES_MAX = 64 };

struct process {
    struct daemon_child *child;
    struct store_table
        tables[DAEMON_AUTHORITY_TABLES]; /* these two are the store's for its life */
    struct store_schema schema;
    struct daemon_authority_book book;
    struct store *store;
    int backups, recover, tiles;
    struct daemon_authority *authority;
    struct daemon_authority_life life;
    bool wrong_settings;
};

/* A folder that is not there is a setting that is wrong. */
static enum rc open_folder(struct process *process, const char *path, int *dir)
{
    enum rc rc = *path == '\0' ? RC_OK : file_open_dir(AT_FDCWD, path, dir);

    process->wrong_settings = rc == RC_NOT_FOUND;
    return rc;
}

static enum rc open_registry(struct process *process)
{
    const struct daemon_config *config = daemon_child_config(process->child);
    const struct store_settings settings = { .map_bytes = (uint64_t)config->authority.map,
                                             .clock = daemon_child_clock(process->child) };
    const struct daemon_authority_first first = { config->authority.first_chain,
                                                  config->authority.first_operator,
                                                  config->authority.first_policy };
    AUTO_FD dir = -1;

    daemon_authority_tables(process->tables);
    process->schema =
        (struct store_schema){ "registry", 1, process->tables, DAEMON_AUTHORITY_TABLES };
    TRY(open_folder(process, config->authority.registry, &dir));
    TRY(store_open(dir, &process->schema, &settings, &process->store));
    TRY(daemon_authority_book_open(&process->book, settings.clock));
    enum rc rc = daemon_authority_book_unlock(&process->book, dir, process->store);
    process->wrong_settings = rc == RC_NOT_FOUND || rc == RC_DENIED || rc == RC_MALFORMED;
    TRY(rc);
    process->book.retention = (uint32_t)config->authority.audit_retention;
    rc = daemon_authority_fill(process->store, &first,
                               clock_wall_ms(daemon_child_clock(process->child)));
    process->wrong_settings = rc == RC_MALFORMED || rc == RC_NOT_FOUND;
    return rc;
}

static enum rc read_four_eyes(struct process *process, uint32_t *acts)
{
    const struct daemon_config *config = daemon_child_config(process->child);
    enum rc rc = registry_acts_read(bytes_of_text(config->authority.four_eyes), acts);

    process->wrong_settings = rc != RC_OK;
    return rc == RC_OK ? RC_OK : fault_while(rc, "[authority] four_eyes");
}

/* What of the settings an auditor asks for: it is changed at the machine alone. */
static enum rc begin_life(struct process *process)
{
    const struct daemon_config *config = daemon_child_config(process->child);
    uint32_t acts = 0;
    AUTO_BUF(text, AUDIT_REASON_MAX);

    TRY(read_four_eyes(process, &acts));
    buf_addf(&text, "four eyes: ");
    registry_acts_say(acts, &text);
    if (acts != 0)
        buf_addf(&text, "; a proposal lives %lld s; single revocations an hour: %lld",
                 (long long)config->authority.proposal_lifetime_ms / 1000,
                 (long long)config->authority.singles_most);
    if (config->authority.acts == DAEMON_CONFIG_ACTS_POLICY)
        buf_addf(&text, "; acts: policy");
    return daemon_authority_life_begin(&process->life, &process->book, process->store,
                                       daemon_child_loop(process->child), buf_bytes(&text),
                                       daemon_child_former());
}

static enum rc read_witnesses(struct process *process)
{
    const struct daemon_config *config = daemon_child_config(process->child);
    struct audit_witnesses *witnesses = &process->book.witnesses;
    enum rc rc = audit_witnesses_add(witnesses, bytes_of_text(config->authority.witnesses));

    witnesses->quorum = (size_t)config->authority.witness_quorum;
    if (rc == RC_OK && witnesses->quorum > witnesses->count)
        rc = fault(RC_MALFORMED, "witness_quorum: %zu of %zu witnesses", witnesses->quorum,
                   witnesses->count);
    process->wrong_settings = rc != RC_OK;
    return rc == RC_OK ? RC_OK : fault_while(rc, "[authority] witnesses");
}

static enum rc begin_book(struct process *process)
{
    struct daemon_child *child = process->child;
    struct bytes how;
    bool restored = daemon_authority_is_restored(process->store, &how);

    TRY(daemon_authority_book_begin(&process->book, process->store));
    if (restored)
        log_write(daemon_child_log(child), DAEMON_EVENT_AUTHORITY_RESTORED,
                  LOG_TEXT_FIELD("registry", daemon_child_config(child)->authority.registry),
                  LOG_BYTES_FIELD("how", how));
    return RC_OK;
}

static enum rc open_authority(struct process *process)
{
    struct daemon_child *child = process->child;
    const struct daemon_config *config = daemon_child_config(child);
    uint32_t four_eyes = 0;

    TRY(open_folder(process, config->authority.backups, &process->backups));
    TRY(open_folder(process, config->authority.recover, &process->recover));
    TRY(open_folder(process, config->authority.tiles, &process->tiles));
    TRY(begin_book(process));
    TRY(read_witnesses(process));
    TRY(read_four_eyes(process, &four_eyes));
    const struct daemon_authority_setup setup = {
        .loop = daemon_child_loop(child),
        .clock = daemon_child_clock(child),
        .store = process->store,
        .log = daemon_child_log(child),
        .audit = daemon_authority_book_audit(&process->book),
        .check_policy = daemon_authority_check_policy,
        .settings = { .token_lifetime_ms = config->authority.token_lifetime_ms,
                      .four_eyes = four_eyes,
                      .acts_by_policy = config->authority.acts == DAEMON_CONFIG_ACTS_POLICY,
                      .proposal_lifetime_ms = config->authority.proposal_lifetime_ms,
                      .singles_most = (uint64_t)config->authority.singles_most,
                      .crl_every_ms = config->authority.crl_every_ms,
                      .crl_valid_ms = config->authority.crl_valid_ms,
                      .witness_within_ms = config->authority.witness_within_ms,
                      .sinks = daemon_config_sinks(config),
                      .witnesses = daemon_config_witnesses(config),
                      .door_names = config->authority.door_names },
        .backups = process->backups,
        .recover = process->recover,
        .tiles = process->tiles,
    };

    return daemon_authority_new(&setup, &process->authority);
}

static enum rc jail(struct process *process)
{
    const struct daemon_config *config = daemon_child_config(process->child);
    const char *const folders[] = { config->authority.registry, config->authority.backups,
                                    config->authority.recover, config->authority.tiles };
    enum { FOLDERS = sizeof folders / sizeof *folders };
    struct sandbox_path paths[FOLDERS];
    size_t count = 0;

    for (size_t i = 0; i < FOLDERS; i++)
        if (*folders[i] != '\0')
            paths[count++] =
                (struct sandbox_path){ folders[i], SANDBOX_READ | SANDBOX_WRITE | SANDBOX_MAKE,
                                       false };
    const struct sandbox sandbox = {
        .name = "authority",
        .calls = SANDBOX_CALLS_FILES | SANDBOX_CALLS_MAP | SANDBOX_CALLS_PASS |
                 SANDBOX_CALLS_THREADS, /* a copy of the store is made by one */
        .paths = paths,
        .path_count = count,
        .files_max = OPEN_FILES_MAX,
    };

    return daemon_child_jail(process->child, &sandbox);
}

/* Also the end of a channel that comes when its peer was started again. */
static enum rc take_channel(void *with, const char *name, int fd)
{
    struct process *process = with;
    AUTO_FD owned = fd;

    if (strcmp(name, "signer") == 0)
        return daemon_authority_attach(process->authority, TAKE_FD(owned));
    for (unsigned i = REGISTRY_DEVICE_DOOR; i <= REGISTRY_CHANNEL_LAST; i++)
        if (strcmp(name, registry_channel_name((enum registry_channel)i)) == 0)
            return daemon_authority_serve(process->authority, (enum registry_channel)i,
                                          TAKE_FD(owned));
    return fault(RC_DENIED, "the authority has no channel to %s", name);
}

static enum rc take_channels(struct process *process)
{
    static const char *const NAMES[] = { "signer", "device-door", "operator-door", "exporter" };
    int fd = -1;

    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (daemon_child_take(process->child, NAMES[i], &fd) == RC_OK)
            TRY(take_channel(process, NAMES[i], fd));
    return RC_OK;
}

static enum rc take_end(void *with, const struct daemon_end *end)
{
    struct process *process = with;

    return daemon_authority_ended(process->authority, end);
}

static enum rc open_jail_serve(struct process *process)
{
    TRY(open_registry(process));
    TRY(open_authority(process));
    TRY(take_channels(process));
    TRY(jail(process));
    TRY(begin_life(process));
    daemon_child_hear_ends(process->child, take_end);
    return daemon_child_serve(process->child, take_channel, process);
}

static int run(struct process *process)
{
    enum rc rc = open_jail_serve(process);

    if (rc == RC_OK)
        return 0;
    return daemon_child_refuse(process->child, rc,
                               process->wrong_settings ? EX_CONFIG : EX_TEMPFAIL);
}

int main(void)
{
    struct process process = { .backups = -1, .recover = -1, .tiles = -1 };
    enum rc rc = daemon_child_open("authority", &process.child);
    int code = rc == RC_OK ? run(&process) : daemon_child_end(NULL, rc);

    daemon_authority_free(process.authority);
    daemon_authority_life_end(&process.life, code == 0);
    daemon_authority_book_close(&process.book);
    store_close(process.store);
    own_close(&process.backups);
    own_close(&process.recover);
    own_close(&process.tiles);
    daemon_child_free(process.child);
    return code;
}
