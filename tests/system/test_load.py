"""bench_load tells the truth about connections and messages: what other tests count with it relies on that."""
# alone
import collections
import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import time

import pytest

import place

LOAD = pathlib.Path(os.environ["TOUCHMARK_BIN"]).parent / "bench_load"
CLIENTS = 20


@pytest.fixture(scope="module", name="pki")
def made_pki(tmp_path_factory):
    folder = tmp_path_factory.mktemp("load")
    subprocess.run([LOAD, "--make", folder, "--clients", str(CLIENTS)], check=True)
    return folder


class Mosquitto:
    def __init__(self, pki, *settings):
        self.port = place.free_port()
        self.config = pki / f"mosquitto-{self.port}.conf"
        self.config.write_text("\n".join([
            f"listener {self.port} 127.0.0.1", f"cafile {pki}/ca.pem", f"certfile {pki}/server.pem",
            f"keyfile {pki}/server.key", "require_certificate true", "allow_anonymous true",
            "max_queued_messages 0", "max_inflight_messages 0", "log_dest none",
            *(["user root"] if os.geteuid() == 0 else []), *settings, ""]))

    def start(self):
        self.process = subprocess.Popen(["/usr/sbin/mosquitto", "-c", self.config],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(500):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return self
            time.sleep(0.02)
        raise AssertionError("mosquitto does not listen")

    def end(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        self.process.wait(20)


@contextlib.contextmanager
def mosquitto(pki, *settings):
    server = Mosquitto(pki, *settings).start()
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.end()


def load(pki, server, *options):
    return subprocess.Popen([LOAD, "--connect", f"127.0.0.1:{server.port}", "--ca", pki / "ca.pem",
                             "--cert-dir", pki / "clients", *map(str, options)],
                            stdout=subprocess.PIPE, text=True)


def events(process):
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return [json.loads(line) for line in out.splitlines()]


def until(process, name):
    """The events up to the first of this name."""
    seen = []
    for line in process.stdout:
        seen.append(json.loads(line))
        if seen[-1]["event"] == name:
            return seen
    raise AssertionError(f"no {name} in {seen}")


def test_every_message_is_counted_once(pki):
    with mosquitto(pki) as server:
        for shape, fanout, publishers in (("5to5", 1, 5), ("1to10", 10, 1), ("10to1", 1, 10), ("self", 1, CLIENTS)):
            for version in (3, 5):
                total = events(load(pki, server, "--publish", shape, "--messages", 50, "--mqtt", version))[-1]
                assert total["sent"] == total["acked"] == 50 * publishers
                assert total["delivered"] == 50 * publishers * fanout
                assert total["lost"] == total["doubled"] == total["astray"] == total["denied"] == 0


def test_a_message_that_is_acknowledged_and_never_delivered_is_lost(pki):
    rules = pki / "rules"
    rules.write_text("topic read bench/#\ntopic write bench/0\n")
    rules.chmod(0o600)
    with mosquitto(pki, f"acl_file {rules}") as server:
        options = ("--publish", "2to2", "--messages", 1, "--print-lost", "--patience", 1)
        # MQTT 3.1.1 has no way to say no: PUBACK comes all the same.
        seen = events(load(pki, server, "--mqtt", 3, *options))
        lost = [event for event in seen if event["event"] == "lost"]
        assert lost == [{"event": "lost", "publisher": "bench-00001", "subscriber": "bench-00003", "sequence": 0}]
        assert seen[-1]["lost"] == 1 and seen[-1]["delivered"] == 1
        total = events(load(pki, server, "--mqtt", 5, *options))[-1]
        assert total["denied"] == 1 and total["lost"] == 0


def test_each_cut_is_told_with_its_time(pki):
    with mosquitto(pki) as server:
        process = load(pki, server, "--hold", 60)
        until(process, "ready")
        before = time.time() * 1000
        server.end()
        after = time.time() * 1000
        seen = events(process)
        cuts = [event for event in seen if event["event"] == "cut"]
        assert sorted(event["client"] for event in cuts) == [f"bench-{i:05}" for i in range(CLIENTS)]
        assert all(before - 1 <= event["at_ms"] for event in cuts) and after >= before
        assert seen[-1]["cut"] == CLIENTS and seen[-1]["live_now"] == 0


def test_comes_back_and_sends_again_what_was_not_acknowledged(pki):
    with mosquitto(pki) as server:
        process = load(pki, server, "--publish", "self", "--messages", 200, "--message-rate", 1000,
                       "--reconnect", 100, "--print-acks", "--seconds", 60)
        until(process, "subscribed")
        server.end()
        until(process, "cut")
        server.start()
        seen = events(process)
        acked = collections.defaultdict(set)
        for event in (event for event in seen if event["event"] == "acked"):
            acked[event["client"]] |= set(range(event["from"], event["to"] + 1))
        assert seen[-1]["cut"] >= CLIENTS and seen[-1]["live_now"] == CLIENTS
        assert seen[-1]["acked"] == seen[-1]["sent"] == 200 * CLIENTS
        assert all(max(numbers) == 199 for numbers in acked.values())


def test_says_who_was_not_let_in(pki, tmp_path):
    subprocess.run([LOAD, "--make", tmp_path, "--clients", "2"], check=True)
    with mosquitto(pki) as server:
        process = subprocess.Popen([LOAD, "--connect", f"127.0.0.1:{server.port}", "--ca", pki / "ca.pem",
                                    "--cert-dir", tmp_path / "clients"], stdout=subprocess.PIPE, text=True)
        seen = events(process)
        refused = [event for event in seen if event["event"] == "refused"]
        assert {event["client"] for event in refused} == {"bench-00000", "bench-00001"}
        assert seen[-1]["refused"] == 2 and seen[-1]["connections"] == 0
