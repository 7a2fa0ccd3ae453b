/* The rows of the table, by the file that has them; cli/table.c puts them in order. */
#pragma once

#include "cli/command.h"

/* cli/operator.c: people and factory stations */
extern const struct cli_command CLI_OPERATOR_ADD, CLI_OPERATOR_LIST, CLI_OPERATOR_REVOKE,
    CLI_LINE_ADD, CLI_LINE_REVOKE;
/* cli/device.c */
extern const struct cli_command CLI_DEVICE_ADD, CLI_DEVICE_LIST, CLI_DEVICE_SHOW,
    CLI_DEVICE_SUSPEND, CLI_DEVICE_RESUME, CLI_TOKEN_NEW;
/* cli/revoke.c: one device, or many */
extern const struct cli_command CLI_DEVICE_REVOKE;
/* cli/proposals.c */
extern const struct cli_command CLI_PROPOSAL_LIST, CLI_PROPOSAL_SHOW, CLI_PROPOSAL_APPROVE,
    CLI_PROPOSAL_REJECT;
/* cli/enroll.c: the device's own side */
extern const struct cli_command CLI_ENROLL;
/* cli/certificates.c */
extern const struct cli_command CLI_CERTIFICATE_LIST, CLI_CERTIFICATE_REVOKE;
/* cli/policies.c */
extern const struct cli_command CLI_POLICY_PROPOSE, CLI_POLICY_ACTIVATE;
extern const struct cli_command CLI_POLICY_APPLY, CLI_POLICY_ROLLBACK, CLI_POLICY_SHOW,
    CLI_POLICY_LIST;
/* cli/policy_check.c, _ask.c, _who.c, _diff.c, _impact.c, _replay.c: what one means */
extern const struct cli_command CLI_POLICY_CHECK, CLI_POLICY_CAN, CLI_POLICY_REACH,
    CLI_POLICY_WHO, CLI_POLICY_DIFF, CLI_POLICY_IMPACT, CLI_POLICY_REPLAY;
/* cli/audit.c, cli/audit_export.c */
extern const struct cli_command CLI_AUDIT_LIST, CLI_AUDIT_FOLLOW, CLI_AUDIT_SHOW,
    CLI_AUDIT_CHECKPOINT, CLI_AUDIT_EXPORT, CLI_AUDIT_VERIFY;
/* cli/audit_explain.c, cli/audit_report.c, cli/audit_access.c: answers out of many records */
extern const struct cli_command CLI_AUDIT_EXPLAIN, CLI_AUDIT_REPORT, CLI_AUDIT_ACCESS;
/* cli/audit_prove.c (and CLI_AUDIT_VERIFY in cli/audit_verify.c) */
extern const struct cli_command CLI_AUDIT_PROVE;
/* cli/audit_retention.c */
extern const struct cli_command CLI_AUDIT_ERASE, CLI_AUDIT_HOLD;
/* cli/status.c */
extern const struct cli_command CLI_STATUS;
/* cli/backup.c, cli/restore.c, cli/support.c: at the machine itself */
extern const struct cli_command CLI_BACKUP, CLI_RESTORE, CLI_SUPPORT_BUNDLE;
