/* What load.c and load_client.c share. */
#pragma once

#include "bench/load.h"

#include <netinet/in.h>

enum { LOAD_READ = 65536, LOAD_SCRATCH = 4 * LOAD_READ, LOAD_OUT_MAX = 64 * 1024 * 1024 };

struct load {
    struct load_options options;
    struct load_handler handler;
    struct sockaddr_in to;
    SSL_CTX *tls;
    int epoll;
    int64_t now_ns;
    uint8_t *scratch; /* LOAD_SCRATCH bytes, what is being parsed */
    struct load_client *dirty;
};

/* What epoll reported of it. */
void load_client_ready(struct load_client *client, uint32_t events);
void load_client_flush(struct load_client *client);
