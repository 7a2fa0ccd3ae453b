"""Whoever has no certificate, or no patience, keeps nobody out and ends nothing: SECURITY.md, floods."""
import contextlib
import socket
import ssl

import mqtt
import place
import pytest
from world import fields_of, world

POLICY = 'allow device connect\nallow device publish, subscribe, receive "all/#"\n'
PLACES = 200
FILES = 600


@pytest.fixture(scope="module", name="small")
def small_world():
    """A door of few places."""
    with world(policy=POLICY, settings={"device-door": {"connections_most": PLACES, "out_most": "128k",
                                                        "audit_window": "500ms"},
                                        "operator-door": {"audit_window": "500ms"}}) as made:
        made.device = made.enrol_quickly("dev-1")
        made.other = made.enrol_quickly("dev-2")
        made.wait_applied()
        yield made


def count(record):
    return record.get("aggregate", {}).get("count", 1)


def dial(small, listener):
    return socket.create_connection(("127.0.0.1", small.ports[listener]), timeout=30)


def stranger(small):
    """A whole handshake without a certificate; None when it is turned away."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(small.root)
    try:
        return context.wrap_socket(dial(small, "https"), server_hostname="localhost")
    except OSError:
        return None


def session(small, who):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(small.root)
    context.load_cert_chain(who.certificate, who.key)
    stream = context.wrap_socket(dial(small, "mqtts"), server_hostname="localhost")
    stream.sendall(mqtt.connect_packet(who.id))
    assert stream.recv(4096)[0] >> 4 == mqtt.CONNACK
    return stream


@pytest.fixture(scope="module", name="poor")
def poor_world():
    """A door that may have fewer descriptors than its connections need."""
    with world(policy=POLICY, files=FILES) as made:
        made.device = made.enrol_quickly("dev-1")
        made.wait_applied()
        yield made


def turned_away(small):
    """How many the log tells of, that found no place."""
    return sum(record.get("aggregate", {}).get("count", 1)
               for record in small.audit(action="handshake", decision="denied")
               if record["reason"] == "turned away: no place is left")


def starts(small):
    return len(small.running.events("door.certified"))


def test_strangers_over_https_do_not_take_the_devices_places(small):
    before = starts(small)
    told = turned_away(small)
    held = [stranger(small) for _ in range(PLACES + 50)]
    try:
        assert None in held, "each of them was let in: the door was not full"
        place.wait_for("records of who was turned away",
                       lambda: turned_away(small) == told + held.count(None), 30)
        session(small, small.device).close()
        assert starts(small) == before, "the door began anew"
    finally:
        for one in held:
            if one:
                one.close()


def came(small, who, source):
    """How many sessions of this certificate's, from there, the log tells of."""
    return sum(record.get("aggregate", {}).get("count", 1)
               for record in small.audit(action="handshake", decision="allowed", peer=source,
                                         certificate=who.fingerprint)
               if record["actor"]["id"] == who.id)


def test_who_has_a_certificate_leaves_a_trace_whatever_he_asks(small):
    """Also who asks nothing, or what has no record of its own."""
    asks = {small.admin: ("operator", ["", "/v1/status", "/metrics", "/v1/openapi.json"]),
            small.device: ("https", ["", "/.well-known/est/cacerts"])}
    source = "127.0.0.77"
    for who, (door, paths) in asks.items():
        for path in paths:
            connection = small.connection(door, who, source=source)
            connection.connect()
            assert not path or small.ask(connection, "GET", path).status == 200
            connection.close()
        place.wait_for(f"a trace of {who.id}", lambda who=who, paths=paths:
                       came(small, who, source) == len(paths), 30)


@pytest.mark.parametrize("listener", ["https", "http"])
def test_what_is_no_request_is_told_and_counted_when_it_floods(small, listener):
    words, many = "ended with octets that were no request", 30
    before = sum(count(record) for record in small.audit(action="api.request", decision="denied") if record["reason"] == words)
    for _ in range(many):
        with stranger(small) if listener == "https" else dial(small, "http") as connected, contextlib.suppress(OSError):
            connected.sendall(b"\x16\x03\x01\x02 garbage\r\n\r\n")
            while connected.recv(4096):
                pass
    def told():
        records = [record for record in small.audit(action="api.request", decision="denied") if record["reason"] == words]
        return records if sum(count(record) for record in records) >= before + many else None
    records = place.wait_for("all of them in the log", told)
    assert any(record.get("peer", "").startswith("127.0.0.1") for record in records)
    assert any(count(record) > 1 for record in records)


@pytest.mark.parametrize("listener", ["mqtts", "https"])
def test_half_handshakes_make_way(small, listener):
    held = []
    try:
        for _ in range(2 * PLACES):
            held.append(dial(small, listener))
            held[-1].sendall(b"\x16\x03\x01\x02\x00\x01")
        session(small, small.device).close()
        if listener == "https":
            assert small.call("GET", "/.well-known/est/cacerts", door="https", who=None).status == 200
    finally:
        for one in held:
            one.close()


def test_a_revoked_slow_reader_gets_no_more_than_was_on_its_way(small):
    """Not even what the door had queued for it: only what the sockets' own buffers held."""
    reader = session(small, small.other)
    reader.sendall(mqtt.subscribe_packet([("all/#", 1)]))
    assert reader.recv(4096)[0] >> 4 == mqtt.SUBACK
    writer = session(small, small.device)
    for identifier in range(1, 401):
        writer.sendall(mqtt.publish_packet("all/x", b"x" * 50000, qos=1, identifier=identifier))
        assert writer.recv(4096)[0] >> 4 == mqtt.PUBACK
    small.revoke("dev-2", wait=True)
    got = b""
    reader.settimeout(30)
    try:
        while more := reader.recv(65536):
            got += more
    except OSError:
        pass
    assert len(got) < 400 * 50000
    assert not got.endswith(bytes([mqtt.DISCONNECT << 4, 2, 0x98, 0])), "its farewell came behind all that waited"
    writer.close()


def test_a_low_limit_of_descriptors_makes_fewer_places_and_is_told(poor):
    told = [fields_of(line) for line in poor.running.events("door.fewer-connections")]
    mine = next(one for one in told if one["process"] == "device-door")
    assert 0 < int(mine["connections"]) < FILES and int(mine["descriptors"]) == FILES
    before = starts(poor)
    held = [stranger(poor) for _ in range(int(mine["connections"]))]
    held += [dial(poor, "http") for _ in range(FILES)]
    try:
        poor.wait_audit(lambda record: record["reason"].endswith(" HTTP connections are open"), action="api.request")
        for _ in range(5):
            session(poor, poor.device).close()
        assert starts(poor) == before, "the door began anew"
    finally:
        for one in held:
            if one:
                one.close()
