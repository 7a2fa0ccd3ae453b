#include "cli/table.h"

#include "cli/commands.h"
#include "cli/init.h"

enum { TEXT_MAX = 256 * 1024 };

static enum rc print_manual(const struct cli_call *call)
{
    AUTO_BUF(text, TEXT_MAX);

    cli_manual_page(cli_table(), &text);
    return cli_command_put(call, &text);
}

static enum rc print_completion(const struct cli_call *call)
{
    AUTO_BUF(text, TEXT_MAX);

    cli_manual_completion(cli_table(), &text);
    return cli_command_put(call, &text);
}

static const struct cli_command COMPLETION = {
    .name = "completion",
    .arguments = "",
    .summary = "print completion for bash",
    .teaching = "  touchmark completion > /etc/bash_completion.d/touchmark\n",
    .run = print_completion,
};
static const struct cli_command MANUAL = {
    .name = "manual",
    .arguments = "",
    .summary = "print the manual page touchmark(1)",
    .teaching = "  touchmark manual | man -l -\n",
    .run = print_manual,
};

static const struct cli_command *const COMMANDS[] = {
    &CLI_INIT,
    &CLI_STATUS,
    &CLI_DEVICE_ADD,
    &CLI_DEVICE_LIST,
    &CLI_DEVICE_SHOW,
    &CLI_DEVICE_SUSPEND,
    &CLI_DEVICE_RESUME,
    &CLI_DEVICE_REVOKE,
    &CLI_TOKEN_NEW,
    &CLI_ENROLL,
    &CLI_CERTIFICATE_LIST,
    &CLI_CERTIFICATE_REVOKE,
    &CLI_POLICY_CHECK,
    &CLI_POLICY_CAN,
    &CLI_POLICY_REACH,
    &CLI_POLICY_WHO,
    &CLI_POLICY_DIFF,
    &CLI_POLICY_IMPACT,
    &CLI_POLICY_REPLAY,
    &CLI_POLICY_PROPOSE,
    &CLI_POLICY_ACTIVATE,
    &CLI_POLICY_APPLY,
    &CLI_POLICY_ROLLBACK,
    &CLI_POLICY_SHOW,
    &CLI_POLICY_LIST,
    &CLI_PROPOSAL_LIST,
    &CLI_PROPOSAL_SHOW,
    &CLI_PROPOSAL_APPROVE,
    &CLI_PROPOSAL_REJECT,
    &CLI_OPERATOR_ADD,
    &CLI_OPERATOR_LIST,
    &CLI_OPERATOR_REVOKE,
    &CLI_LINE_ADD,
    &CLI_LINE_REVOKE,
    &CLI_AUDIT_LIST,
    &CLI_AUDIT_FOLLOW,
    &CLI_AUDIT_SHOW,
    &CLI_AUDIT_EXPLAIN,
    &CLI_AUDIT_REPORT,
    &CLI_AUDIT_ACCESS,
    &CLI_AUDIT_CHECKPOINT,
    &CLI_AUDIT_EXPORT,
    &CLI_AUDIT_VERIFY,
    &CLI_AUDIT_PROVE,
    &CLI_AUDIT_ERASE,
    &CLI_AUDIT_HOLD,
    &CLI_BACKUP,
    &CLI_RESTORE,
    &CLI_SUPPORT_BUNDLE,
    &COMPLETION,
    &MANUAL,
};
static const struct cli_table TABLE = { COMMANDS, sizeof COMMANDS / sizeof *COMMANDS };

const struct cli_table *cli_table(void)
{
    return &TABLE;
}
