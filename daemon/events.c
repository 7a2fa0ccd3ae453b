#include "daemon/events.h"

static const struct log_event EVENTS[DAEMON_EVENTS] = {
    [DAEMON_EVENT_SUPERVISOR_READY] = { "supervisor.ready", LOG_NOTICE,
                                        "every process of the table serves" },
    [DAEMON_EVENT_SUPERVISOR_STOPPING] = { "supervisor.stopping", LOG_NOTICE,
                                           "the processes are being stopped, and why" },
    [DAEMON_EVENT_SUPERVISOR_STOPPED] = { "supervisor.stopped", LOG_NOTICE,
                                          "the last line of a run, with its exit code" },
    [DAEMON_EVENT_SUPERVISOR_FAILED] = { "supervisor.failed", LOG_ERROR,
                                         "the supervisor cannot go on, and why" },
    [DAEMON_EVENT_SIGNAL_IGNORED] = { "signal.ignored", LOG_NOTICE,
                                      "SIGHUP came; it is reserved and has no effect" },
    [DAEMON_EVENT_PROCESS_STARTED] = { "process.started", LOG_INFO, "a process was executed" },
    [DAEMON_EVENT_PROCESS_READY] = { "process.ready", LOG_NOTICE, "a process serves" },
    [DAEMON_EVENT_PROCESS_NOT_READY] = { "process.not-ready", LOG_WARNING,
                                         "a process did not come to serve in time and is "
                                         "killed" },
    [DAEMON_EVENT_PROCESS_NOT_STARTED] = { "process.not-started", LOG_ERROR,
                                           "a process could not be executed" },
    [DAEMON_EVENT_PROCESS_EXITED] = { "process.exited", LOG_WARNING,
                                      "a process ended by itself, with its exit code" },
    [DAEMON_EVENT_PROCESS_KILLED] = { "process.killed", LOG_WARNING,
                                      "a signal ended a process" },
    [DAEMON_EVENT_PROCESS_JAIL_VIOLATION] = { "process.jail-violation", LOG_ERROR,
                                              "a process tried what its jail forbids and was "
                                              "killed: a defect or an intruder" },
    [DAEMON_EVENT_PROCESS_LINK_LOST] = { "process.link-lost", LOG_WARNING,
                                         "a process closed or broke its control link and is "
                                         "killed" },
    [DAEMON_EVENT_PROCESS_RESTART] = { "process.restart", LOG_NOTICE,
                                       "a process will be started again after so many ms" },
    [DAEMON_EVENT_PROCESS_REFUSED] = { "process.refused", LOG_ERROR,
                                       "wrong settings (78) or a wrong PIN (77): no restart, "
                                       "everything stops" },
    [DAEMON_EVENT_PROCESS_FORCED] = { "process.forced", LOG_WARNING,
                                      "a process did not stop when asked and got this signal" },
    [DAEMON_EVENT_PROCESS_JAILED] = { "process.jailed", LOG_INFO,
                                      "what the kernel gave for the jail, and what it lacks" },
    [DAEMON_EVENT_PROCESS_FAILED] = { "process.failed", LOG_ERROR,
                                      "a process ends because it cannot go on, and why" },
    [DAEMON_EVENT_AUTHORITY_ISSUES] = { "authority.issues", LOG_NOTICE,
                                        "the signer is there and its journal was read up to "
                                        "this entry: certificates are issued" },
    [DAEMON_EVENT_AUTHORITY_SIGNER_GONE] = { "authority.signer-gone", LOG_WARNING,
                                             "no certificate is issued until the signer is "
                                             "back, and why" },
    [DAEMON_EVENT_AUTHORITY_DOOR_GONE] = { "authority.door-gone", LOG_NOTICE,
                                           "a door's link was closed, and why" },
    [DAEMON_EVENT_AUTHORITY_ORPHANS] = { "authority.orphans", LOG_WARNING,
                                         "serials that were signed and never registered are "
                                         "revoked" },
    [DAEMON_EVENT_AUTHORITY_NO_CRL] = { "authority.no-crl", LOG_ERROR,
                                        "a CRL could not be made; it is tried again" },
    [DAEMON_EVENT_DOOR_LISTENING] = { "door.listening", LOG_NOTICE,
                                      "a door takes connections: which listener, where" },
    [DAEMON_EVENT_DOOR_WAITING] = { "door.waiting", LOG_NOTICE,
                                    "a door does not listen yet, and for what it waits" },
    [DAEMON_EVENT_DOOR_CERTIFIED] = { "door.certified", LOG_NOTICE,
                                      "a door has a TLS certificate of its own, good until" },
    [DAEMON_EVENT_DOOR_UNCERTIFIED] = { "door.uncertified", LOG_WARNING,
                                        "a door got no certificate, and why; it asks again" },
    [DAEMON_EVENT_DOOR_FOLLOWS] = { "door.follows", LOG_NOTICE,
                                    "a door has the registry's projection and follows it" },
    [DAEMON_EVENT_DOOR_AUTHORITY_GONE] = { "door.authority-gone", LOG_WARNING,
                                           "a door lost the authority and goes on with what it "
                                           "knows" },
    [DAEMON_EVENT_DOOR_SPOOL_WAITS] = { "door.spool-waits", LOG_WARNING,
                                        "audit records stay in a door's spool, and why" },
    [DAEMON_EVENT_DOOR_NO_POLICY] = { "door.no-policy", LOG_ERROR,
                                      "the active policy does not compile here: everything is "
                                      "denied" },
    [DAEMON_EVENT_DOOR_FEWER_CONNECTIONS] = { "door.fewer-connections", LOG_WARNING,
                                              "RLIMIT_NOFILE is too low for connections_most: "
                                              "how many connections the door takes instead" },
    [DAEMON_EVENT_DOOR_STREAM_LOST] = { "door.stream-lost", LOG_WARNING,
                                        "an HTTP connection could not be served, and why" },
    [DAEMON_EVENT_AUTHORITY_TROUBLE] = { "authority.trouble", LOG_ERROR,
                                         "something needs a person; status shows it until it "
                                         "is over" },
    [DAEMON_EVENT_AUTHORITY_TROUBLE_OVER] = { "authority.trouble-over", LOG_NOTICE,
                                              "what needed a person is over" },
    [DAEMON_EVENT_AUTHORITY_SIGNER_REFUSED] = { "authority.signer-refused", LOG_WARNING,
                                                "the signer refused so many times to sign: the "
                                                "audit log says what" },
    [DAEMON_EVENT_AUTHORITY_BACKUP] = { "authority.backup", LOG_NOTICE,
                                        "a copy of the registry was made" },
    [DAEMON_EVENT_AUTHORITY_RECOVERED] = { "authority.recovered", LOG_WARNING,
                                           "a request in authority.recover made this operator "
                                           "an administrator" },
    [DAEMON_EVENT_AUTHORITY_NOT_RECOVERED] = { "authority.not-recovered", LOG_ERROR,
                                               "a request in authority.recover was refused, "
                                               "and why" },
    [DAEMON_EVENT_AUTHORITY_RESTORED] = { "authority.restored", LOG_WARNING,
                                          "the registry is a copy that was put back to work, "
                                          "and how" },

    [DAEMON_EVENT_EXPORTER_SINK_UP] = { "exporter.sink-up", LOG_NOTICE,
                                        "a sink takes audit records, from this index on" },
    [DAEMON_EVENT_EXPORTER_SINK_FAILS] = { "exporter.sink-fails", LOG_WARNING,
                                           "a sink takes no audit records, and why; it is "
                                           "tried "
                                           "again" },
    [DAEMON_EVENT_EXPORTER_BEGINS_AGAIN] = { "exporter.begins-again", LOG_WARNING,
                                             "the log is not the one that this sink was given: "
                                             "all of it is sent" },
    [DAEMON_EVENT_EXPORTER_AUTHORITY_GONE] = { "exporter.authority-gone", LOG_WARNING,
                                               "the exporter lost the authority and waits" },
    [DAEMON_EVENT_EXPORTER_WITNESS_UP] = { "exporter.witness-up", LOG_NOTICE,
                                           "a witness signs checkpoints, from this tree size "
                                           "on" },
    [DAEMON_EVENT_EXPORTER_WITNESS_FAILS] = { "exporter.witness-fails", LOG_WARNING,
                                              "a witness signs no checkpoints, or its "
                                              "signatures are of no use, and why; it is tried "
                                              "again" },
};

static const struct log_events TABLE = { EVENTS, DAEMON_EVENTS };

const struct log_events *daemon_events(void)
{
    return &TABLE;
}
