"""What listens is what is declared, and nothing else: every socket of every process of ours, as the kernel knows it."""
# release
import os
import pathlib
import re

import pytest

import place
import world

LISTEN = "0A"  # include/net/tcp_states.h


@pytest.fixture(scope="module")
def system():
    with world.world() as made:
        yield made


def sockets_of(pid):
    """Inodes of a process's sockets."""
    found = set()
    for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            told = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(entry))
        except FileNotFoundError:
            continue
        if told:
            found.add(int(told[1]))
    return found


def table(name):
    """Rows of /proc/net/NAME without their heading."""
    return [line.split() for line in pathlib.Path(f"/proc/net/{name}").read_text().splitlines()[1:]]


def internet():
    """{inode: (protocol, address, port, state)}"""
    found = {}
    for name in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6", "udplite", "udplite6"):
        if not pathlib.Path(f"/proc/net/{name}").exists():
            continue
        for row in table(name):
            address, port = row[1].split(":")
            found[int(row[9])] = (name, address, int(port, 16), row[3])
    return found


def ours(system):
    return {system.running.process.pid: "touchmarkd", **system.running.children()}


def held(system):
    """{(protocol, address, port)} that our processes listen at, or have open without a connection."""
    known, found = internet(), set()
    for pid in ours(system):
        for inode in sockets_of(pid) & known.keys():
            name, address, port, state = known[inode]
            if not name.startswith("tcp") or state == LISTEN:
                found.add((name, address, port))
    return found


def test_the_listening_sockets_are_the_declared_ones(system):
    loopback = "0100007F"
    declared = {("tcp", loopback, port) for port in system.ports.values()}
    assert set(system.ports) == {"mqtts", "https", "http", "operator"}
    assert held(system) == declared


def test_no_socket_in_the_file_system_or_by_name(system):
    bound = {int(row[6]): row[7] for row in table("unix") if len(row) > 7}
    for pid, name in ours(system).items():
        assert not sockets_of(pid) & bound.keys(), name


def test_no_other_kind_of_socket(system):
    kinds = [("netlink", 9), ("packet", 8)]
    foreign = {int(row[column]) for name, column in kinds for row in table(name) if len(row) > column}
    for pid, name in ours(system).items():
        assert not sockets_of(pid) & foreign, name


def test_only_doors_hold_sockets_of_the_network(system):
    known = internet()
    for pid, name in ours(system).items():
        holds = {known[inode][2] for inode in sockets_of(pid) & known.keys() if known[inode][3] == LISTEN}
        if name == "device-door":
            assert holds == {system.ports[each] for each in ("mqtts", "https", "http")}
        elif name == "operator-door":
            assert holds == {system.ports["operator"]}
        elif name != "touchmarkd":
            assert not holds, name


def test_without_plain_http_there_is_none(tmp_path):
    with place.work_folder() as work:
        made = world.World(work)
        conf = made.folder / "touchmark.conf"
        text = re.sub(r"(?m)^http = .*$", "http =", conf.read_text())
        assert text != conf.read_text()
        conf.write_text(text)
        with made:
            assert set(made.ports) == {"mqtts", "https", "operator"}
            assert len(held(made)) == 3
