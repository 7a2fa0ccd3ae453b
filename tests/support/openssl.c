#include "tests/support/openssl.h"

#include "tests/support/check.h"

#include <sys/wait.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 32 };

static void become_openssl(int output, const char *const *arguments)
{
    char *argv[ARGUMENTS_MAX + 2] = { (char *)(uintptr_t) "openssl" };

    for (size_t i = 0; i < ARGUMENTS_MAX && arguments[i] != NULL; i++)
        argv[i + 1] = (char *)(uintptr_t)arguments[i];
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    execvp(argv[0], argv);
    _exit(127);
}

int openssl_run(struct buf *said, const char *const *arguments)
{
    uint8_t piece[4096];
    int ends[2], status = 0;

    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        become_openssl(ends[1], arguments);
    close(ends[1]);
    for (ssize_t n; (n = read(ends[0], piece, sizeof piece)) > 0;)
        buf_add(said, (struct bytes){ piece, (size_t)n });
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}
