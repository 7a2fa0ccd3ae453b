/* The options of bench_load: one table is parser, bounds, defaults and help. */
#pragma once

#include "bench/load_mqtt.h"

struct load_settings {
    /* Whom to connect to, as whom. */
    const char *make;
    const char *connect, *ca, *cert_dir, *server_name;
    uint64_t clients, connect_rate, at_once, mqtt, keep_alive_s;
    bool resume;
    /* What to publish. */
    const char *publish, *topic;
    uint64_t qos, payload, window, message_rate, messages, seconds, patience_s;
    /* What to do about ends. */
    uint64_t hold_s, reconnect_ms;
    bool print_acks, print_lost;
    /* Read from --connect. */
    char host[64];
    uint16_t port;
};

/* RC_MALFORMED or RC_LIMIT with what is wrong; *help is set when that is asked for. */
enum rc load_settings_read(int argc, char **argv, struct load_settings *settings, bool *help);
void load_settings_help(struct buf *out);
