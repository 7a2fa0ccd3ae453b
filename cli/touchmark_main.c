/* touchmark, the command line. */
#include "cli/table.h"

int main(int argc, char **argv)
{
    size_t given = argc > 0 ? (size_t)argc - 1 : 0;

    return cli_command_main(cli_table(), (const char *const *)(argv + (argc > 0)), given,
                            stdout, stderr);
}
