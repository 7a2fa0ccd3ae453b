#include "cli/profile.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/settings.h"

#define FIELD(member) offsetof(struct cli_profile, member)

static const struct settings_row ROWS[] = {
    { "operator", "server", SETTINGS_TEXT, FIELD(server), 1, 180, NULL, NULL,
      "the operator door: https://host:port" },
    { "operator", "authorities", SETTINGS_TEXT, FIELD(authorities), 1, 180, "doors.pem", NULL,
      "certificate of the CA that the door's certificate must come from, PEM" },
    { "operator", "certificate", SETTINGS_TEXT, FIELD(certificate), 1, 180, NULL, NULL,
      "the operator's certificate, PEM" },
    { "operator", "key", SETTINGS_TEXT, FIELD(key), 1, 180, NULL, NULL,
      "the operator's private key, PEM" },
    { "operator", "checkpoint_key", SETTINGS_TEXT, FIELD(checkpoint_key), 1, 180,
      "checkpoints.pub.pem", NULL, "public key of the audit log's checkpoints, PEM" },
};
static const struct settings_table TABLE = { ROWS, sizeof ROWS / sizeof *ROWS };

static const char SYSTEM_FILE[] = "/etc/touchmark/operator/operator.conf";

enum rc cli_profile_check_server(const char *server)
{
    struct bytes url = bytes_of_text(server), scheme = BYTES("https://");

    if (!bytes_start_with(url, scheme) || url.len == scheme.len ||
        strpbrk(server + scheme.len, "/?#@ \\") != NULL)
        return fault(RC_MALFORMED, "\"%s\" is no server: https://host:port is", server);
    return RC_OK;
}

/* The first file that is there. */
static enum rc find(const char *given, struct buf *path)
{
    const char *home = getenv("HOME"), *text = NULL;

    if (given != NULL) {
        buf_addf(path, "%s", given);
        return RC_OK;
    }
    for (int place = 0; place < 3; place++) {
        buf_reset(path);
        if (place == 0)
            buf_addf(path, "operator.conf");
        else if (place == 1 && home != NULL)
            buf_addf(path, "%s/.config/touchmark/operator.conf", home);
        else if (place == 2)
            buf_addf(path, "%s", SYSTEM_FILE);
        if (path->len > 0 && buf_text(path, &text) == RC_OK && access(text, F_OK) == 0)
            return RC_OK;
    }
    return fault(RC_NOT_FOUND,
                 "no operator.conf: give --profile FILE (touchmark init writes one into "
                 "DIR/operator); looked for ./operator.conf, "
                 "~/.config/touchmark/operator.conf, %s",
                 SYSTEM_FILE);
}

/* A relative name becomes one below the folder of the file that says it. */
static enum rc resolve(const char *file, char **name)
{
    const char *slash = strrchr(file, '/'), *text = NULL;
    AUTO_BUF(path, PATH_MAX);

    if (**name == '/' || slash == NULL)
        return RC_OK;
    buf_addf(&path, "%.*s/%s", (int)(slash - file), file, *name);
    TRY(buf_text(&path, &text));
    char *whole = strdup(text);
    if (whole == NULL)
        return fault(RC_NOMEM, "profile");
    free(*name);
    *name = whole;
    return RC_OK;
}

static enum rc use_server(struct cli_profile *profile, const char *server)
{
    if (server != NULL) {
        free(profile->server);
        profile->server = strdup(server);
        if (profile->server == NULL)
            return fault(RC_NOMEM, "profile");
    }
    size_t len = strlen(profile->server);
    if (len > 0 && profile->server[len - 1] == '/')
        profile->server[len - 1] = '\0';
    return cli_profile_check_server(profile->server);
}

static enum rc complete(const char *file, const char *server, struct cli_profile *profile)
{
    TRY(use_server(profile, server));
    TRY(resolve(file, &profile->authorities));
    TRY(resolve(file, &profile->certificate));
    TRY(resolve(file, &profile->checkpoint_key));
    return resolve(file, &profile->key);
}

enum rc cli_profile_read(const char *given, const char *server, struct cli_profile *profile)
{
    AUTO_BUF(path, PATH_MAX);
    const char *file = NULL;
    struct cli_profile read = { 0 };

    TRY(find(given, &path));
    TRY(buf_text(&path, &file));
    TRY(settings_read_file(&TABLE, file, &read));
    enum rc rc = complete(file, server, &read);
    if (rc == RC_OK)
        *profile = read;
    else
        cli_profile_clear(&read);
    return rc;
}

void cli_profile_clear(struct cli_profile *profile)
{
    settings_clear(&TABLE, profile);
}

void cli_profile_write(struct buf *out, const struct cli_profile_names *names)
{
    buf_addf(out,
             "# For touchmark --profile. Paths are relative to this file.\n"
             "[operator]\nserver = %s\nauthorities = %s\ncertificate = %s\nkey = %s\n",
             names->server, names->authorities, names->certificate, names->key);
}
