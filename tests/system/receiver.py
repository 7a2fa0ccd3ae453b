"""A syslog receiver that is not ours: Debian's rsyslog, over TLS on loopback, with a CA of the test's own."""
import os
import pathlib
import re
import signal
import subprocess

import place
import world

RSYSLOGD = "/usr/sbin/rsyslogd"
# Direct: a message is in the file before the next is read. What a queue in memory holds when rsyslogd is killed
# is lost, and no sender can know (docs/export.md).
CONFIG = """
global(workDirectory="{folder}" maxMessageSize="16k" net.enableDNS="off"
       parser.escapeControlCharactersOnReceive="off" processInternalMessages="on"
       defaultNetstreamDriverCAFile="{folder}/ca.pem"
       defaultNetstreamDriverCertFile="{folder}/server.pem"
       defaultNetstreamDriverKeyFile="{folder}/server.key")
module(load="imtcp" StreamDriver.Name="{driver}" StreamDriver.Mode="1" StreamDriver.AuthMode="{auth}"
       {permitted})
template(name="raw" type="string" string="%rawmsg%\\n")
input(type="imtcp" address="127.0.0.1" port="{port}" ruleset="touchmark")
ruleset(name="touchmark" queue.type="Direct") {{ action(type="omfile" file="{folder}/received" template="raw") }}
"""


class Authority:
    """A CA of one level, made with openssl: ca.pem, and NAME.pem with NAME.key."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(exist_ok=True)
        os.chmod(folder, 0o755)
        world.run("openssl", "req", "-x509", *self.new_key("ca"), "-out", folder / "ca.pem", "-subj", "/CN=test CA",
                  "-days", "2")

    def new_key(self, name):
        return "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.folder / f"{name}.key"

    def issue(self, name, dns, *, more=""):
        """more: other subject alternative names, ",IP:127.0.0.1"."""
        stem = self.folder / name
        world.run("openssl", "req", *self.new_key(name), "-out", f"{stem}.csr", "-subj", f"/CN={dns}",
                  "-addext", f"subjectAltName=DNS:{dns}{more}")
        world.run("openssl", "x509", "-req", "-in", f"{stem}.csr", "-CA", self.folder / "ca.pem",
                  "-CAkey", self.folder / "ca.key", "-CAcreateserial", "-out", f"{stem}.pem", "-days", "2",
                  "-copy_extensions", "copy")
        return pathlib.Path(f"{stem}.pem")

    def give(self, name, uid):
        """As root: to the user that is to read the key, and to nobody else."""
        if place.is_root():
            os.chown(self.folder / f"{name}.key", uid, uid)


class Receiver:
    """rsyslogd as a context; start() and kill() by turns in between."""

    def __init__(self, folder, *, driver="ossl", client=None):
        """client: the only name that a sender's certificate may have; None: any sender."""
        self.folder = folder
        self.ca = Authority(folder)
        self.ca.issue("server", "siem.example")
        self.port = place.free_port()
        self.process = None
        auth = "x509/name" if client else "anon"
        permitted = f'PermittedPeer="{client}"' if client else ""
        (folder / "rsyslog.conf").write_text(CONFIG.format(folder=folder, driver=driver, auth=auth, port=self.port,
                                                           permitted=permitted))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *unused):
        if self.process:
            self.kill()

    def start(self):
        pid_file = self.folder / "rsyslogd.pid"
        pid_file.unlink(missing_ok=True)
        with open(self.folder / "rsyslogd.log", "ab") as log:
            self.process = subprocess.Popen([RSYSLOGD, "-n", "-f", self.folder / "rsyslog.conf", "-i", pid_file],
                                            stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def kill(self, how=signal.SIGKILL):
        self.process.send_signal(how)
        self.process.wait()
        self.process = None

    def received(self):
        """Log indexes, in the order in which they came. A line that a kill tore is none."""
        path = self.folder / "received"
        text = path.read_bytes().decode(errors="replace") if path.exists() else ""
        return [int(found) for found in re.findall(r'^<\d+>1 .*? \[\S+ index="(\d+)" leaf="[0-9a-f]{64}".*\]', text,
                                                   re.M)]
