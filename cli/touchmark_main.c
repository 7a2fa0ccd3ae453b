/* touchmark, the command line. */
#include "base/sandbox.h"
#include "cli/table.h"

int main(int argc, char **argv)
{
    size_t given = argc > 0 ? (size_t)argc - 1 : 0;

    /* Keys, PINs and tokens pass through: no dump has them, and no file is anybody's. */
    if (sandbox_begin() != RC_OK) {
        fprintf(stderr, "touchmark: %s\n", fault_text());
        return CLI_EXIT_FAILED;
    }
    return cli_command_main(cli_table(), (const char *const *)(argv + (argc > 0)), given,
                            stdout, stderr);
}
