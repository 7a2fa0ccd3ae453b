#include "cli/commands.h"
#include "cli/remote.h"

static enum rc show_status(const struct cli_call *call)
{
    static const struct cli_show_column FACTS[] = {
        { "now", "now" },
        { "started", "started" },
        { "devices registered", "devices.registered" },
        { "devices active", "devices.active" },
        { "devices suspended", "devices.suspended" },
        { "devices revoked", "devices.revoked" },
        { "certificates", "certificates" },
        { "operators", "operators" },
        { "lines", "lines" },
        { "orphans", "orphans" },
        { "policy version", "policy_version" },
        { "signer answers", "signer" },
        { "CRL made", "crl_made" },
        { "doors behind", "doors_behind" },
        { "audit records", "audit_records" },
        { "under a checkpoint", "audit_checkpoint" },
        { "audit sinks", "audit_sinks" },
        { "exported to all", "audit_exported" },
        { "published", "audit_published" },
        { "witnesses", "audit_witnesses" },
        { "signed by all", "audit_cosigned" },
        { "trouble", "trouble" },
        { "revision", "revision" },
        { "sequence", "sequence" },
    };
    CLI_REMOTE(remote);
    AUTO(json_value) *answer = NULL;

    TRY(cli_remote_open(call, &remote));
    TRY(cli_remote_get(&remote, "/v1/status", &answer));
    TRY(cli_show_object(call, answer, FACTS, sizeof FACTS / sizeof *FACTS));
    if (json_is_false(json_object_get(answer, "signer")))
        return fault(RC_BUSY, "the signer does not answer: nothing can be issued now");
    return RC_OK;
}

const struct cli_command CLI_STATUS = {
    .name = "status",
    .arguments = "",
    .summary = "say how the system is",
    .teaching = "Status 0 when all is well, 6 when the signer is away or the door cannot be "
                "reached.\n"
                "\"orphans\" are certificates that were signed and never registered: they are "
                "revoked.\n"
                "\n"
                "Example:\n  touchmark status --json | jq .devices.active\n",
    .run = show_status,
    .remote = true,
};
