/* The CRLs that a door serves: fetched from the authority when the feed tells of a new one. */
#pragma once

#include "base/loop.h"
#include "broker/front.h"

/*
 * Main thread only, as the front (front.h) that owns it. A CRL is asked for part by part, one
 * part at a time, and takes the old one's place when it is whole: until then the old one is
 * served. Nothing is locked and nobody waits meanwhile.
 */
struct broker_crls;

/* A whole one, unchanged for as long as somebody holds it. */
struct broker_crl {
    uint64_t number;
    struct buf der;
    struct broker_crls *crls;
    unsigned holders;
    bool replaced;
    uint64_t order; /* among all that came */
};

enum rc broker_crls_new(struct broker_front *front, const struct broker_front_setup *setup,
                        struct broker_crls **crls);
/* Those that are held stay until they are released; nobody holds one of a door that ends. */
void broker_crls_free(struct broker_crls *crls);
AUTO_STRUCT(broker_crls, broker_crls_free)

/* The projection has changed: what is new in it is fetched, what is gone forgotten. */
void broker_crls_follow(struct broker_crls *crls);

/* RC_NOT_FOUND: none of that key. RC_BUSY: there is one, and it is not here yet. */
enum rc broker_crls_hold(struct broker_crls *crls, struct bytes key, struct broker_crl **crl);
void broker_crls_release(struct broker_crl *crl); /* NULL is fine */
/* It was replaced long ago and should be let go of, whoever still reads it: slow readers of old
 * ones would pile them up. */
bool broker_crls_is_stale(const struct broker_crl *crl);
