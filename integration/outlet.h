/* What every kind of sink does, and what it tells. */
#pragma once

#include "integration/format.h"

/*
 * An outlet takes records in order, each try from where delivery stands, and says when they are
 * delivered for good. It does not retry: when a try fails it says so, or returns it, once; all
 * that was not delivered by then is given again after the next begin().
 */
struct integration_outlet_kind {
    /* Begin a try. An outlet that can show that it has more than the cursor says moves it. */
    enum rc (*begin)(void *outlet, struct integration_cursor *cursor);
    /* May a page be given now? */
    bool (*takes)(const void *outlet);
    enum rc (*give)(void *outlet, const struct audit_hit *hit);
    /* A page is complete. */
    enum rc (*flush)(void *outlet);
    /* The try is over: let go of everything that is under way. */
    void (*end)(void *outlet);
    void (*free)(void *outlet);
};

struct integration_outlet {
    const struct integration_outlet_kind *kind;
    void *outlet;
};

/* Set by whoever drives the outlet, before the first begin(). */
struct integration_outlet_told {
    void (*ready)(void *with); /* takes() may have become true */
    void (*delivered)(void *with, const struct integration_cursor *cursor);
    void (*failed)(void *with); /* fault_text() says why; end() is to follow */
    void *with;
};
