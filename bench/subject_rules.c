#include "bench/subject_rules.h"

#include "bench/subject_internal.h"

#include "base/file.h"
#include "base/own.h"

#include <fcntl.h>
#include <glob.h>

static const char PLUGIN[] = "/usr/lib/*/mosquitto_dynamic_security.so";

static void add_own_rules(const struct subject_world *world, enum subject_whom whom,
                          struct buf *out)
{
    for (size_t i = 0; i < world->clients.count; i++) {
        const char *id = world->clients.all[i].id;
        bool connects = whom == SUBJECT_EACH || i % 2 == 0;
        buf_addf(out, "allow device \"%s\" publish, subscribe \"bench/%s\"\n", id, id);
        if (whom != SUBJECT_EACH && connects)
            buf_addf(out, "allow device \"%s\" connect\n", id);
    }
}

enum rc subject_rules_policy(const struct subject_world *world, enum subject_whom whom,
                             struct buf *out)
{
    if (whom == SUBJECT_EACH)
        buf_addf(out, "allow device connect\n");
    if (world->rules == SUBJECT_OPEN)
        buf_addf(out, "allow device publish, subscribe \"bench/#\"\n");
    else if (world->rules == SUBJECT_ONE_RULE)
        buf_addf(out, "allow device publish, subscribe \"bench/${device.id}\"\n");
    else
        add_own_rules(world, whom, out);
    return out->broken ? fault(RC_LIMIT, "the policy is too long") : RC_OK;
}

static void add_acl(const struct subject_world *world, struct buf *out)
{
    if (world->rules == SUBJECT_ONE_RULE)
        buf_addf(out, "pattern readwrite bench/%%u\n");
    else
        for (size_t i = 0; i < world->clients.count; i++)
            buf_addf(out, "user %s\ntopic readwrite bench/%s\n\n", world->clients.all[i].id,
                     world->clients.all[i].id);
}

/* A role for each client: this plugin puts no names into topics. */
static void add_role(struct buf *out, const char *id, bool first)
{
    static const char *const TYPES[] = { "publishClientSend", "publishClientReceive",
                                         "subscribeLiteral" };

    buf_addf(out, "%s{\"rolename\":\"%s\",\"acls\":[", first ? "" : ",", id);
    for (size_t i = 0; i < sizeof TYPES / sizeof TYPES[0]; i++)
        buf_addf(out, "%s{\"acltype\":\"%s\",\"topic\":\"bench/%s\",\"allow\":true}",
                 i == 0 ? "" : ",", TYPES[i], id);
    buf_addf(out, "]}");
}

static void add_dynamic_security(const struct subject_world *world, struct buf *out)
{
    buf_addf(out, "{\"defaultACLAccess\":{\"publishClientSend\":false,"
                  "\"publishClientReceive\":false,\"subscribe\":false,\"unsubscribe\":true},"
                  "\"roles\":[");
    for (size_t i = 0; i < world->clients.count; i++)
        add_role(out, world->clients.all[i].id, i == 0);
    buf_addf(out, "],\"clients\":[");
    for (size_t i = 0; i < world->clients.count; i++)
        buf_addf(out, "%s{\"username\":\"%s\",\"roles\":[{\"rolename\":\"%s\"}]}",
                 i == 0 ? "" : ",", world->clients.all[i].id, world->clients.all[i].id);
    buf_addf(out, "]}\n");
}

static enum rc add_plugin(struct buf *config, const char *path)
{
    glob_t found;

    if (glob(PLUGIN, 0, NULL, &found) != 0)
        return fault(RC_NOT_FOUND, "%s is not installed (./dev deps)", PLUGIN);
    buf_addf(config, "plugin %s\nplugin_opt_config_file %s\n", found.gl_pathv[0], path);
    globfree(&found);
    return RC_OK;
}

enum rc subject_rules_mosquitto(const struct subject_world *world, const char *folder,
                                struct buf *config)
{
    AUTO_BUF(text, SUBJECT_RULES_MAX);
    AUTO_FD at = -1;
    char path[SUBJECT_PATH_MAX];

    if (world->rules == SUBJECT_OPEN)
        return RC_OK;
    buf_addf(config, "use_identity_as_username true\n");
    TRY(subject_path(path, folder, "rules"));
    if (world->judge == SUBJECT_ACL_FILE) {
        add_acl(world, &text);
        buf_addf(config, "acl_file %s\n", path);
    } else {
        add_dynamic_security(world, &text);
        TRY(add_plugin(config, path));
    }
    if (text.broken)
        return fault(RC_LIMIT, "the rules are too long");
    TRY(file_open_dir(AT_FDCWD, folder, &at));
    return file_write(at, "rules", buf_bytes(&text), 0644);
}
