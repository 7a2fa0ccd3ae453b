"""Witnesses behind TLS: whom the exporter speaks to, and to whom it says nothing."""
import contextlib
import socket
import ssl
import threading

import pytest

import place
import receiver
import witness
from test_witness import published, status, vkeys, wait_published, watched

NAME = "witness.example"


class Front:
    """Ends TLS before a witness, as a proxy would; keeps what each client asked for, and what came through."""

    def __init__(self, folder, *, more="", newest=None):
        self.ca = receiver.Authority(folder)
        self.ca.issue("server", NAME, more=more)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if newest:
            self.context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
            self.context.set_ciphers("ALL:@SECLEVEL=0")
            self.context.maximum_version = newest
        self.context.load_cert_chain(folder / "server.pem", folder / "server.key")
        self.context.sni_callback = lambda _, name, __: self.names.append(name)
        self.names, self.heads, self.refused, self.versions, self.to = [], [], [], set(), 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    @property
    def url(self):
        return f"https://127.0.0.1:{self.port}"

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                threading.Thread(target=self.carry, args=(near,), daemon=True).start()

    def carry(self, near):
        with near, contextlib.suppress(OSError):
            try:
                near = self.context.wrap_socket(near, server_side=True)
                self.versions.add(near.version())
                asked = near.recv(65536)
            except (ssl.SSLError, OSError) as why:
                self.refused.append(str(why))
                return
            if not asked:
                self.refused.append("ended before a question")
                return
            head, _, body = asked.partition(b"\r\n\r\n")
            self.heads.append(head.decode())
            length = next(int(line.split(":")[1]) for line in self.heads[-1].splitlines()
                          if line.lower().startswith("content-length:"))
            while len(body) < length:
                body += near.recv(65536)
            with socket.create_connection(("127.0.0.1", self.to)) as far:
                far.sendall(head + b"\r\n\r\n" + body)
                while octets := far.recv(65536):
                    near.sendall(octets)
            near.unwrap()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@contextlib.contextmanager
def behind(front, **settings):
    """One witness, behind that front."""
    def urls(witnesses):
        front.to = witnesses[0].port
        return [front.url]
    try:
        with watched(urls, count=1, quorum=1, more={f"witness1_{key}": value for key, value in settings.items()}) as made:
            yield made
    finally:
        front.close()


@pytest.fixture
def folder():
    with place.work_folder() as work:  # where the exporter's user may read
        yield work / "front"


def test_a_witness_behind_tls_signs(folder):
    front = Front(folder)
    with behind(front, name=NAME, authorities=folder / "ca.pem") as running:
        for number in range(3):
            running.add_device(f"pump-{number}")
            note = wait_published(running)
            assert witness.signers(note, vkeys(running)) == {"witness.example/w0"}
        assert status(running)["trouble"] is None
        assert set(front.names) == {NAME} and front.refused == []
        assert all(head.startswith("POST /add-checkpoint HTTP/1.1") and f"Host: {NAME}:{front.port}" in head
                   for head in front.heads)
        running.witnesses[0].kill()  # the front takes the question and has nobody to ask
        running.add_device("meanwhile")
        place.wait_for("the failure", lambda: running.audit(action="log.export", decision="failed"), 30)
        running.witnesses[0].start()
        wait_published(running)
        assert front.versions == {"TLSv1.3"}


def test_without_a_name_it_is_the_address_of_the_url(folder):
    front = Front(folder, more=",IP:127.0.0.1")
    with behind(front, authorities=folder / "ca.pem") as running:
        wait_published(running)
        assert set(front.names) == {None} and f"Host: 127.0.0.1:{front.port}" in front.heads[0]


def other_ca(folder):
    return receiver.Authority(folder.parent / "other").folder / "ca.pem"


@pytest.mark.parametrize("name, authorities, says", [
    (NAME, other_ca, "unable to get local issuer certificate"),
    ("other.example", lambda folder: folder / "ca.pem", "ostname mismatch"),
    ("", lambda folder: folder / "ca.pem", "IP address mismatch"),
    (NAME, lambda folder: folder / "none.pem", "authorities"),
    (NAME, lambda folder: folder / "server.key", "authorities"),
], ids=["authority", "name", "address", "no-file", "no-certificate"])
def test_nothing_is_said_to_somebody_else(folder, name, authorities, says):
    """And the rest of the exporter works."""
    front = Front(folder)
    with behind(front, authorities=authorities(folder), **({"name": name} if name else {})) as running:
        failed = running.wait_audit(action="log.export", decision="failed")
        assert failed["target"] == "witness-1" and says in failed["reason"]
        place.wait_for("the sink", lambda: (status(running)["audit_exported"] or 0) > 0, 60)
        assert front.heads == [] and published(running) == (0, "")
        assert len(running.running.pids("exporter")) == 1 and len(running.running.events("process.killed")) == 0


def test_old_tls_is_not_spoken(folder):
    front = Front(folder, newest=ssl.TLSVersion.TLSv1_1)
    with behind(front, name=NAME, authorities=folder / "ca.pem") as running:
        assert running.wait_audit(action="log.export", decision="failed")["target"] == "witness-1"
        assert front.heads == [] and front.versions == set() and front.refused
        willing = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # that it would serve who asks for it
        willing.check_hostname, willing.verify_mode = False, ssl.CERT_NONE
        willing.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        willing.set_ciphers("ALL:@SECLEVEL=0")
        with socket.create_connection(("127.0.0.1", front.port)) as plain, willing.wrap_socket(plain) as spoken:
            assert spoken.version() == "TLSv1.1"
