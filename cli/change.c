#include "cli/change.h"

enum { PATH_LEN_MAX = 1024 };

static enum rc tell(const struct cli_call *call, const struct cli_change *change,
                    const json_t *answer)
{
    json_int_t sequence = json_integer_value(json_object_get(answer, "sequence"));
    bool applied = json_is_true(json_object_get(answer, "applied"));

    TRY(cli_show_line(call, answer, "%s is %s (sequence %" JSON_INTEGER_FORMAT "%s).\n",
                      change->id, change->done, sequence,
                      applied ? ", applied at every door" : ""));
    if (change->wait && !applied)
        return fault(RC_BUSY, "%s is %s, but not every door has said so yet", change->id,
                     change->done);
    return RC_OK;
}

enum rc cli_change_run(const struct cli_call *call, const struct cli_change *change)
{
    CLI_REMOTE(remote);
    AUTO_BUF(path, PATH_LEN_MAX);
    AUTO(json_value) *body = json_object();
    AUTO(json_value) *answer = NULL;
    const char *text = NULL;

    if (change->reason != NULL &&
        json_object_set_new(body, "reason", json_string(change->reason)) != 0)
        return fault(RC_MALFORMED, "--reason: not UTF-8");
    buf_addf(&path, "/v1/%s/", change->resource);
    cli_remote_add_segment(&path, change->id);
    buf_addf(&path, "/%s%s", change->verb, change->wait ? "?wait=1" : "");
    TRY(buf_text(&path, &text));
    TRY(cli_remote_open(call, &remote));
    TRY(cli_remote_post(&remote, text, body, &answer));
    return tell(call, change, answer);
}
