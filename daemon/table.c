#include "daemon/table.h"

#include <string.h>

static const struct daemon_descriptor SIGNER[] = {
    { DAEMON_SUPPLIED, "pin" },
    { DAEMON_CHANNEL, "authority" },
};

static const struct daemon_descriptor AUTHORITY[] = {
    { DAEMON_CHANNEL, "signer" },
    { DAEMON_CHANNEL, "device-door" },
    { DAEMON_CHANNEL, "operator-door" },
    { DAEMON_CHANNEL, "exporter" },
};

static const struct daemon_descriptor DEVICE_DOOR[] = {
    { DAEMON_CHANNEL, "authority" }, { DAEMON_SUPPLIED, "mqtts" }, { DAEMON_SUPPLIED, "https" },
    { DAEMON_SUPPLIED, "http" },     { DAEMON_SUPPLIED, "key" },
};

static const struct daemon_descriptor OPERATOR_DOOR[] = {
    { DAEMON_CHANNEL, "authority" },
    { DAEMON_SUPPLIED, "https" },
    { DAEMON_SUPPLIED, "key" },
};

static const struct daemon_descriptor EXPORTER[] = {
    { DAEMON_CHANNEL, "authority" },
};

static const struct daemon_process PROCESSES[] = {
    { "signer", "touchmark-signer", SIGNER, sizeof SIGNER / sizeof *SIGNER },
    { "authority", "touchmark-authority", AUTHORITY, sizeof AUTHORITY / sizeof *AUTHORITY },
    { "device-door", "touchmark-broker", DEVICE_DOOR,
      sizeof DEVICE_DOOR / sizeof *DEVICE_DOOR },
    { "operator-door", "touchmark-broker", OPERATOR_DOOR,
      sizeof OPERATOR_DOOR / sizeof *OPERATOR_DOOR },
    { "exporter", "touchmark-exporter", EXPORTER, sizeof EXPORTER / sizeof *EXPORTER },
};

static const struct daemon_channel CHANNELS[] = {
    { .asking = "authority", .answering = "signer" },
    { .asking = "device-door", .answering = "authority" },
    { .asking = "operator-door", .answering = "authority" },
    { .asking = "exporter", .answering = "authority" },
};

static const struct daemon_table SHIPPED = {
    .processes = PROCESSES,
    .process_count = sizeof PROCESSES / sizeof *PROCESSES,
    .channels = CHANNELS,
    .channel_count = sizeof CHANNELS / sizeof *CHANNELS,
};

const struct daemon_table *daemon_table_shipped(void)
{
    return &SHIPPED;
}

size_t daemon_table_find(const struct daemon_table *table, const char *name)
{
    size_t i = 0;

    while (i < table->process_count && strcmp(table->processes[i].name, name) != 0)
        i++;
    return i;
}

static size_t count_listed(const struct daemon_process *process, enum daemon_kind kind,
                           const char *name)
{
    size_t found = 0;

    for (size_t i = 0; i < process->descriptor_count; i++)
        if (process->descriptors[i].kind == kind &&
            strcmp(process->descriptors[i].name, name) == 0)
            found++;
    return found;
}

static bool are_joined(const struct daemon_table *table, const char *one, const char *other)
{
    for (size_t i = 0; i < table->channel_count; i++) {
        const struct daemon_channel *c = &table->channels[i];
        if ((strcmp(c->asking, one) == 0 && strcmp(c->answering, other) == 0) ||
            (strcmp(c->asking, other) == 0 && strcmp(c->answering, one) == 0))
            return true;
    }
    return false;
}

static enum rc check_name(const char *name)
{
    if (*name == '\0' || strlen(name) > DAEMON_NAME_MAX || strchr(name, ',') != NULL)
        return fault(RC_MALFORMED, "name '%s': expected 1 to %d bytes without a comma", name,
                     DAEMON_NAME_MAX);
    return RC_OK;
}

static enum rc check_process(const struct daemon_table *table, size_t place)
{
    const struct daemon_process *process = &table->processes[place];

    TRY(check_name(process->name));
    if (daemon_table_find(table, process->name) != place)
        return fault(RC_MALFORMED, "process %s stands twice", process->name);
    if (strchr(process->program, '/') != NULL)
        return fault(RC_MALFORMED, "process %s: program %s names a folder", process->name,
                     process->program);
    if (process->descriptor_count > DAEMON_DESCRIPTORS_MAX)
        return fault(RC_MALFORMED, "process %s: more than %d descriptors", process->name,
                     DAEMON_DESCRIPTORS_MAX);
    for (size_t i = 0; i < process->descriptor_count; i++) {
        const struct daemon_descriptor *each = &process->descriptors[i];
        TRY(check_name(each->name));
        if (count_listed(process, each->kind, each->name) > 1)
            return fault(RC_MALFORMED, "process %s lists %s twice", process->name, each->name);
        if (each->kind == DAEMON_CHANNEL && !are_joined(table, process->name, each->name))
            return fault(RC_MALFORMED, "process %s lists %s, and no channel joins them",
                         process->name, each->name);
    }
    return RC_OK;
}

static enum rc check_channel(const struct daemon_table *table,
                             const struct daemon_channel *channel)
{
    size_t asking = daemon_table_find(table, channel->asking);
    size_t answering = daemon_table_find(table, channel->answering);

    if (asking >= table->process_count || answering >= table->process_count ||
        asking == answering)
        return fault(RC_MALFORMED, "channel from %s to %s: one end is no process of the table",
                     channel->asking, channel->answering);
    if (asking < answering)
        return fault(RC_MALFORMED, "channel from %s to %s: who answers starts first",
                     channel->asking, channel->answering);
    if (count_listed(&table->processes[asking], DAEMON_CHANNEL, channel->answering) != 1 ||
        count_listed(&table->processes[answering], DAEMON_CHANNEL, channel->asking) != 1)
        return fault(RC_MALFORMED, "channel from %s to %s: both ends have to list it",
                     channel->asking, channel->answering);
    return RC_OK;
}

enum rc daemon_table_check(const struct daemon_table *table)
{
    if (table->process_count > DAEMON_PROCESSES_MAX ||
        table->channel_count > DAEMON_CHANNELS_MAX)
        return fault(RC_MALFORMED, "more than %d processes or %d channels",
                     DAEMON_PROCESSES_MAX, DAEMON_CHANNELS_MAX);
    for (size_t i = 0; i < table->process_count; i++)
        TRY(check_process(table, i));
    for (size_t i = 0; i < table->channel_count; i++)
        TRY(check_channel(table, &table->channels[i]));
    return RC_OK;
}
