#include "cli/analysis.h"
#include "cli/commands.h"
#include "cli/compile.h"
#include "cli/fleet.h"

#include "audit/json.h"

enum { TEXT_MAX = 64 * 1024 * 1024 };

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { COUNT_DEVICES };
static const struct cli_option OPTIONS[] = {
    [COUNT_DEVICES] = { "--count", NULL,
                        "count the devices of the running system also for two files" },
};

static enum rc show(const struct cli_call *call, const struct policy_diff *diff)
{
    AUTO_BUF(text, TEXT_MAX);

    if (diff->count > 0)
        *call->status = CLI_EXIT_NO;
    if (call->json) {
        AUTO(json_value) *answer = json_pack(
            "{s:b, s:o, s:o}", "same", diff->count == 0, "changes", cli_analysis_diff(diff),
            "devices", diff->counted ? audit_json_number(diff->devices) : json_null());
        return cli_show_line(call, answer, "%s", "");
    }
    policy_diff_write(diff, &text);
    if (diff->counted && diff->count > 0)
        buf_addf(&text, "something changes for %llu of the devices\n",
                 (unsigned long long)diff->devices);
    return cli_command_put(call, &text);
}

static enum rc run(const struct cli_call *call)
{
    CLI_SOURCE(source, call);
    CLI_FLEET(fleet);
    AUTO_OF(policy) *old = NULL;
    AUTO_OF(policy) *new = NULL;
    struct policy_diff diff = { 0 };

    TRY(cli_compile(&source, call->words[0], &old));
    TRY(cli_compile(&source, call->words[1], &new));
    if (call->values[COUNT_DEVICES] != NULL)
        TRY(cli_source_open(&source));
    if (source.open)
        TRY(cli_fleet_read(&source.remote, &fleet));
    const struct policy_fleet devices = cli_fleet_devices(&fleet);
    TRY(policy_diff(old, new, source.open ? &devices : NULL, &diff));
    enum rc rc = show(call, &diff);
    policy_diff_clear(&diff);
    return rc;
}

const struct cli_command CLI_POLICY_DIFF = {
    .name = "policy diff",
    .arguments = "OLD NEW",
    .words_least = 2,
    .words_most = 2,
    .summary = "show what another policy newly allows and newly denies",
    .teaching =
        "OLD and NEW are files, numbers of versions, or active. Compares what they mean, not "
        "their text: for whom\nwhat becomes allowed or denied, as filters, and for how many of "
        "the devices that are not revoked.\nNothing to show is status 0, and means that no "
        "request of anybody is decided otherwise. Anything is\nstatus 9. Two files need no "
        "server, and without --count nothing is counted.\n"
        "\n"
        "Example:\n  touchmark policy diff active new.policy\n",
    .options = OPTIONS,
    .option_count = COUNT(OPTIONS),
    .run = run,
    .remote = true,
};
