#include "tests/unit/integration/records.h"

#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "integration/ocsf.h"

/*
 * Events against facts of the schema that are not ours: tests/golden/export/ocsf-1.4.0.json,
 * which says where they come from. What is not written there may not be emitted.
 */

enum { LINE_MAX_BYTES = 64 * 1024 };

static json_t *schema;

static FILE *open_golden(const char *name)
{
    AUTO_BUF(path, 1024);
    const char *text = NULL, *source = getenv("TOUCHMARK_SOURCE");

    buf_addf(&path, "%s/tests/golden/export/%s", source == NULL ? "." : source, name);
    assert_int_equal(buf_text(&path, &text), RC_OK);
    FILE *file = fopen(text, "re");
    assert_non_null(file);
    return file;
}

static const char *text_of(json_t *json, const char *name)
{
    return json_string_value(json_object_get(json, name));
}

static json_t *at_text(json_t *map, struct buf *key)
{
    const char *text = NULL;

    assert_int_equal(buf_text(key, &text), RC_OK);
    return json_object_get(map, text);
}

static json_t *at_number(json_t *map, json_int_t number)
{
    AUTO_BUF(key, 32);

    buf_addf(&key, "%lld", (long long)number);
    return at_text(map, &key);
}

static bool one_of(json_t *list, json_t *object)
{
    bool found = list == NULL;

    for (size_t i = 0; i < json_array_size(list); i++)
        found |= json_object_get(object, json_string_value(json_array_get(list, i))) != NULL;
    return found;
}

/* A number that has a caption stands beside it: "type" beside "type_id". 99 has our own word.
 */
static bool caption_is(const char *of, const char *name, json_int_t number, const char *said)
{
    AUTO_BUF(key, 96);

    buf_addf(&key, "%s.%s", of, name);
    json_t *captions = at_text(json_object_get(schema, "enums"), &key);
    const char *caption = json_string_value(at_number(captions, number));
    if (captions == NULL)
        return true;
    return caption != NULL && said != NULL && (number == 99 || strcmp(caption, said) == 0);
}

static bool enums_fit(const char *of, json_t *object)
{
    static const struct {
        const char *number, *word;
    } PAIRS[] = { { "type_id", "type" },
                  { "algorithm_id", "algorithm" },
                  { "status_id", "status" } };
    bool fit = true;

    for (size_t i = 0; i < sizeof PAIRS / sizeof *PAIRS; i++) {
        json_t *number = json_object_get(object, PAIRS[i].number);
        fit &= number == NULL || caption_is(of, PAIRS[i].number, json_integer_value(number),
                                            text_of(object, PAIRS[i].word));
    }
    return fit;
}

static bool object_fits(const char *type, json_t *object);

static bool value_fits(const char *type, json_t *value)
{
    AUTO_BUF(item, 64);
    const char *one = NULL;
    size_t len = strlen(type);

    if (strcmp(type, "any") == 0)
        return true;
    if (strcmp(type, "string") == 0)
        return json_is_string(value) && *json_string_value(value) != 0;
    if (strcmp(type, "integer") == 0)
        return json_is_integer(value);
    if (strcmp(type, "boolean") == 0)
        return json_is_boolean(value);
    if (len < 2 || strcmp(type + len - 2, "[]") != 0)
        return object_fits(type, value);
    buf_add(&item, (struct bytes){ (const uint8_t *)type, len - 2 });
    assert_int_equal(buf_text(&item, &one), RC_OK);
    for (size_t i = 0; i < json_array_size(value); i++)
        if (!object_fits(one, json_array_get(value, i)))
            return false;
    return json_array_size(value) > 0;
}

static bool has_required(json_t *facts, json_t *object)
{
    for (void *at = json_object_iter(facts); at != NULL; at = json_object_iter_next(facts, at))
        if (json_is_true(json_object_get(json_object_iter_value(at), "required")) &&
            json_object_get(object, json_object_iter_key(at)) == NULL)
            return false;
    return true;
}

/* Each attribute is the schema's and of its type, and none that it requires is missing. */
static bool attributes_fit(json_t *base, json_t *own, json_t *object)
{
    for (void *at = json_object_iter(object); at != NULL;
         at = json_object_iter_next(object, at)) {
        json_t *fact = json_object_get(own, json_object_iter_key(at));
        if (fact == NULL)
            fact = json_object_get(base, json_object_iter_key(at));
        if (fact == NULL || !value_fits(text_of(fact, "type"), json_object_iter_value(at)))
            return false;
    }
    return has_required(base, object) && has_required(own, object);
}

static bool object_fits(const char *type, json_t *object)
{
    json_t *facts = json_object_get(json_object_get(schema, "objects"), type);

    return facts != NULL && json_object_size(object) > 0 && enums_fit(type, object) &&
           attributes_fit(NULL, json_object_get(facts, "attributes"), object) &&
           one_of(json_object_get(facts, "at_least_one"), object);
}

static bool class_fits(json_t *event, json_t *facts)
{
    json_int_t uid = json_integer_value(json_object_get(event, "class_uid"));
    json_int_t activity = json_integer_value(json_object_get(event, "activity_id"));
    const char *category = text_of(facts, "category");
    const char *caption =
        json_string_value(at_number(json_object_get(facts, "activities"), activity));

    if (activity != 99 &&
        (caption == NULL || strcmp(caption, text_of(event, "activity_name")) != 0))
        return false;
    if (category != NULL && strcmp(category, text_of(event, "category_name")) != 0)
        return false;
    return strcmp(text_of(facts, "caption"), text_of(event, "class_name")) == 0 &&
           json_integer_value(json_object_get(event, "type_uid")) == uid * 100 + activity &&
           json_integer_value(json_object_get(event, "category_uid")) == uid / 1000;
}

static bool event_fits(json_t *event)
{
    json_t *facts = at_number(json_object_get(schema, "classes"),
                              json_integer_value(json_object_get(event, "class_uid")));

    return facts != NULL &&
           attributes_fit(json_object_get(schema, "base"), json_object_get(facts, "attributes"),
                          event) &&
           enums_fit("event", event) && one_of(json_object_get(facts, "at_least_one"), event) &&
           class_fits(event, facts) &&
           strcmp(text_of(json_object_get(event, "metadata"), "version"),
                  text_of(schema, "version")) == 0;
}

static void check_event(json_t *event)
{
    if (event_fits(event))
        return;
    char *text = json_dumps(event, JSON_INDENT(1));
    fail_msg("not of the schema: %s", text);
}

static void every_golden_event_is_of_the_schema(void **state)
{
    static char line[LINE_MAX_BYTES];
    FILE *file = open_golden("records.txt");
    size_t events = 0, count = 0;

    (void)state;
    (void)audit_action_list(&count);
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "{\"metadata\"", 11) != 0)
            continue;
        json_t *event = json_loads(line, 0, NULL);
        check_event(event);
        json_decref(event);
        events++;
    }
    (void)fclose(file);
    assert_int_equal(events, count + 1);
}

/* Little or nothing is known; also of the certificate, and of the peer alone. */
static void an_event_is_of_the_schema_also_when_it_knows_little(void **state)
{
    static const uint8_t HASH[AUDIT_HASH] = { 0xab };
    size_t count = 0;
    const struct audit_action_row *rows = audit_action_list(&count);
    struct records r;

    (void)state;
    records_open(&r);
    for (size_t i = 0; i < 8 * count; i++) {
        struct audit_record record = { .action = rows[i / 8].action,
                                       .decision = AUDIT_DENIED,
                                       .source = AUDIT_FROM_SIGNER };
        if (i & 1)
            record.peer = BYTES("192.0.2.1:5");
        if (i & 2) {
            record.tls = BYTES("TLSv1.3");
            record.actor_certificate.serial = (struct bytes){ HASH, 2 };
            record.actor_certificate.issuer = (struct bytes){ HASH, AUDIT_HASH };
        }
        const struct audit_hit *hit = records_hit(&r, i, &record, (i & 4) != 0);
        json_t *event = integration_ocsf_event(hit);
        check_event(event);
        bool said = json_object_get(event, "src_endpoint") != NULL ||
                    json_object_get(json_object_get(event, "unmapped"), "peer") != NULL;
        if ((i & 5) == 1) /* where it came from is lost nowhere */
            assert_true(said);
        json_decref(event);
    }
    records_close(&r);
}

static void what_is_invented_is_found(void **state)
{
    const struct audit_record record = { .action = AUDIT_SESSION_OPEN,
                                         .decision = AUDIT_ALLOWED,
                                         .source = AUDIT_FROM_DEVICE_DOOR,
                                         .actor_kind = AUDIT_OPERATOR,
                                         .actor = BYTES("o") };
    static const struct {
        const char *in, *name, *value; /* value NULL: taken out */
    } ROWS[] = {
        { NULL, "login", "1" },
        { NULL, "user", NULL },
        { NULL, "severity_id", NULL },
        { NULL, "service", NULL },
        { NULL, "activity_id", "6" },
        { NULL, "type_uid", "300202" },
        { NULL, "time", "\"now\"" },
        { NULL, "status", "\"Fine\"" },
        { "user", "type", "\"who\"" },
        { "user", "type_id", "7" },
        { "user", "uid", NULL },
        { "user", "nick", "\"n\"" },
        { "metadata", "version", "\"1.3.0\"" },
    };
    struct records r;

    (void)state;
    records_open(&r);
    const struct audit_hit *hit = records_hit(&r, 1, &record, false);
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        json_t *event = integration_ocsf_event(hit);
        json_t *in = ROWS[i].in == NULL ? event : json_object_get(event, ROWS[i].in);
        check_event(event);
        if (ROWS[i].value == NULL)
            assert_int_equal(json_object_del(in, ROWS[i].name), 0);
        else
            json_object_set_new(in, ROWS[i].name,
                                json_loads(ROWS[i].value, JSON_DECODE_ANY, NULL));
        assert_false(event_fits(event));
        json_decref(event);
    }
    records_close(&r);
}

static int set_up(void **state)
{
    FILE *file = open_golden("ocsf-" INTEGRATION_OCSF_VERSION ".json");

    (void)state;
    schema = json_loadf(file, JSON_REJECT_DUPLICATES, NULL);
    (void)fclose(file);
    return schema == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    json_decref(schema);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_golden_event_is_of_the_schema),
        cmocka_unit_test(an_event_is_of_the_schema_also_when_it_knows_little),
        cmocka_unit_test(what_is_invented_is_found),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
