/* A door, one program for both: argv[0] says which. All bytes from a network end here; no CA
 * key, no registry. */
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>

#include "api/api.h"
#include "base/file.h"
#include "base/sandbox.h"
#include "broker/door.h"
#include "daemon/child.h"
#include "daemon/doors.h"

enum {
    FILES_BESIDE = 256,
    STREAMS_LEAST = 64,
    SEGMENT_BYTES = 16 * 1024 * 1024,
    RETAINED_MAX = 1024 * 1024,
    PENDING_LEAST = 16 * 1024 * 1024,
    PENDING_OF_CONNECTION = 24 * 1024
};

struct process {
    struct daemon_child *child;
    enum registry_channel channel;
    const struct daemon_config_door *config;
    size_t connections; /* at a time: as set, or as many as there are descriptors for */
    int spool_dir, journal_dir, tiles;
    int mqtts[DAEMON_DOORS_WORKERS_MAX], https, http, key;
    struct audit_spool *spool;
    struct audit_pending *pending;
    struct audit_pending_found found;
    struct broker_keeper *keeper;
    struct broker_door *door;
    struct api *api;
};

static bool is_device_door(const struct process *process)
{
    return process->channel == REGISTRY_DEVICE_DOOR;
}

/* ---- What the door tells ---- */

static void on_told(void *with, enum broker_door_event event, const char *what,
                    const char *text)
{
    static const enum daemon_event EVENTS[] = {
        [BROKER_DOOR_LISTENS] = DAEMON_EVENT_DOOR_LISTENING,
        [BROKER_DOOR_WAITS] = DAEMON_EVENT_DOOR_WAITING,
        [BROKER_DOOR_CERTIFIED] = DAEMON_EVENT_DOOR_CERTIFIED,
        [BROKER_DOOR_UNCERTIFIED] = DAEMON_EVENT_DOOR_UNCERTIFIED,
        [BROKER_DOOR_LINE] = DAEMON_EVENT_DOOR_AUTHORITY_GONE,
        [BROKER_DOOR_SPOOL] = DAEMON_EVENT_DOOR_SPOOL_WAITS,
        [BROKER_DOOR_POLICY] = DAEMON_EVENT_DOOR_NO_POLICY,
    };
    struct process *process = with;
    struct log *log = daemon_child_log(process->child);

    if (event == BROKER_DOOR_LISTENS)
        log_write(log, DAEMON_EVENT_DOOR_LISTENING, LOG_TEXT_FIELD("listener", what),
                  LOG_TEXT_FIELD("address", text));
    else if (event == BROKER_DOOR_LINE && *text == '\0')
        log_write(log, DAEMON_EVENT_DOOR_FOLLOWS,
                  LOG_TEXT_FIELD("channel", registry_channel_name(process->channel)));
    else
        log_write(log, EVENTS[event], LOG_TEXT_FIELD("text", text));
}

static void on_stream(void *with, int stream, bool plain, const struct broker_peer *peer,
                      struct broker_octets *octets)
{
    struct process *process = with;
    unsigned services = API_PUBLIC;

    if (!plain)
        services |= is_device_door(process) ? API_EST : API_EST | API_OPERATORS;
    enum rc rc = api_adopt(process->api, stream, services, peer, octets);
    if (rc == RC_OK)
        return;
    log_fault(daemon_child_log(process->child), DAEMON_EVENT_DOOR_STREAM_LOST, rc);
    broker_door_record_refusal(process->door, peer, "", fault_text());
}

static void on_refused(void *with, const struct broker_peer *peer, const char *target,
                       unsigned status, const char *reason)
{
    struct process *process = with;

    (void)status;
    broker_door_record_refusal(process->door, peer, target, reason);
}

static enum rc on_log_read(void *with, const struct broker_reading *reading,
                           void (*done)(void *whom, enum rc rc), void *whom)
{
    struct process *process = with;

    return broker_door_record_reading(process->door, reading, done, whom);
}

/* ---- Open ---- */

/* The operator door serves the log's tiles, which the authority makes. */
static const char *tiles_of(const struct process *process)
{
    return is_device_door(process) ? "" : daemon_child_config(process->child)->authority.tiles;
}

static enum rc take_descriptors(struct process *process)
{
    struct daemon_child *child = process->child;

    for (int64_t i = 0; i < process->config->workers && is_device_door(process); i++)
        TRY(daemon_child_take(child, "mqtts", &process->mqtts[i]));
    if (is_device_door(process) && *process->config->http != '\0')
        TRY(daemon_child_take(child, "http", &process->http));
    TRY(daemon_child_take(child, "https", &process->https));
    return daemon_child_take(child, "key", &process->key);
}

/* Of a connection's windows as many as it can have open, and as many on their way. */
static enum rc open_pending(struct process *process)
{
    const struct audit_pending_setup setup = {
        .dir = process->spool_dir,
        .spool = audit_spool_id(process->spool),
        .last = audit_spool_sequence(process->spool),
        .bytes_most = PENDING_LEAST + process->connections * PENDING_OF_CONNECTION,
    };

    TRY(audit_pending_open(&setup, &process->pending, &process->found));
    if (daemon_child_former() != NULL) /* touchmarkd tells the authority how that one ended */
        process->found.killed = false;
    return RC_OK;
}

static enum rc open_disk(struct process *process)
{
    const struct daemon_config_door *config = process->config;
    const struct clock *clock = daemon_child_clock(process->child);
    const struct journal_limits spool = { SEGMENT_BYTES, (uint64_t)config->spool_most };
    const struct journal_limits journal = { SEGMENT_BYTES, (uint64_t)config->journal_most };
    const struct retained_limits retained = {
        .messages = RETAINED_MAX,
        .bytes = (size_t)config->retained_most,
        .tree = { .nodes = 4 * RETAINED_MAX, .bytes = (size_t)config->retained_most },
    };

    TRY(file_open_dir(AT_FDCWD, config->spool, &process->spool_dir));
    TRY(audit_spool_open(process->spool_dir, &spool, clock, &process->spool));
    TRY(open_pending(process));
    if (*tiles_of(process) != '\0')
        TRY(file_open_dir(AT_FDCWD, tiles_of(process), &process->tiles));
    if (!is_device_door(process))
        return RC_OK;
    TRY(file_open_dir(AT_FDCWD, config->journal, &process->journal_dir));
    return broker_keeper_open(process->journal_dir, &journal, &retained, clock,
                              &process->keeper);
}

/* HTTPS connections at a time; plain HTTP has as many besides. Strangers may open either, so at
 * the device door they are a quarter of all. */
static size_t streams_of(const struct process *process)
{
    size_t all = process->connections;
    size_t quarter = all / 4 > STREAMS_LEAST ? all / 4 : STREAMS_LEAST;

    return is_device_door(process) && quarter < all ? quarter : all;
}

/* Descriptors: an HTTPS connection costs three: its own, and both ends of a pair; a plain one
 * one. */
static uint64_t files_of(const struct process *process)
{
    return process->connections + 3 * streams_of(process) + FILES_BESIDE;
}

/* Connections past what the process may open would let strangers end it: there are as many as
 * fit, and whoever runs it is told. */
static enum rc fit_connections(struct process *process)
{
    struct rlimit files;

    process->connections = (size_t)process->config->connections_most;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return fault_errno("read RLIMIT_NOFILE");
    uint64_t wanted = files_of(process);
    if (files.rlim_max == RLIM_INFINITY || wanted <= files.rlim_max)
        return RC_OK;
    while (process->connections > 0 && files_of(process) > files.rlim_max)
        process->connections--;
    log_write(daemon_child_log(process->child), DAEMON_EVENT_DOOR_FEWER_CONNECTIONS,
              LOG_NUMBER_FIELD("connections", (int64_t)process->connections),
              LOG_NUMBER_FIELD("wanted", process->config->connections_most),
              LOG_NUMBER_FIELD("descriptors", (int64_t)files.rlim_max),
              LOG_NUMBER_FIELD("needed", (int64_t)wanted));
    if (process->connections == 0)
        return fault(RC_LIMIT, "RLIMIT_NOFILE %llu leaves no descriptor for a connection",
                     (unsigned long long)files.rlim_max);
    return RC_OK;
}

static struct broker_door_limits limits_of(const struct process *process)
{
    const struct daemon_config_door *config = process->config;
    struct broker_door_limits limits = {
        .connections = process->connections,
        .streams = streams_of(process),
        .handshake_ms = config->handshake_within_ms,
        .read_ms = config->read_within_ms,
        .tls_timeout_s = config->session_timeout_ms / 1000,
        .tls_sessions = (size_t)config->sessions_most,
        .audit_window_ms = config->audit_window_ms,
        /* What follows is MQTT's; the operator door needs no more than HTTP takes. */
        .packet_max = 64 * 1024,
        .out_bytes = 256 * 1024,
        .message_bytes = 1024 * 1024,
        .subscriptions = 1,
        .queue_max = 1,
        .queue_bytes = 1024 * 1024,
        .connect_ms = config->handshake_within_ms,
    };

    if (!is_device_door(process))
        return limits;
    limits.packet_max = (uint32_t)config->packet_most;
    limits.out_bytes = (size_t)config->out_most;
    limits.message_bytes = (size_t)config->messages_most;
    limits.subscriptions = (size_t)config->subscriptions_most;
    limits.queue_max = (uint16_t)config->queue_most;
    limits.queue_bytes = (size_t)config->queue_bytes;
    limits.connect_ms = config->connect_within_ms;
    limits.keep_alive_max_s = (uint16_t)(config->keep_alive_most_ms / 1000);
    return limits;
}

static enum rc open_door(struct process *process)
{
    struct daemon_child *child = process->child;
    const struct broker_door_setup door = {
        .loop = daemon_child_loop(child),
        .clock = daemon_child_clock(child),
        .channel = process->channel,
        .limits = limits_of(process),
        .workers = is_device_door(process) ? (size_t)process->config->workers : 1,
        .mqtts = is_device_door(process) ? process->mqtts : NULL,
        .https = process->https,
        .http = process->http,
        .key = process->key,
        .spool = process->spool,
        .pending = process->pending,
        .found = process->found,
        .keeper = process->keeper,
        .adopt = on_stream,
        .told = on_told,
        .with = process,
    };

    TRY(broker_door_new(&door, &process->door));
    const struct api_setup api = {
        .loop = door.loop,
        .clock = door.clock,
        .front = broker_door_front(process->door),
        .channel = process->channel,
        .connections_max = 2 * (unsigned)streams_of(process),
        .refused = on_refused,
        .with = process,
        .tiles = process->tiles,
        .read_log = on_log_read,
        .audit_window_ms = process->config->audit_window_ms,
    };
    return api_new(&api, &process->api);
}

/* ---- Jail, serve ---- */

static enum rc jail(struct process *process)
{
    const struct daemon_config_door *config = process->config;
    const unsigned access = SANDBOX_READ | SANDBOX_WRITE | SANDBOX_MAKE;
    const char *own = is_device_door(process) ? config->journal : tiles_of(process);
    const unsigned own_access = is_device_door(process) ? access : SANDBOX_READ;
    const struct sandbox_path paths[] = { { config->spool, access, false },
                                          { own, own_access, false } };
    const struct sandbox sandbox = {
        .name = registry_channel_name(process->channel),
        .calls = SANDBOX_CALLS_ACCEPT | SANDBOX_CALLS_THREADS | SANDBOX_CALLS_FILES |
                 SANDBOX_CALLS_PASS,
        .paths = paths,
        .path_count = *own != '\0' ? 2 : 1,
        .files_max = files_of(process),
    };

    return daemon_child_jail(process->child, &sandbox);
}

static enum rc take_channel(void *with, const char *name, int fd)
{
    struct process *process = with;
    AUTO_FD owned = fd;

    if (strcmp(name, "authority") != 0)
        return fault(RC_DENIED, "a door has no channel to %s", name);
    return broker_door_attach(process->door, TAKE_FD(owned));
}

static enum rc open_jail_serve(struct process *process)
{
    int authority = -1;

    TRY(take_descriptors(process));
    TRY(fit_connections(process));
    TRY(open_disk(process));
    TRY(open_door(process));
    TRY(jail(process));
    TRY(broker_door_start(process->door));
    TRY(daemon_child_take(process->child, "authority", &authority));
    TRY(take_channel(process, "authority", authority));
    return daemon_child_serve(process->child, take_channel, process);
}

static void close_all(struct process *process)
{
    api_free(process->api);
    broker_door_free(process->door);
    broker_keeper_close(process->keeper);
    audit_pending_close(process->pending);
    audit_spool_close(process->spool);
    own_close(&process->spool_dir);
    own_close(&process->journal_dir);
    own_close(&process->tiles);
    daemon_child_free(process->child);
}

static bool find_channel(const char *name, enum registry_channel *channel)
{
    for (unsigned i = REGISTRY_DEVICE_DOOR; i <= REGISTRY_OPERATOR_DOOR; i++)
        if (strcmp(name, registry_channel_name((enum registry_channel)i)) == 0) {
            *channel = (enum registry_channel)i;
            return true;
        }
    return false;
}

int main(int argc, char **argv)
{
    struct process process = {
        .spool_dir = -1, .journal_dir = -1, .tiles = -1, .https = -1, .http = -1, .key = -1
    };

    if (argc != 1 || !find_channel(argv[0], &process.channel))
        return EX_USAGE;
    enum rc rc = daemon_child_open(argv[0], &process.child);
    if (rc != RC_OK)
        return daemon_child_end(NULL, rc);
    const struct daemon_config *config = daemon_child_config(process.child);
    process.config = is_device_door(&process) ? &config->device_door : &config->operator_door;
    rc = open_jail_serve(&process);
    int code = rc == RC_OK ? 0 : daemon_child_refuse(process.child, rc, EX_TEMPFAIL);
    if (code != 0 && process.door != NULL)
        broker_door_fails(process.door);
    close_all(&process);
    return code;
}
