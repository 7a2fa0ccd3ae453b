"""MQTT over mutual TLS with clients that are not ours: mosquitto_pub and mosquitto_sub, paho, openssl s_client.

What those hide (codes, packets that do not come) is asked with mqtt.py.
"""
import os
import queue
import signal
import ssl
import subprocess
import time

import paho.mqtt.client as paho
import pytest

import mqtt
import world

POLICY = """\
allow device connect
allow device publish, subscribe, receive, retain, will "plant/#"
allow device publish, subscribe, receive, retain, will "devices/${device.id}/#"
allow device publish "vault/#"
allow device publish "unkept/#"
allow device subscribe, receive "unkept/#"
allow group "readers" subscribe, receive "vault/#"
deny device publish "plant/forbidden/#"
deny device "banned" connect
allow device publish "asked/here" when connection.address in { 127.0.0.0/8 } and connection.tls in { "1.2", "1.3" }
allow device publish "asked/elsewhere" when connection.address in { 192.0.2.0/24 }
allow device publish "asked/small" when message.size <= 10 and message.qos = 1
allow device publish "asked/payload" payload 10
allow device publish "asked/fresh" when not message.retain
allow device publish "asked/now" when time.now > 2020-01-01 and certificate.left > 0s
allow device publish "asked/then" until 2020-01-01
allow device publish "asked/attested" when attestation.verdict is known
allow device retain "asked/#"
allow device publish "asked/often" limit 2/h burst 3
"""
VERSIONS = [4, 5]
PAHO = {4: paho.MQTTv311, 5: paho.MQTTv5}
MOSQUITTO = {4: "mqttv311", 5: "mqttv5"}
DENIED_SUBACK = {4: 0x80, 5: mqtt.NOT_AUTHORIZED}


@pytest.fixture(scope="module")
def system():
    with world.world(policy=POLICY) as made:
        made.one, made.two = made.enrol("one"), made.enrol("two")
        made.reader, made.banned = made.enrol("reader", "readers"), made.enrol("banned")
        yield made


@pytest.fixture
def policy(system):
    """Puts the module's policy back after a test that changes it."""
    yield POLICY
    system.apply_policy(POLICY)


@pytest.fixture(params=VERSIONS, ids=["3.1.1", "5"])
def version(request):
    return request.param


def raw(system, who, version=5, **more):
    return mqtt.Client(system.ports["mqtts"], world.tls_context(system.root, who), who.id, version=version, **more)


def connected(system, who, version=5, **options):
    client = raw(system, who, version)
    code = client.connect(**options)
    assert code == mqtt.ACCEPTED, hex(code)
    return client


# ---- mosquitto_pub, mosquitto_sub ----

def mosquitto(system, program, who, version, *words):
    return ["stdbuf", "-oL", program, "-h", "127.0.0.1", "-p", str(system.ports["mqtts"]), "-i", who.id,
            "--cafile", str(system.root), "--cert", str(who.certificate), "--key", str(who.key),
            "-V", MOSQUITTO[version], *words]


class MosquittoSub:
    """Runs until it has what it was to wait for."""

    def __init__(self, system, who, version, *filters, count=1, qos=1):
        words = [word for name in filters for word in ("-t", name)]
        self.process = subprocess.Popen(mosquitto(system, "mosquitto_sub", who, version, "-d", "-v", "-q", str(qos),
                                                  "-C", str(count), "-W", "30", *words),
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.lines = []
        for line in self.process.stdout:
            self.lines.append(line)
            if "SUBACK" in line:
                break

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.process.kill()
        self.process.wait()

    def messages(self):
        """"topic payload" of each, after the end."""
        out = self.process.stdout.read()  # communicate() would pass over what is buffered here
        self.process.wait(60)
        return [line for line in out.splitlines()
                if not line.startswith(("Client ", "Subscribed", "sending", "received"))]


def mosquitto_pub(system, who, version, topic, payload, *words):
    return subprocess.run(mosquitto(system, "mosquitto_pub", who, version, "-t", topic, "-m", payload, *words),
                          capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("qos", [0, 1])
def test_mosquitto_publishes_and_subscribes(system, version, qos):
    with MosquittoSub(system, system.one, version, "plant/+/temperature", "plant/a/#", qos=qos, count=2) as reader:
        for topic, payload in (("plant/x/temperature", "21.5"), ("plant/a/b/c", "deep")):
            done = mosquitto_pub(system, system.two, version, topic, payload, "-q", str(qos))
            assert done.returncode == 0, done.stderr
        assert reader.messages() == ["plant/x/temperature 21.5", "plant/a/b/c deep"]


def test_mosquitto_gets_what_is_retained(system, version):
    assert mosquitto_pub(system, system.two, version, "plant/kept", "here", "-r", "-q", "1").returncode == 0
    with MosquittoSub(system, system.one, version, "plant/kept") as reader:
        assert reader.messages() == ["plant/kept here"]
    assert mosquitto_pub(system, system.two, version, "plant/kept", "", "-r", "-q", "1").returncode == 0


def test_mosquitto_is_told_that_it_may_not(system):
    done = mosquitto_pub(system, system.two, 5, "plant/forbidden/x", "no", "-q", "1", "-d")
    assert "135" in done.stdout + done.stderr or "Not authorized" in done.stdout + done.stderr, done
    record = system.wait_audit(device="two", action="publish", decision="denied", target="plant/forbidden/x")
    assert record["policy"] and record["peer"].startswith("127.0.0.1:")


# ---- paho ----

class Paho:
    def __init__(self, system, who, version, **more):
        self.came, self.acknowledged, self.connects = queue.Queue(), queue.Queue(), queue.Queue()
        self.client = paho.Client(client_id=who.id, protocol=PAHO[version], **more)
        self.client.tls_set(ca_certs=str(system.root), certfile=str(who.certificate), keyfile=str(who.key))
        self.client.on_message = lambda client, _, message: self.came.put(message)
        self.client.on_subscribe = lambda *told: self.acknowledged.put(told[3])
        self.client.on_connect = lambda *told: self.connects.put(told[3])
        self.port = system.ports["mqtts"]

    def __enter__(self):
        self.client.connect("127.0.0.1", self.port, keepalive=20)
        self.client.loop_start()
        self.code = self.connects.get(timeout=20)
        return self

    def __exit__(self, *unused):
        self.client.disconnect()
        self.client.loop_stop()

    def subscribe(self, name, qos=1):
        self.client.subscribe(name, qos)
        return self.acknowledged.get(timeout=20)

    def publish(self, topic, payload, qos=1, retain=False):
        told = self.client.publish(topic, payload, qos, retain)
        told.wait_for_publish(20)
        return told

    def message(self):
        return self.came.get(timeout=20)


def code_of(reason):
    return reason if isinstance(reason, int) else reason.value


@pytest.mark.parametrize("qos", [0, 1])
def test_paho_publishes_and_subscribes(system, version, qos):
    with Paho(system, system.one, version) as reader, Paho(system, system.two, version) as writer:
        assert code_of(reader.code) == 0
        assert [code_of(code) for code in reader.subscribe("plant/#", qos)] == [qos]
        for count in range(50):
            writer.publish(f"plant/{count}", str(count), qos)
        came = [reader.message() for _ in range(50)]
        assert [(each.topic, each.payload, each.qos) for each in came] == \
            [(f"plant/{count}", str(count).encode(), qos) for count in range(50)]


def test_paho_large_payloads_pass_unchanged(system, version):
    payload = os.urandom(60000)
    with Paho(system, system.one, version) as reader, Paho(system, system.two, version) as writer:
        reader.subscribe("plant/large")
        writer.publish("plant/large", payload)
        assert reader.message().payload == payload


# ---- what the wire says ----

def test_openssl_s_client_carries_mqtt(system):
    """CONNECT by hand through s_client: a 3.1.1 CONNACK comes back."""
    words = ["openssl", "s_client", "-quiet", "-connect", f"127.0.0.1:{system.ports['mqtts']}", "-CAfile", system.root,
             "-cert", system.one.certificate, "-key", system.one.key]
    with subprocess.Popen(list(map(str, words)), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as client:
        client.stdin.write(mqtt.connect_packet("one", version=4))
        client.stdin.flush()
        assert client.stdout.read(4) == b"\x20\x02\x00\x00"
        client.kill()


@pytest.mark.parametrize("wrong", ["two", "ONE", "one ", "", "someone"])
def test_the_client_id_is_the_devices(system, version, wrong):
    client = raw(system, system.one, version)
    client.client_id = wrong
    with client:
        code = client.connect()
    if wrong == "" and code == mqtt.ACCEPTED:
        assert version == 4 or b"one" in client.connack.body  # Assigned Client Identifier
    else:
        assert code == {4: 0x02, 5: 0x85}[version]


def test_a_device_without_the_right_to_connect_is_refused(system, version):
    with raw(system, system.banned, version) as client:
        assert client.connect() == {4: 0x05, 5: mqtt.NOT_AUTHORIZED}[version]
    record = system.wait_audit(device="banned", action="session.open", decision="denied")
    assert record["policy"]


def test_wildcards_match_as_the_standard_says(system, version):
    with connected(system, system.one, version) as reader, connected(system, system.two, version) as writer:
        assert reader.subscribe("plant/+/b", "plant/c/#", "plant/+", qos=0) == [0, 0, 0]
        for topic in ("plant/a/b", "plant/a/b/c", "plant/c", "plant/c/d/e", "plant/a/x"):
            writer.publish(topic, b"x", qos=1)
        got = {topic for topic, _ in reader.messages_until_ping()}
    assert got == {"plant/a/b", "plant/c", "plant/c/d/e"}


def test_unsubscribed_is_silent(system, version):
    with connected(system, system.one, version) as reader, connected(system, system.two, version) as writer:
        reader.subscribe("plant/u")
        writer.publish("plant/u", b"1", qos=1)
        assert reader.message()[:2] == ("plant/u", b"1")
        reader.unsubscribe("plant/u")
        writer.publish("plant/u", b"2", qos=1)
        assert reader.messages_until_ping() == []


def test_policy_decides_topic_by_topic(system, version):
    with connected(system, system.one, version) as client:
        assert client.subscribe("devices/two/#", "#", "vault/x", "devices/one/+", "plant/#") == \
            [DENIED_SUBACK[version]] * 3 + [1, 1]
        denied = client.publish("devices/two/state", b"not mine", qos=1)
        assert denied == (mqtt.NOT_AUTHORIZED if version == 5 else 0)
        assert client.publish("devices/one/state", b"mine", qos=1) == 0
        assert client.message()[:2] == ("devices/one/state", b"mine")
    record = system.wait_audit(device="one", action="publish", decision="denied", target="devices/two/state")
    assert record["decision"] == "denied"
    system.wait_audit(device="one", action="subscribe", decision="denied", target="vault/x")


@pytest.mark.parametrize("topic, payload, retain, allowed", [
    ("asked/here", b"x", False, True), ("asked/elsewhere", b"x", False, False),
    ("asked/small", b"x" * 10, False, True), ("asked/small", b"x" * 11, False, False),
    ("asked/payload", b"x" * 10, False, True), ("asked/payload", b"x" * 11, False, False),
    ("asked/fresh", b"x", False, True), ("asked/fresh", b"x", True, False),
    ("asked/now", b"x", False, True), ("asked/then", b"x", False, False),
    ("asked/attested", b"x", False, False),
])
def test_policy_asks_for_facts_of_connection_message_and_time(system, topic, payload, retain, allowed):
    with connected(system, system.one, 5) as client:
        code = client.publish(topic, payload, qos=1, retain=retain)
        assert (code != mqtt.NOT_AUTHORIZED) == allowed
        assert not allowed or code < 0x80


def test_what_is_more_than_its_limit_is_refused(system, version):
    who = system.one if version == 5 else system.two  # a limit is a device's
    with connected(system, who, version) as client:
        codes = [client.publish("asked/often", b"x", qos=1) for _ in range(5)]
    assert [code for code in codes if code == 0x97] == ([0x97] * 2 if version == 5 else [])
    record = system.wait_audit(device=who.id, action="publish", decision="denied", target="asked/often")
    assert record["reason"] == "more than its limit"


def test_a_lease_ends_the_session(system, policy):
    system.apply_policy(policy.replace("allow device connect\n", "allow device connect lease 2s\n", 1))
    with connected(system, system.one, 5) as client:
        began = time.monotonic()
        assert client.wait_end(timeout=20) == 0xA0
        assert time.monotonic() - began > 1
    assert "lease" in system.wait_audit(device="one", action="session.cut")["reason"]


def test_a_rule_that_ends_takes_its_sessions_along(system, policy):
    ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 4))
    system.apply_policy(policy.replace("allow device connect\n", f"allow device connect until {ends}\n", 1))
    with connected(system, system.two, 5) as client:
        assert client.wait_end(timeout=20) == mqtt.NOT_AUTHORIZED
    assert system.wait_audit(device="two", action="session.cut")["reason"] == "may no longer connect"


def test_a_denied_message_reaches_nobody(system, version):
    with connected(system, system.reader, version) as reader, connected(system, system.one, version) as writer:
        reader.subscribe("plant/#", "vault/#")
        writer.publish("plant/forbidden/x", b"no", qos=1)
        writer.publish("vault/x", b"for readers", qos=1)
        assert reader.message()[:2] == ("vault/x", b"for readers")
        assert reader.messages_until_ping() == []


def test_keeping_is_a_right_of_its_own(system, version):
    with connected(system, system.one, version) as writer:
        code = writer.publish("unkept/x", b"kept?", qos=1, retain=True)
        assert code == (mqtt.NOT_AUTHORIZED if version == 5 else 0)
        assert writer.publish("unkept/x", b"passing", qos=1) == 0
    with connected(system, system.two, version) as reader:
        reader.subscribe("unkept/#")
        assert reader.messages_until_ping() == []


def test_retained_at_qos_1_survives_a_killed_door(system, version):
    with connected(system, system.one, version) as writer:
        for count in range(20):
            assert writer.publish(f"plant/survives/{count}", b"v%d" % count, qos=1, retain=True) == 0
        assert writer.publish("plant/survives/0", b"", qos=1, retain=True) == 0
        ready = len(system.running.events("process.ready"))
        os.kill(system.running.pids("device-door")[0], signal.SIGKILL)
        assert writer.wait_end() is None
    system.running.wait_event("process.ready", count=ready + 1)
    system.wait_healthy()
    with connected(system, system.two, version) as reader:
        reader.subscribe("plant/survives/#")
        kept = {topic: payload for topic, payload in reader.messages_until_ping()}
        assert kept == {f"plant/survives/{count}": b"v%d" % count for count in range(1, 20)}
        for count in range(1, 20):
            assert reader.publish(f"plant/survives/{count}", b"", qos=1, retain=True) == 0


def test_retained_messages_come_all_however_many_they_are(system, version):
    """More than one step of the walk looks at, and far more octets than may wait for a reader."""
    count, payload = 5000, b"r" * 400
    names = [f"plant/many/{number}" for number in range(count)]
    with connected(system, system.one, version) as writer:
        keep_all(writer, version, names, payload)
        try:
            for qos in (0, 1):
                with connected(system, system.two, version) as reader:
                    reader.subscribe("plant/many/0", "plant/many/#", qos=qos)
                    got = [reader.message()[0] for _ in range(count + 1)]
                    assert sorted(got) == sorted(names + ["plant/many/0"])
                    assert reader.messages_until_ping() == []
        finally:
            keep_all(writer, version, names, b"")


def keep_all(writer, version, names, payload):
    for first in range(0, len(names), 500):
        some = names[first:first + 500]
        writer.send(b"".join(mqtt.publish_packet(name, payload, qos=1, retain=True, identifier=place + 1, version=version)
                             for place, name in enumerate(some)))
        for _ in some:
            assert writer.receive(mqtt.PUBACK).code == 0


def test_a_will_is_published_when_its_client_vanishes(system, version):
    with connected(system, system.two, version) as reader:
        reader.subscribe("plant/wills")
        connected(system, system.one, version, will=mqtt.Will("plant/wills", b"one is gone", qos=1)).abort()
        assert reader.message()[:2] == ("plant/wills", b"one is gone")


def test_a_will_is_not_published_when_its_client_says_goodbye(system, version):
    with connected(system, system.two, version) as reader:
        reader.subscribe("plant/wills")
        connected(system, system.one, version, will=mqtt.Will("plant/wills")).disconnect()
        with connected(system, system.one, version) as again:  # the door is through with the first
            again.publish("plant/wills", b"still here", qos=1)
        assert reader.message()[:2] == ("plant/wills", b"still here")
        assert reader.messages_until_ping() == []


def test_a_delayed_will_waits_and_a_return_takes_it_back(system):
    will = mqtt.Will("plant/wills", b"late", qos=1, delay=4)
    with connected(system, system.two) as reader:
        reader.subscribe("plant/wills")
        connected(system, system.one, clean=False, session_expiry=60, will=will).abort()
        reader.publish("plant/wills", b"meanwhile", qos=1)
        assert [reader.message()[1] for _ in range(2)] == [b"meanwhile", b"late"]
        connected(system, system.one, clean=False, session_expiry=60, will=will).abort()
        with connected(system, system.one, clean=False, session_expiry=60) as back:
            time.sleep(5)  # longer than the delay
            back.publish("plant/wills", b"back in time", qos=1)
        assert reader.message()[1] == b"back in time"


@pytest.mark.parametrize("version, delay", [(4, 0), (5, 0), (5, 4)])
def test_a_revoked_devices_will_dies_with_it(system, version, delay):
    name = f"doomed-{version}-{delay}"
    doomed = system.enrol(name)
    will = mqtt.Will("plant/wills", name.encode(), qos=1, delay=delay)
    options = {"session_expiry": 60, "clean": False} if version == 5 else {}
    with connected(system, system.two, version) as reader:
        reader.subscribe("plant/wills")
        client = connected(system, doomed, version, will=will, **options)
        if delay:
            client.abort()
        system.revoke(name, wait=True)
        if not delay:
            client.wait_end()
        time.sleep(delay + 1 if delay else 0)  # so long that the revocation came first
        reader.publish("plant/wills", b"marker", qos=1)
        assert reader.message()[1] == b"marker"
        assert reader.messages_until_ping() == []


def test_a_will_that_policy_does_not_allow_is_no_connection(system, version):
    with raw(system, system.one, version) as client:
        code = client.connect(will=mqtt.Will("devices/two/will"))
    assert code == {4: 0x05, 5: mqtt.NOT_AUTHORIZED}[version]


def test_silence_ends_after_the_keep_alive(system, version):
    with connected(system, system.one, version, keep_alive=1) as silent:
        assert silent.wait_end() == (0x8D if version == 5 else None)
    with connected(system, system.one, version, keep_alive=4) as alive:
        for _ in range(7):
            time.sleep(1)
            alive.ping()


def test_a_second_connection_takes_over(system, version):
    with connected(system, system.one, version) as first, connected(system, system.one, version) as second:
        assert first.wait_end() == (mqtt.TAKEN_OVER if version == 5 else None)
        second.ping()


def after_connect(octets, code):
    return pytest.param(octets, code, id=octets[:6].hex())


@pytest.mark.parametrize("octets, code", [
    after_connect(mqtt.publish_packet("plant/x", qos=2), 0x9B),
    after_connect(mqtt.publish_packet("plant/+"), 0x90),
    after_connect(mqtt.publish_packet(""), 0x82),
    after_connect(mqtt.connect_packet("one"), 0x82),
    after_connect(b"\xf0\x00", 0x82),
    after_connect(b"\x0f\x00", 0x81),
    after_connect(mqtt.packet(mqtt.SUBSCRIBE, 2, b"\0\0\0" + mqtt.text("plant/x") + b"\0"), 0x82),
    after_connect(mqtt.packet(mqtt.SUBSCRIBE, 2, b"\0\1\0"), 0x82),
    after_connect(mqtt.packet(mqtt.SUBSCRIBE, 0, b"\0\1\0" + mqtt.text("plant/x") + b"\0"), 0x81),
    after_connect(b"\x30\xff\xff\xff\xff\x01", 0x81),
])
def test_faults_after_connect_end_with_their_code(system, octets, code):
    with connected(system, system.one) as client:
        client.send(octets)
        told = client.wait_end()
        assert told == code, hex(told or 0)


@pytest.mark.parametrize("octets, answer", [
    (mqtt.publish_packet("plant/x"), b""),
    (b"GET / HTTP/1.1\r\n\r\n", b""),
    (mqtt.packet(1, 0, mqtt.text("MQTT") + b"\x03\x02\0\x3c" + mqtt.text("one")), b"\x20"),
    (mqtt.packet(1, 0, mqtt.text("MQTT") + b"\x06\x02\0\x3c\0" + mqtt.text("one")), b"\x20"),
], ids=["publish first", "http", "level 3", "level 6"])
def test_faults_before_connect_are_answered_sparely(system, octets, answer):
    with raw(system, system.one).open() as client:
        client.send(octets)
        got = b""
        try:
            while more := client.socket.recv(4096):
                got += more
        except (ssl.SSLError, ConnectionResetError):
            pass
    assert got[:1] == answer


def test_shared_subscriptions_are_refused_by_name(system, version):
    with connected(system, system.one, version) as client:
        assert client.subscribe("$share/g/plant/x", "plant/x") == [{4: 0x80, 5: 0x9E}[version], 1]


# ---- live sessions and new policies ----

def test_a_subscription_that_is_no_longer_allowed_stops(system, version, policy):
    with connected(system, system.one, version) as reader, connected(system, system.two, version) as writer:
        reader.subscribe("plant/news", "devices/one/news")
        writer.publish("plant/news", b"1", qos=1)
        assert reader.message()[:2] == ("plant/news", b"1")
        system.apply_policy(policy + 'deny device "one" receive "plant/news"\n')
        writer.publish("plant/news", b"2", qos=1)
        reader.publish("devices/one/news", b"marker", qos=1)
        assert reader.message()[:2] == ("devices/one/news", b"marker")
        assert reader.messages_until_ping() == []
        system.apply_policy(policy + 'deny device "one" subscribe "plant/news"\n')
        writer.publish("plant/news", b"3", qos=1)
        assert reader.messages_until_ping() == []


def test_publishing_that_is_no_longer_allowed_stops(system, policy):
    with connected(system, system.one) as writer:
        assert writer.publish("plant/p", b"1", qos=1) == 0
        system.apply_policy(policy + 'deny device "one" publish "plant/p"\n')
        assert writer.publish("plant/p", b"2", qos=1) == mqtt.NOT_AUTHORIZED


def test_a_session_that_may_no_longer_connect_is_cut(system, version, policy):
    with connected(system, system.one, version) as cut, connected(system, system.two, version) as other:
        applied = system.apply_policy(policy + 'deny device "one" connect\n')
        code = cut.wait_end()
        assert code is None if version == 4 else code in (mqtt.NOT_AUTHORIZED, 0x98), code
        other.ping()
    record = system.wait_audit(lambda each: each.get("policy") == applied, device="one", action="session.cut")
    assert record["target"] or record["reason"]


def test_a_policy_with_faults_changes_nothing(system):
    before = system.active_policy()
    answer = system.call("POST", "/v1/policies", {"text": "allow device conect\n", "replaces": before["version"], "why": "to see"})
    assert answer.status == 422 and "line 1 column 14" in answer.json()["errors"][0], answer.body
    stale = system.call("POST", "/v1/policies", {"text": POLICY, "replaces": before["version"] + 7, "why": "to see"})
    assert stale.status == 409
    assert system.active_policy() == before
