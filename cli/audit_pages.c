#include "cli/audit_pages.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"

enum { PATH_LEN_MAX = 8 * 1024, MEMBER_MAX = 64 };

static enum rc get_page(struct cli_remote *remote, const struct cli_audit_filter *filters,
                        size_t count, json_int_t before, json_t **answer)
{
    AUTO_BUF(path, PATH_LEN_MAX);
    const char *text = NULL;

    buf_addf(&path, "/v1/audit?limit=500");
    if (before > 0)
        buf_addf(&path, "&before=%" JSON_INTEGER_FORMAT, before);
    for (size_t i = 0; i < count; i++)
        cli_remote_add_query(&path, filters[i].name, filters[i].value);
    TRY(buf_text(&path, &text));
    return cli_remote_get(remote, text, answer);
}

enum rc cli_audit_each(struct cli_remote *remote, const struct cli_audit_filter *filters,
                       size_t count, enum rc (*take)(void *with, const json_t *record),
                       void *with)
{
    json_int_t before = 0;

    do {
        AUTO(json_value) *answer = NULL;
        const json_t *record = NULL;
        size_t i = 0;
        TRY(get_page(remote, filters, count, before, &answer));
        if (!json_is_array(json_object_get(answer, "records")))
            return fault(RC_MALFORMED, "the server's answer is no page of records");
        json_array_foreach(json_object_get(answer, "records"), i, record)
            TRY(take(with, record));
        before = json_integer_value(json_object_get(answer, "next"));
    } while (before > 0);
    return RC_OK;
}

static enum rc keep(void *with, const json_t *record)
{
    json_t *records = with;

    if (json_array_size(records) == CLI_AUDIT_RECORDS_MAX)
        return fault(RC_LIMIT, "more than %d records: say --since", CLI_AUDIT_RECORDS_MAX);
    /* It was made for a page, and is changed by nobody. */
    return json_array_append(records, (json_t *)(uintptr_t)record) == 0
               ? RC_OK
               : fault(RC_NOMEM, "records");
}

enum rc cli_audit_collect(struct cli_remote *remote, const struct cli_audit_filter *filters,
                          size_t count, json_t *records)
{
    return cli_audit_each(remote, filters, count, keep, records);
}

static const json_t *member_of(const json_t *record, const char *path)
{
    const char *dot = strchr(path, '.');
    char outer[MEMBER_MAX] = "";

    if (dot == NULL || (size_t)(dot - path) >= sizeof outer)
        return json_object_get(record, path);
    memcpy(outer, path, (size_t)(dot - path));
    return json_object_get(json_object_get(record, outer), dot + 1);
}

const char *cli_audit_text(const json_t *record, const char *path)
{
    const char *text = json_string_value(member_of(record, path));

    return text == NULL ? "" : text;
}

json_int_t cli_audit_count(const json_t *record)
{
    const json_t *count = member_of(record, "aggregate.count");

    return count == NULL ? 1 : json_integer_value(count);
}

static const char *begins(const json_t *record)
{
    const char *first = cli_audit_text(record, "aggregate.first");

    return *first == '\0' ? cli_audit_text(record, "time") : first;
}

static const char *ends(const json_t *record)
{
    const char *last = cli_audit_text(record, "aggregate.last");

    return *last == '\0' ? cli_audit_text(record, "time") : last;
}

/* "actor.id" is "actor" in a row. */
static const char *key_of(const char *path)
{
    return strcmp(path, "actor.id") == 0 ? "actor" : path;
}

static bool agrees(const json_t *row, const json_t *record, const char *const *members,
                   size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const json_t *left = json_object_get(row, key_of(members[i]));
        const json_t *right = member_of(record, members[i]);
        if ((left == NULL) != (right == NULL) || (left != NULL && !json_equal(left, right)))
            return false;
    }
    return true;
}

static json_t *new_row(json_t *rows, const json_t *record, const char *const *members,
                       size_t count)
{
    json_t *row =
        json_pack("{s:i, s:s, s:s}", "count", 0, "first", begins(record), "last", ends(record));

    for (size_t i = 0; row != NULL && i < count; i++) {
        const json_t *value = member_of(record, members[i]);
        if (value != NULL)
            (void)json_object_set_new(row, key_of(members[i]), json_deep_copy(value));
    }
    return json_array_append_new(rows, row) == 0 ? row : NULL;
}

enum rc cli_audit_tally(json_t *rows, const json_t *record, const char *const *members,
                        size_t count)
{
    json_t *row = NULL, *found = NULL;
    size_t i = 0;

    json_array_foreach(rows, i, row)
    {
        if (found == NULL && agrees(row, record, members, count))
            found = row;
    }
    if (found == NULL)
        found = new_row(rows, record, members, count);
    if (found == NULL)
        return fault(RC_NOMEM, "a row of counts");
    json_int_t sum = json_integer_value(json_object_get(found, "count"));
    (void)json_object_set_new(found, "count", json_integer(sum + cli_audit_count(record)));
    if (strcmp(begins(record), cli_audit_text(found, "first")) < 0)
        (void)json_object_set_new(found, "first", json_string(begins(record)));
    if (strcmp(ends(record), cli_audit_text(found, "last")) > 0)
        (void)json_object_set_new(found, "last", json_string(ends(record)));
    return RC_OK;
}

enum rc cli_audit_read_index(const char *word, uint64_t *index)
{
    if (text_read_u64(bytes_of_text(word), INT64_MAX - 1, index) != RC_OK)
        return fault(RC_MALFORMED, "%s: the index of a record is a number", word);
    return RC_OK;
}

enum rc cli_audit_get(struct cli_remote *remote, uint64_t index, json_t **record)
{
    AUTO(json_value) *answer = NULL;
    AUTO_BUF(path, PATH_LEN_MAX);
    const char *text = NULL;

    buf_addf(&path, "/v1/audit?limit=1&before=%" PRIu64, index + 1);
    TRY(buf_text(&path, &text));
    TRY(cli_remote_get(remote, text, &answer));
    json_t *found = json_array_get(json_object_get(answer, "records"), 0);
    if (found == NULL ||
        json_integer_value(json_object_get(found, "index")) != (json_int_t)index)
        return fault(RC_NOT_FOUND, "there is no record %" PRIu64, index);
    *record = json_incref(found);
    return RC_OK;
}
