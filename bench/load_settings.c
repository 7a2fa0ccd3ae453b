#include "bench/load_settings.h"

#include "base/text.h"
#include "bench/load_traffic.h"

#include <getopt.h>
#include <stddef.h>
#include <string.h>

enum kind { TEXT, NUMBER, FLAG };

struct row {
    const char *name;
    enum kind kind;
    size_t offset;
    uint64_t low, high, standard;
    const char *meaning;
};

#define AT(field) offsetof(struct load_settings, field)

static const struct row ROWS[] = {
    { "make", TEXT, AT(make), 0, 0, 0,
      "make a CA (ca.pem), a server's certificate (server.pem, server.key) and those of\n"
      "                          --clients (folder clients) in this empty folder, and end" },
    { "connect", TEXT, AT(connect), 0, 0, 0, "IPv4 address and port of the MQTT listener" },
    { "ca", TEXT, AT(ca), 0, 0, 0,
      "PEM file of the CA that the server's certificate is under" },
    { "cert-dir", TEXT, AT(cert_dir), 0, 0, 0,
      "folder of ID.pem or ID.crt (+ ID.key); the MQTT client id is ID" },
    { "server-name", TEXT, AT(server_name), 0, 0, 0,
      "send and check this name (default: the chain is checked, no name)" },
    { "clients", NUMBER, AT(clients), 1, 100000, 100000,
      "the first N of the folder, in the order of their names (default all)" },
    { "connect-rate", NUMBER, AT(connect_rate), 0, 100000, 0, "connections a second (0: any)" },
    { "at-once", NUMBER, AT(at_once), 1, 10000, 32, "handshakes under way" },
    { "mqtt", NUMBER, AT(mqtt), 3, 5, 5, "3 (3.1.1) or 5" },
    { "keep-alive", NUMBER, AT(keep_alive_s), 0, 65535, 60,
      "seconds; PINGREQ after a half of it (0: none)" },
    { "resume", FLAG, AT(resume), 0, 0, 0,
      "offer the latest TLS ticket when connecting again" },
    { "publish", TEXT, AT(publish), 0, 0, 0,
      "shape: PtoS (10to10, 1to100, 50to1), or self: each client to itself" },
    { "topic", TEXT, AT(topic), 0, 0, 0,
      "with %i for the publisher's number, %d for its id (default bench/%i)" },
    { "qos", NUMBER, AT(qos), 0, 1, 1, "of messages and subscriptions" },
    { "payload", NUMBER, AT(payload), LOAD_PAYLOAD_MIN, LOAD_PAYLOAD_MAX, 64, "bytes" },
    { "window", NUMBER, AT(window), 1, LOAD_WINDOW_MAX, 100,
      "messages of one publisher under way" },
    { "message-rate", NUMBER, AT(message_rate), 0, 10000000, 0,
      "messages a second over all publishers (0: as the window allows)" },
    { "messages", NUMBER, AT(messages), 0, UINT32_MAX, 0,
      "end after so many of each publisher (0: after --seconds)" },
    { "seconds", NUMBER, AT(seconds), 0, 86400, 10, "to publish for at most" },
    { "patience", NUMBER, AT(patience_s), 1, 600, 5,
      "seconds to wait for what is under way after the last of it came" },
    { "hold", NUMBER, AT(hold_s), 0, 86400, 0,
      "seconds to stay connected then; ends early when all connections have" },
    { "reconnect", NUMBER, AT(reconnect_ms), 0, 600000, 0,
      "milliseconds after which a connection that ended is made again (0: never)" },
    { "print-acks", FLAG, AT(print_acks), 0, 0, 0, "an event for each run of PUBACKs" },
    { "print-lost", FLAG, AT(print_lost), 0, 0, 0, "an event for each lost delivery" },
    { "help", FLAG, 0, 0, 0, 0, "print this" },
};
enum { ROW_COUNT = sizeof ROWS / sizeof ROWS[0], HELP = ROW_COUNT - 1 };

static const char ABOUT[] =
    "usage: bench_load --connect HOST:PORT --ca FILE --cert-dir DIR [...]\n"
    "       bench_load --make DIR --clients N\n"
    "\n"
    "Many MQTT clients over mutual TLS 1.3 on one thread: connects them, lets them publish "
    "and\n"
    "subscribe, holds them, and prints what happened as one JSON object a line. Every message\n"
    "has a sequence number, so that what is lost, doubled or led astray is known exactly.\n"
    "SIGTERM or SIGINT: ends the phase it is in, then the sum.\n"
    "\n";

static const char EVENTS[] =
    "\n"
    "Events; at_ms is wall time, milliseconds since 1970:\n"
    "  live     client at_ms took_us resumed: CONNACK is there\n"
    "  refused  client at_ms why code: ended before CONNACK\n"
    "  cut      client at_ms why code: ended by the other side when it was live\n"
    "           why: disconnect (code: reason), alert (code: TLS alert), closed "
    "(close_notify),\n"
    "           eof, reset, connack (code), handshake-alert, handshake-reset, refused, ...\n"
    "  ready    live refused at_ms: all were let in or not\n"
    "  subscribed, published, drained   at_ms: the phases of --publish\n"
    "  acked    client from to at_ms: PUBACKs of these sequence numbers (--print-acks)\n"
    "  lost     publisher subscriber sequence: acknowledged (QoS 0: sent), never delivered\n"
    "  sum      the counts of all, and latencies in microseconds\n"
    "Exit codes: 0 it ran, the sum tells how; 1 it could not; 64 wrong usage.\n";

void load_settings_help(struct buf *out)
{
    static const char *const VALUES[] = { [TEXT] = " TEXT", [NUMBER] = " N", [FLAG] = "" };

    buf_addf(out, "%s", ABOUT);
    for (int i = 0; i < ROW_COUNT; i++) {
        const struct row *row = &ROWS[i];
        int width = 22 - (int)strlen(row->name) - (int)strlen(VALUES[row->kind]);
        buf_addf(out, "  --%s%s%*s%s", row->name, VALUES[row->kind], width, "", row->meaning);
        if (row->kind == NUMBER && row->standard != 0 && row->standard != row->high)
            buf_addf(out, " (default %lu)", (unsigned long)row->standard);
        buf_addf(out, "\n");
    }
    buf_addf(out, "%s", EVENTS);
}

static enum rc set(struct load_settings *settings, const struct row *row, const char *value)
{
    uint8_t *field = (uint8_t *)settings + row->offset;
    uint64_t number;

    if (row->kind == FLAG) {
        const bool yes = true;
        memcpy(field, &yes, sizeof yes);
    } else if (row->kind == TEXT) {
        memcpy(field, &value, sizeof value);
    } else {
        enum rc rc = text_read_u64(bytes_of_text(value), row->high, &number);
        if (rc != RC_OK || number < row->low)
            return fault(RC_LIMIT, "--%s is %lu to %lu, not '%s'", row->name,
                         (unsigned long)row->low, (unsigned long)row->high, value);
        memcpy(field, &number, sizeof number);
    }
    return RC_OK;
}

static enum rc read_address(struct load_settings *settings)
{
    const char *colon = strrchr(settings->connect, ':');
    uint64_t port;

    if (colon == NULL || (size_t)(colon - settings->connect) >= sizeof settings->host ||
        text_read_u64(bytes_of_text(colon + 1), UINT16_MAX, &port) != RC_OK)
        return fault(RC_MALFORMED, "--connect is ADDRESS:PORT, not '%s'", settings->connect);
    memcpy(settings->host, settings->connect, (size_t)(colon - settings->connect));
    settings->host[colon - settings->connect] = 0;
    settings->port = (uint16_t)port;
    return RC_OK;
}

static enum rc check(struct load_settings *settings)
{
    if (settings->make != NULL)
        return RC_OK;
    if (settings->connect == NULL || settings->ca == NULL || settings->cert_dir == NULL)
        return fault(RC_MALFORMED, "--connect, --ca and --cert-dir must be given");
    if (settings->mqtt == 4)
        return fault(RC_LIMIT, "--mqtt is 3 or 5");
    if (settings->reconnect_ms > 0 && settings->qos == 0 && settings->message_rate == 0)
        return fault(RC_MALFORMED, "--reconnect with --qos 0 needs a --message-rate: what is "
                                   "lost would never open the window again");
    if (settings->topic == NULL)
        settings->topic = "bench/%i";
    return read_address(settings);
}

enum rc load_settings_read(int argc, char **argv, struct load_settings *settings, bool *help)
{
    struct option options[ROW_COUNT + 1] = { 0 };
    int chosen, option;

    *settings = (struct load_settings){ 0 };
    *help = false;
    for (int i = 0; i < ROW_COUNT; i++) {
        options[i] =
            (struct option){ ROWS[i].name,
                             ROWS[i].kind == FLAG ? no_argument : required_argument, NULL, 0 };
        if (ROWS[i].kind == NUMBER)
            memcpy((uint8_t *)settings + ROWS[i].offset, &ROWS[i].standard, sizeof(uint64_t));
    }
    while ((option = getopt_long(argc, argv, "", options, &chosen)) != -1) {
        if (option == '?')
            return fault(RC_MALFORMED, "see --help");
        if (chosen == HELP) {
            *help = true;
            return RC_OK;
        }
        TRY(set(settings, &ROWS[chosen], optarg));
    }
    if (optind != argc)
        return fault(RC_MALFORMED, "'%s' is no option; see --help", argv[optind]);
    return check(settings);
}
