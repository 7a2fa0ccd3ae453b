/* What every child of touchmarkd does first and last: take what it was born with, say that it
 * serves, end when told. */
#pragma once

#include "base/log.h"
#include "base/loop.h"
#include "daemon/config.h"
#include "daemon/events.h"

/*
 *   int main(void)
 *   {
 *       AUTO_OF(daemon_child) *child = NULL;
 *       enum rc rc = daemon_child_open("signer", &child);
 *       if (rc == RC_OK)
 *           rc = ...;  open, daemon_child_jail(), daemon_child_serve()
 *       return daemon_child_end(child, rc);
 *   }
 *
 * Ending codes tell the supervisor what to do (sysexits.h): 0 stopped as asked; EX_CONFIG (78)
 * wrong settings and EX_NOPERM (77) wrong PIN: never restarted; anything else: restarted.
 */
struct daemon_child;

/*
 * No dumps, three standard descriptors; settings read, log and loop opened, control link
 * answered; SIGTERM stops the loop, SIGINT, SIGHUP and SIGPIPE have no effect. Wrong settings:
 * RC_MALFORMED. Started by hand, without the descriptors: RC_DENIED.
 */
enum rc daemon_child_open(const char *name, struct daemon_child **child);
void daemon_child_free(struct daemon_child *child);
AUTO_STRUCT(daemon_child, daemon_child_free)

struct loop *daemon_child_loop(struct daemon_child *child);
struct log *daemon_child_log(struct daemon_child *child);
const struct clock *daemon_child_clock(const struct daemon_child *child);
const struct daemon_config *daemon_child_config(const struct daemon_child *child);

/*
 * Take the descriptor of this name in the table's row (the peer's name for a channel), for its
 * owner to close; each name gives its descriptors one by one, then RC_NOT_FOUND.
 */
enum rc daemon_child_take(struct daemon_child *child, const char *name, int *fd);

/* Enter the jail as sandbox.landlock and sandbox.locked_memory say, and log what the kernel
 * gave. */
struct sandbox;
enum rc daemon_child_jail(struct daemon_child *child, const struct sandbox *jail);

/*
 * Say that we serve, then run the loop until told to stop (RC_OK) or a handler fails. peer is
 * called when a peer was restarted: fd, the callee's own, is the fresh end of the channel to
 * the process of that name, and the old end leads nowhere; NULL for a process without channels.
 */
enum rc daemon_child_serve(struct daemon_child *child,
                           enum rc (*peer)(void *with, const char *name, int fd), void *with);
/* Before that: ended is called when another process has ended, and is to make that durable.
 * Without it touchmarkd is refused. */
struct daemon_end;
void daemon_child_hear_ends(struct daemon_child *child,
                            enum rc (*ended)(void *with, const struct daemon_end *end));
/* How this process's former life ended, if it was killed or failed, as touchmarkd saw it; else
 * NULL, also of a life under another touchmarkd. */
const char *daemon_child_former(void);

/* Log why, if rc says that it failed, and give the code for main() to return: 0, 78 when
 * daemon_child_open() failed for its settings (child is NULL then, and it has said why), else
 * 70 (EX_SOFTWARE). */
int daemon_child_end(struct daemon_child *child, enum rc rc);
/* The same for a wrong PIN or wrong settings that were found out later: code is EX_NOPERM or
 * EX_CONFIG. */
int daemon_child_refuse(struct daemon_child *child, enum rc rc, int code);
