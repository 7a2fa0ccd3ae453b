/* A witness's HTTP: POST /add-checkpoint, and nothing else. */
#pragma once

#include "base/loop.h"
#include "witness/book.h"

/*
 * One thread on the caller's loop, so that a state is judged and written by one submission at a
 * time. Plain HTTP/1.1: a submission proves itself by its signature, and what comes back by the
 * witness's; put a TLS proxy before it where the network must not see which log is how long.
 */
struct witness_http;

struct witness_http_setup {
    struct loop *loop; /* all borrowed for its life */
    const struct clock *clock;
    struct witness_book *book;
    int listener; /* owned from here on, also on failure */
    /* Every answer, for the owner's log; may be NULL. */
    void (*told)(void *with, unsigned status, bool split_view, const char *text);
    void *with;
};

enum rc witness_http_new(const struct witness_http_setup *setup, struct witness_http **http);
void witness_http_free(struct witness_http *http);
AUTO_STRUCT(witness_http, witness_http_free)
