#include "cli/changed.h"

static void clear(struct cli_changed_version *version)
{
    policy_unref(version->old);
    policy_diff_clear(&version->diff);
    *version = (struct cli_changed_version){ 0 };
}

void cli_changed_clear(struct cli_changed *changed)
{
    for (size_t i = 0; i < CLI_CHANGED_MAX; i++)
        clear(&changed->at[i]);
    json_decref(changed->places);
    cli_fleet_clear(&changed->fleet);
    *changed = (struct cli_changed){ 0 };
}

/* Each device's place is the one that the difference counts it at. */
static enum rc place_devices(struct cli_changed *changed)
{
    const char *id = NULL;
    json_t *device = NULL;

    if (changed->places != NULL)
        return RC_OK;
    changed->places = json_object();
    changed->fleet.devices = json_array();
    json_object_foreach(changed->known->devices, id, device)
    {
        json_t *place = json_integer((json_int_t)json_array_size(changed->fleet.devices));
        if (json_object_set_new(changed->places, id, place) != 0 ||
            json_array_append(changed->fleet.devices, device) != 0)
            return fault(RC_NOMEM, "a list of devices");
    }
    return RC_OK;
}

/* A limit of the comparison is no reason to judge nothing: then each act is looked at. */
static enum rc compare(struct cli_changed *changed, struct cli_changed_version *version)
{
    AUTO_BUF(word, 32);
    AUTO_OF(policy) *old = NULL;
    const struct policy_fleet fleet = cli_fleet_devices(&changed->fleet);
    const char *number = NULL;

    buf_addf(&word, "%" JSON_INTEGER_FORMAT, version->number);
    TRY(buf_text(&word, &number));
    TRY(cli_compile(changed->source, number, &old));
    enum rc rc = policy_diff(old, changed->new, &fleet, &version->diff);
    version->unsure = rc == RC_LIMIT;
    if (rc != RC_OK && !version->unsure)
        return rc;
    version->old = TAKE(old);
    return RC_OK;
}

static enum rc find(struct cli_changed *changed, json_int_t version,
                    const struct cli_changed_version **found)
{
    struct cli_changed_version made = { .number = version };

    for (size_t i = 0; i < changed->count && i < CLI_CHANGED_MAX; i++)
        if (changed->at[i].number == version) {
            *found = &changed->at[i];
            return RC_OK;
        }
    TRY(compare(changed, &made));
    struct cli_changed_version *room = &changed->at[changed->count++ % CLI_CHANGED_MAX];
    clear(room);
    *room = made;
    *found = room;
    return RC_OK;
}

enum rc cli_changed_ask(struct cli_changed *changed, json_int_t version, const char *device,
                        unsigned actions, bool *is_changed)
{
    const struct cli_changed_version *found = NULL;

    TRY(place_devices(changed));
    const json_t *place = json_object_get(changed->places, device);
    if (place == NULL)
        return fault(RC_NOT_FOUND, "there is no device %s", device);
    TRY(find(changed, version, &found));
    const unsigned *told = found->diff.changed;
    *is_changed =
        found->unsure || (told != NULL && (told[json_integer_value(place)] & actions) != 0);
    return RC_OK;
}

enum rc cli_changed_old(struct cli_changed *changed, json_int_t version,
                        const struct policy **old)
{
    const struct cli_changed_version *found = NULL;

    TRY(find(changed, version, &found));
    *old = found->old;
    return RC_OK;
}
