/* The load generator as a command, for system tests and for people: bench_load --help. */
#include "bench/load_events.h"
#include "bench/load_settings.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum { HELP_BYTES_MAX = 16384 };

static const int64_t TURN_NS = 20000000, SECOND_NS = 1000000000, MS_NS = 1000000;

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
    (void)signal;
    stopped = 1;
}

struct tool {
    struct load_settings settings;
    struct load *load;
    struct load_identities identities;
    struct load_crowd crowd;
    struct load_traffic *traffic; /* NULL while nothing is published */
    struct load_tally tally;
    int64_t *again_ns; /* when a client is due to connect again; 0: not */
    int64_t pinged_ns;
    size_t waiting; /* clients that are due */
};

static size_t number_of(const struct tool *tool, const struct load_client *client)
{
    return (size_t)(client - tool->crowd.clients);
}

static void client_live(void *with, struct load_client *client)
{
    struct tool *tool = with;

    load_events_live(client, &tool->tally);
    if (tool->traffic != NULL)
        load_traffic_resume(tool->traffic, client);
}

static void wait_again(struct tool *tool, const struct load_client *client)
{
    if (tool->settings.reconnect_ms == 0)
        return;
    tool->again_ns[number_of(tool, client)] =
        load_clock_ns() + (int64_t)tool->settings.reconnect_ms * MS_NS;
    tool->waiting++;
}

static void client_ended(void *with, struct load_client *client, const char *why, unsigned code)
{
    struct tool *tool = with;

    load_events_ended(client, client->live_ns > 0, why, code, &tool->tally);
    wait_again(tool, client);
}

static void connect_again(struct tool *tool)
{
    int64_t now = load_clock_ns();

    for (size_t i = 0; tool->waiting > 0 && i < tool->crowd.count; i++) {
        if (tool->again_ns[i] == 0 || tool->again_ns[i] > now)
            continue;
        tool->again_ns[i] = 0;
        tool->waiting--;
        if (load_start(&tool->crowd.clients[i]) != RC_OK)
            wait_again(tool, &tool->crowd.clients[i]);
    }
}

static void ping_all(struct tool *tool)
{
    int64_t now = load_clock_ns();
    int64_t every = (int64_t)tool->settings.keep_alive_s * SECOND_NS / 2;

    if (every == 0 || now - tool->pinged_ns < every)
        return;
    tool->pinged_ns = now;
    for (size_t i = 0; i < tool->crowd.count; i++)
        if (tool->crowd.clients[i].state == LOAD_LIVE)
            load_mqtt_empty(load_out(&tool->crowd.clients[i]), LOAD_PINGREQ);
}

/* What is due besides the traffic. */
static void look_after(struct tool *tool)
{
    connect_again(tool);
    ping_all(tool);
    if (tool->traffic != NULL && tool->settings.print_acks)
        load_traffic_tell(tool->traffic);
    fflush(stdout);
}

static bool anyone_left(const struct tool *tool)
{
    for (size_t i = 0; i < tool->crowd.count; i++)
        if (tool->crowd.clients[i].state != LOAD_IDLE)
            return true;
    return tool->waiting > 0;
}

static enum rc hold(struct tool *tool)
{
    int64_t end = load_clock_ns() + (int64_t)tool->settings.hold_s * SECOND_NS;

    while (!stopped && load_clock_ns() < end && anyone_left(tool)) {
        TRY(load_turn(tool->load, TURN_NS));
        look_after(tool);
    }
    return RC_OK;
}

static bool all_published(const struct load_traffic *traffic)
{
    for (size_t i = 0; i < traffic->options.shape.publishers; i++)
        if (traffic->publishers[i].next < traffic->options.most)
            return false;
    return traffic->options.most > 0;
}

static enum rc run_traffic(struct tool *tool)
{
    int64_t end = load_clock_ns() + (int64_t)tool->settings.seconds * SECOND_NS;

    while (!stopped && load_clock_ns() < end && anyone_left(tool) &&
           !all_published(tool->traffic)) {
        TRY(load_traffic_turn(tool->traffic, true));
        look_after(tool);
    }
    return RC_OK;
}

static enum rc drain(struct tool *tool)
{
    int64_t progress = load_clock_ns();
    int64_t patience = (int64_t)tool->settings.patience_s * SECOND_NS;
    uint64_t missing = load_traffic_missing(tool->traffic);

    while (missing > 0 && anyone_left(tool) && load_clock_ns() - progress < patience) {
        TRY(load_traffic_turn(tool->traffic, false));
        look_after(tool);
        uint64_t now = load_traffic_missing(tool->traffic);
        if (now != missing)
            progress = load_clock_ns();
        missing = now;
    }
    return RC_OK;
}

static enum rc open_traffic(struct tool *tool)
{
    const struct load_settings *settings = &tool->settings;
    struct load_traffic_options options = {
        .topic = settings->topic,
        .qos = (uint8_t)settings->qos,
        .payload = settings->payload,
        .window = settings->window,
        .rate = (double)settings->message_rate,
        .most = (uint32_t)settings->messages,
        .only_acks_open = settings->reconnect_ms > 0,
        .acked = settings->print_acks ? load_events_acked : NULL,
    };

    TRY(load_shape_read(settings->publish, tool->crowd.count, &options.shape));
    return load_traffic_open(&tool->crowd, &options, &tool->traffic);
}

static enum rc publish(struct tool *tool)
{
    TRY(open_traffic(tool));
    TRY(load_traffic_subscribe(tool->traffic));
    load_events_phase("subscribed");
    TRY(run_traffic(tool));
    load_events_phase("published");
    TRY(drain(tool));
    look_after(tool);
    load_events_phase("drained");
    return RC_OK;
}

static enum rc open_all(struct tool *tool)
{
    const struct load_settings *settings = &tool->settings;
    const struct load_options options = {
        .host = settings->host,
        .port = settings->port,
        .ca_path = settings->ca,
        .server_name = settings->server_name,
        .version = settings->mqtt == 5 ? LOAD_MQTT_5 : LOAD_MQTT_3,
        .keep_alive_s = (uint16_t)settings->keep_alive_s,
        .resume = settings->resume,
    };
    const struct load_handler outer = { client_live, NULL, client_ended, tool };

    TRY(load_identities_read(settings->cert_dir, settings->clients, &tool->identities));
    TRY(load_new(&options, &outer, &tool->load));
    TRY(load_crowd_open(tool->load, &tool->identities, tool->identities.count, &tool->crowd));
    tool->crowd.outer = outer;
    tool->again_ns = calloc(tool->crowd.count, sizeof *tool->again_ns);
    return tool->again_ns != NULL ? RC_OK : fault(RC_NOMEM, "clients");
}

static enum rc run(struct tool *tool)
{
    const struct load_pace pace = { .at_once = tool->settings.at_once,
                                    .rate = (double)tool->settings.connect_rate };

    TRY(open_all(tool));
    TRY(load_crowd_connect(&tool->crowd, &pace));
    load_events_ready(&tool->tally);
    if (tool->settings.publish != NULL)
        TRY(publish(tool));
    TRY(hold(tool));
    if (tool->traffic != NULL && tool->settings.print_lost)
        load_events_lost(tool->traffic);
    load_events_sum(&tool->crowd, &tool->tally, tool->traffic);
    return RC_OK;
}

static void close_all(struct tool *tool)
{
    for (size_t i = 0; i < tool->crowd.count; i++)
        load_stop(&tool->crowd.clients[i]);
    load_traffic_free(tool->traffic);
    load_crowd_close(&tool->crowd);
    load_free(tool->load);
    load_identities_clear(&tool->identities);
    free(tool->again_ns);
}

static int print_help(void)
{
    AUTO_BUF(help, HELP_BYTES_MAX);
    const char *text;

    load_settings_help(&help);
    if (buf_text(&help, &text) != RC_OK)
        return 1;
    fputs(text, stdout);
    return 0;
}

static int make_identities(const struct load_settings *settings)
{
    enum rc rc = load_identities_make(settings->make, settings->clients);

    if (rc != RC_OK)
        fprintf(stderr, "bench_load: %s\n", fault_text());
    return rc != RC_OK;
}

int main(int argc, char **argv)
{
    static struct tool tool;
    const struct sigaction action = { .sa_handler = stop };
    bool help = false;

    if (load_settings_read(argc, argv, &tool.settings, &help) != RC_OK) {
        fprintf(stderr, "bench_load: %s\n", fault_text());
        return 64;
    }
    if (help)
        return print_help();
    if (tool.settings.make != NULL)
        return make_identities(&tool.settings);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    enum rc rc = run(&tool);
    if (rc != RC_OK)
        fprintf(stderr, "bench_load: %s\n", fault_text());
    close_all(&tool);
    return rc != RC_OK;
}
