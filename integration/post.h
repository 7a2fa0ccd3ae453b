/* HTTP towards one place: one POST at a time, by libcurl, in our loop. */
#pragma once

#include "base/buf.h"
#include "base/loop.h"
#include "integration/tls_client.h"

/*
 * Private to integration/. HTTP/1.1 to a numeric address, plain or over TLS: no resolver, no
 * proxy, no redirect, a connection for each POST. libcurl is begun by integration_post_new(),
 * before the jail.
 */
struct integration_post_answer {
    enum rc rc; /* RC_OK: there is an answer, of whatever status; else fault_text() says why */
    unsigned status;
    const char *type;  /* media type; "" if it was not told */
    struct bytes body; /* all of it; borrowed for the call */
};

struct integration_post_setup {
    struct loop *loop;      /* borrowed, as all */
    const char *url;        /* copied; its host may be a name if connect_to is given */
    const char *connect_to; /* the address instead, "192.0.2.1:8443"; copied; or NULL */
    const struct integration_tls_identity *identity; /* who it must be; NULL: plain HTTP */
    const char *type;                                /* of what is sent */
    int64_t connect_ms, whole_ms; /* the latter from the beginning to the answer's end */
    size_t answer_max;
    void (*done)(void *with, const struct integration_post_answer *answer);
    void *with;
};

struct integration_post;
enum rc integration_post_new(const struct integration_post_setup *setup,
                             struct integration_post **post);
void integration_post_free(struct integration_post *post);
AUTO_STRUCT(integration_post, integration_post_free)

/* done() is called once, from the loop, if this returned RC_OK; not after the end of post. body
 * is copied. One at a time: the next one at the earliest from done(). */
enum rc integration_post_send(struct integration_post *post, struct bytes body);
