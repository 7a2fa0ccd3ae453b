#include "integration/format.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "audit/json.h"
#include "base/text.h"
#include "integration/ocsf.h"

static enum rc write_json(json_t *json, struct buf *out)
{
    char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT | JSON_ENSURE_ASCII);

    json_decref(json);
    if (text == NULL)
        return fault(RC_NOMEM, "an exported record");
    buf_add(out, bytes_of_text(text));
    free(text);
    return RC_OK;
}

static void add_part(struct buf *out, const char *before, struct bytes text)
{
    if (text.len == 0)
        return;
    buf_addf(out, "%s", before);
    buf_add(out, text);
}

static bool is_erased(const struct audit_hit *hit)
{
    struct audit_entry entry;

    return audit_leaf_read(hit->entry, &entry) == RC_OK && entry.erased;
}

static void write_text(const struct audit_hit *hit, struct buf *out)
{
    const struct audit_record *record = hit->record;

    buf_addf(out, "%s %s", audit_action_get(record->action)->name,
             audit_decision_name(record->decision));
    if (is_erased(hit)) {
        buf_addf(out, ", erased");
        return;
    }
    buf_addf(out, " by %s", audit_actor_kind_name(record->actor_kind));
    add_part(out, " ", record->actor);
    add_part(out, ", device ", record->device);
    add_part(out, ", target ", record->target);
    add_part(out, ", from ", record->peer);
    if (record->aggregate.count > 0)
        buf_addf(out, ", %llu times", (unsigned long long)record->aggregate.count);
    add_part(out, ": ", record->reason);
}

enum rc integration_format_write(enum integration_format format, const struct audit_hit *hit,
                                 struct buf *out)
{
    struct bytes whole;

    if (format == INTEGRATION_TEXT)
        write_text(hit, out);
    else
        TRY(write_json(format == INTEGRATION_OCSF ? integration_ocsf_event(hit)
                                                  : audit_json_record(hit),
                       out));
    return buf_done(out, &whole);
}

static enum rc read_line(const json_t *json, struct integration_cursor *behind)
{
    const json_t *metadata = json_object_get(json, "metadata");
    const json_t *index = json_object_get(metadata != NULL ? metadata : json,
                                          metadata != NULL ? "sequence" : "index");
    const char *leaf = json_string_value(
        json_object_get(metadata != NULL ? metadata : json, metadata != NULL ? "uid" : "leaf"));
    AUTO_BUF(hash, PROOF_HASH);

    if (!json_is_integer(index) || json_integer_value(index) < 0 || leaf == NULL ||
        text_read_hex(bytes_of_text(leaf), &hash) != RC_OK || hash.len != PROOF_HASH)
        return fault(RC_MALFORMED, "a line without a log index and a leaf hash");
    behind->next = (uint64_t)json_integer_value(index) + 1;
    memcpy(behind->last.at, hash.at, PROOF_HASH);
    return RC_OK;
}

enum rc integration_format_read(struct bytes line, struct integration_cursor *behind)
{
    json_t *json = json_loadb((const char *)line.at, line.len, JSON_REJECT_DUPLICATES, NULL);
    enum rc rc = read_line(json, behind);

    json_decref(json);
    return rc;
}
