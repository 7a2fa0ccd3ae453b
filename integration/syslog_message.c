#include "integration/syslog_message.h"

#include <string.h>

#include "base/clock.h"
#include "base/text.h"

enum { FACILITY = 13, SEVERITY_ERROR = 3, SEVERITY_WARNING = 4, SEVERITY_INFORMATIONAL = 6 };

/* ---- The style ---- */

/* RFC 5424 6: SD-NAME is printable US-ASCII without '=', ' ', ']' and '"'. */
static bool is_sd_name(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] <= 0x20 || text.at[i] >= 0x7f || memchr("=]\"@", text.at[i], 4) != NULL)
            return false;
    return text.len > 0;
}

/* "32473", "32473.1" */
static bool is_enterprise(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((text.at[i] < '0' || text.at[i] > '9') &&
            (text.at[i] != '.' || i == 0 || i == text.len - 1))
            return false;
    return text.len > 0;
}

static enum rc check_sd_id(struct bytes id)
{
    const uint8_t *at = id.len == 0 ? NULL : memchr(id.at, '@', id.len);
    size_t name = at == NULL ? 0 : (size_t)(at - id.at);

    if (at == NULL || id.len > INTEGRATION_SD_ID_MAX ||
        !is_sd_name((struct bytes){ id.at, name }) ||
        !is_enterprise((struct bytes){ at + 1, id.len - name - 1 }))
        return fault(RC_MALFORMED,
                     "sd_id '%.*s': a name, @ and a private enterprise number are expected "
                     "(RFC 5424 6.3.2), at most %d octets",
                     BYTES_FMT(id), INTEGRATION_SD_ID_MAX);
    return RC_OK;
}

enum rc integration_syslog_check(const struct integration_syslog_style *style)
{
    struct bytes host = bytes_of_text(style->host);

    for (size_t i = 0; i < host.len; i++)
        if (host.at[i] <= 0x20 || host.at[i] >= 0x7f)
            return fault(RC_MALFORMED, "host '%.*s': RFC 5424 6.2.4: printable, without spaces",
                         BYTES_FMT(host));
    if (host.len > INTEGRATION_HOST_MAX)
        return fault(RC_MALFORMED, "host: RFC 5424 6.2.4: at most %d octets",
                     INTEGRATION_HOST_MAX);
    return check_sd_id(bytes_of_text(style->sd_id));
}

/* ---- Structured data ---- */

/* RFC 5424 6.3.3: '"', '\' and ']' are escaped, nothing else. */
static void add_param(struct buf *out, const char *name, struct bytes value)
{
    if (value.len == 0)
        return;
    buf_addf(out, " %s=\"", name);
    for (size_t i = 0; i < value.len; i++) {
        if (value.at[i] == '"' || value.at[i] == '\\' || value.at[i] == ']')
            buf_add_u8(out, '\\');
        buf_add_u8(out, value.at[i]);
    }
    buf_add_u8(out, '"');
}

static void add_hex(struct buf *out, const char *name, struct bytes value)
{
    AUTO_BUF(text, 2 * AUDIT_HASH);

    text_add_hex(&text, value);
    add_param(out, name, buf_bytes(&text));
}

static void add_number(struct buf *out, const char *name, uint64_t number)
{
    if (number > 0)
        buf_addf(out, " %s=\"%llu\"", name, (unsigned long long)number);
}

static void add_time(struct buf *out, const char *name, int64_t wall_ms)
{
    buf_addf(out, " %s=\"", name);
    clock_add_rfc3339(out, wall_ms);
    buf_add_u8(out, '"');
}

static void add_certificate(struct buf *out, const char *const names[4],
                            const struct audit_certificate *one)
{
    add_hex(out, names[0], one->fingerprint);
    add_hex(out, names[1], one->serial);
    add_hex(out, names[2], one->issuer);
    add_hex(out, names[3], one->key);
}

static void add_body(struct buf *out, const struct audit_record *record)
{
    static const char *const SHOWN[4] = { "actor_fingerprint", "actor_serial", "actor_issuer",
                                          "actor_key" };
    static const char *const ABOUT[4] = { "fingerprint", "serial", "issuer", "key" };
    const struct audit_aggregate_part *aggregate = &record->aggregate;

    buf_addf(out, " actor_kind=\"%s\"", audit_actor_kind_name(record->actor_kind));
    add_param(out, "actor", record->actor);
    add_certificate(out, SHOWN, &record->actor_certificate);
    add_param(out, "device", record->device);
    add_certificate(out, ABOUT, &record->certificate);
    add_param(out, "target", record->target);
    add_param(out, "peer", record->peer);
    add_param(out, "tls", record->tls);
    add_param(out, "reason", record->reason);
    add_number(out, "policy", record->policy_version);
    add_number(out, "rule", record->rule);
    if (aggregate->count == 0)
        return;
    add_number(out, "count", aggregate->count);
    add_time(out, "first", aggregate->first_ms);
    add_time(out, "last", aggregate->last_ms);
    buf_addf(out, " targets=\"%llu%s\"", (unsigned long long)aggregate->targets,
             aggregate->targets_capped ? "+" : "");
}

static void add_structured_data(struct buf *out, const struct integration_syslog_style *style,
                                const struct audit_hit *hit)
{
    static const uint8_t NONE[AUDIT_CORRELATION];
    const struct audit_record *record = hit->record;
    struct audit_entry entry;

    buf_addf(out, "[%s index=\"%llu\"", style->sd_id, (unsigned long long)hit->index);
    add_hex(out, "leaf", BYTES_OF(hit->leaf.at));
    if (!bytes_equal(BYTES_OF(record->correlation), BYTES_OF(NONE)))
        add_hex(out, "correlation", BYTES_OF(record->correlation));
    buf_addf(out, " decision=\"%s\"", audit_decision_name(record->decision));
    add_number(out, "sequence", record->source_sequence);
    add_number(out, "monotonic_ms",
               record->monotonic_ms > 0 ? (uint64_t)record->monotonic_ms : 0);
    if (audit_leaf_read(hit->entry, &entry) == RC_OK && entry.erased)
        buf_addf(out, " erased=\"true\"");
    else if (style->format == INTEGRATION_TEXT)
        add_body(out, record);
    buf_add_u8(out, ']');
}

/* ---- The message ---- */

static int severity(const struct audit_record *record)
{
    if (record->decision == AUDIT_ALLOWED)
        return SEVERITY_INFORMATIONAL;
    return record->decision == AUDIT_DENIED ? SEVERITY_WARNING : SEVERITY_ERROR;
}

/* MSG of UTF-8 begins with a byte-order mark (RFC 5424 6.4); JSON is ASCII. */
static enum rc write_message(const struct integration_syslog_style *style,
                             const struct audit_hit *hit, struct buf *out)
{
    const struct audit_record *record = hit->record;

    buf_addf(out, "<%d>1 ", FACILITY * 8 + severity(record));
    clock_add_rfc3339(out, record->wall_ms);
    buf_addf(out, " %s touchmark %s %s ", style->host[0] == '\0' ? "-" : style->host,
             audit_source_name(record->source), audit_action_get(record->action)->name);
    add_structured_data(out, style, hit);
    buf_addf(out, style->format == INTEGRATION_TEXT ? " \xef\xbb\xbf" : " ");
    return integration_format_write(style->format, hit, out);
}

enum rc integration_syslog_write(const struct integration_syslog_style *style,
                                 const struct audit_hit *hit, struct buf *out)
{
    AUTO_BUF(message, INTEGRATION_SYSLOG_MAX);
    struct bytes bytes;

    TRY(write_message(style, hit, &message));
    TRY(buf_done(&message, &bytes));
    buf_addf(out, "%zu ", bytes.len);
    buf_add(out, bytes);
    return buf_done(out, &bytes);
}
