/* Questions to /v1 at the operator door (docs/protocol/api.md), and what its refusals mean. */
#pragma once

#include "cli/client.h"
#include "cli/profile.h"
#include "cli/show.h"

struct cli_remote {
    struct cli_profile profile;
    struct cli_client *client;
};
/* CLI_REMOTE(remote): closed at the end of its scope. */
#define CLI_REMOTE(name) [[gnu::cleanup(cli_remote_close)]] struct cli_remote name = { 0 }

enum { CLI_ANSWER_MAX = 32 * 1024 * 1024 };

/* The call's profile and server. */
enum rc cli_remote_open(const struct cli_call *call, struct cli_remote *remote);
void cli_remote_close(struct cli_remote *remote);

/*
 * The answer's JSON is the caller's. A refusal becomes RC_MALFORMED (400, 413, 415, 422),
 * RC_DENIED (401, 403), RC_NOT_FOUND, RC_EXISTS (409), RC_LIMIT (429), RC_BUSY (503) or RC_IO,
 * and its text names what the server said and the request id, by which the audit log knows it.
 */
enum rc cli_remote_get(struct cli_remote *remote, const char *path, json_t **answer);
/* body: borrowed, or NULL for an empty one. */
enum rc cli_remote_post(struct cli_remote *remote, const char *path, const json_t *body,
                        json_t **answer);
/* An answer that is no JSON, appended to out. */
enum rc cli_remote_get_bytes(struct cli_remote *remote, const char *path, struct buf *out);

/*
 * All pages of a list, or with `most` one of at most so many: path may have a query. member is
 * the list's name ("devices"); the answer is one document {"devices":[...],"next":...}.
 */
enum rc cli_remote_list(struct cli_remote *remote, const char *path, const char *member,
                        const char *most, const char *cursor, json_t **answer);

/* Append "?name=value" or "&name=value", encoded; nothing for a value that is NULL. */
void cli_remote_add_query(struct buf *path, const char *name, const char *value);
/* Append a path segment, encoded (RFC 3986 2.3). */
void cli_remote_add_segment(struct buf *path, const char *segment);
/* The refusal in an answer, as above: RC_OK for 2xx. */
enum rc cli_remote_judge(const struct cli_client_answer *answer, struct bytes body);
