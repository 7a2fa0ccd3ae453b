#include "bench/subject_internal.h"

#include "base/own.h"
#include "base/text.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

static enum rc start(const struct subject_world *world, struct subject *subject, int out)
{
    char program[SUBJECT_PATH_MAX], certificate[SUBJECT_PATH_MAX], key[SUBJECT_PATH_MAX];
    char log[SUBJECT_PATH_MAX];

    TRY(subject_path(program, world->programs, "floor_door"));
    TRY(subject_path(certificate, world->folder, "server.pem"));
    TRY(subject_path(key, world->folder, "server.key"));
    TRY(subject_path(log, subject->folder, "log"));
    if (access(program, X_OK) != 0)
        return fault(RC_NOT_FOUND, "%s is not built", program);
    const char *const argv[] = { program, subject->ca_path, certificate, key, NULL };
    return subject_spawn(argv, out, log, SIGKILL, &subject->pids[subject->count++]);
}

enum rc subject_start_floor(struct subject_world *world, struct subject *subject)
{
    AUTO_BUF(line, 64);
    uint64_t port;
    int ends[2];

    memcpy(subject->name, "floor", sizeof "floor");
    if (pipe2(ends, O_CLOEXEC) != 0)
        return fault_errno("pipe");
    AUTO_FD from = ends[0];
    AUTO_FD out = ends[1];
    TRY(start(world, subject, out));
    close(TAKE_FD(out));
    TRY(subject_read_line(from, &line));
    struct bytes text = buf_bytes(&line);
    struct bytes word = BYTES("port ");
    if (!bytes_start_with(text, word))
        return fault(RC_MALFORMED, "floor_door said something else");
    TRY(text_read_u64((struct bytes){ text.at + word.len, text.len - word.len }, UINT16_MAX,
                      &port));
    subject->port = (uint16_t)port;
    return RC_OK;
}
