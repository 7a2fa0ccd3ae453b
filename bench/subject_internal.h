/* What the kinds of subject share. */
#pragma once

#include "bench/subject.h"

#include <signal.h>

/* Each starts its kind; subject is zeroed but for kind and folder, which exists. */
enum rc subject_start_floor(struct subject_world *world, struct subject *subject);
enum rc subject_start_mosquitto(struct subject_world *world, struct subject *subject);
enum rc subject_start_ours(struct subject_world *world, struct subject *subject);

/*
 * Run a program (by PATH if it has no slash) whose output goes to this descriptor and into
 * FOLDER/NAME.log for errors; it is sent signal when this process ends. argv ends with NULL.
 */
enum rc subject_spawn(const char *const *argv, int out, const char *error_path, int signal,
                      pid_t *pid);
/* FOLDER/NAME into a path of SUBJECT_PATH_MAX; RC_LIMIT. */
enum rc subject_path(char *path, const char *folder, const char *name);
enum rc subject_free_port(uint16_t *port);
/* Until something listens there; RC_CLOSED if the process ended before. */
enum rc subject_wait_port(uint16_t port, pid_t pid);
/* The one line that a program prints, without its end. Waits for it. */
enum rc subject_read_line(int fd, struct buf *line);
