/* HTTP over mutual TLS to a door of ours; libcurl behind it shows nowhere else. */
#pragma once

#include "base/buf.h"
#include "base/secret.h"

/* Files, PEM. certificate and key NULL: a device that has none yet. */
struct cli_client_setup {
    const char *server;      /* cli_profile_check_server() */
    const char *authorities; /* the only ones that the server's certificate may come from */
    const char *certificate, *key;
    /* Which of our doors it must be: "operator-door"; NULL: any. Host names do not tell. */
    const char *door;
};

struct cli_client;
/* Connects at the first question. RC_NOT_FOUND for a file that is not there. */
enum rc cli_client_open(const struct cli_client_setup *setup, struct cli_client **client);
void cli_client_close(struct cli_client *client);
AUTO_STRUCT(cli_client, cli_client_close)

struct cli_client_question {
    const char *method, *path; /* "GET", "/v1/status?x=1" */
    const char *content_type;  /* of the body; NULL without one */
    struct bytes body;
    const struct secret *credentials; /* "user:password" of HTTP Basic (RFC 7617), or NULL */
};

struct cli_client_answer {
    unsigned status;
    unsigned retry_after_s; /* 0: not said */
    char request[33];       /* X-Request-Id, or empty */
    char content_type[64];
};

/*
 * The answer's body is appended to body, whose ceiling is the most that is taken (RC_LIMIT).
 * TLS 1.2 or newer, no redirection, no proxy. RC_BUSY: not reachable, or too slow; RC_DENIED:
 * the server is not what the authorities vouch for, or not the door that was asked for (before
 * anything is sent to it), or it refused our certificate.
 * libcurl keeps a copy of the credentials until the next question or its end.
 */
enum rc cli_client_ask(struct cli_client *client, const struct cli_client_question *question,
                       struct cli_client_answer *answer, struct buf *body);

/* Of libcurl and its TLS library, for people. */
const char *cli_client_versions(void);
