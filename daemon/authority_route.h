/* What an act is called in a policy: the route of the API that asks for it. */
#pragma once

#include "registry/question.h"

enum { DAEMON_ROUTE_MAX = 160 };

/*
 * Append the route whose handler asks this, with its parameters filled in: "POST
 * /v1/devices/dev-1/suspend". It is made from what will be done, not from what a door says
 * that was called. Where one answer serves several routes, which counts them from 0: the
 * active policy, of this version, is shown by two. RC_NOT_FOUND, without a text: there is none,
 * or no more.
 */
enum rc daemon_authority_route(enum registry_ask ask, const struct registry_question *question,
                               uint64_t active, unsigned which, struct buf *route);
