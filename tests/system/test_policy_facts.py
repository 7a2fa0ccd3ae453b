"""What the device door knows of a device and its messages, and what it does not: each fact by a rule that asks for it."""
import re
import struct

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

import mqtt
import world

OWN = 'allow device publish "a" when '


@pytest.fixture(scope="module")
def system():
    with world.world() as made:
        yield made


@pytest.fixture(scope="module")
def device(system):
    return system.enrol_quickly("dev-1", "pumps")


def issuer_of(credential):
    read = x509.load_pem_x509_certificate(credential.certificate.read_bytes())
    return read.issuer.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value


def session(system, who, client_id=None):
    """The CONNACK's code, and the client if it was let in."""
    client = mqtt.Client(system.ports["mqtts"], world.tls_context(system.root, who),
                         who.id if client_id is None else client_id)
    return client, client.connect()


def other_than(value):
    """Of the same form."""
    return "".join("0123456789abcdef"[(int(digit, 16) + 1) % 16 or 1] for digit in value) \
        if re.fullmatch("([0-9a-f]{2})+", value) else "another"


def publish_as(client, content_type):
    """The PUBACK's code of a message with that content type; None: with none."""
    own = b"" if content_type is None else bytes([0x03]) + struct.pack(">H", len(content_type)) + content_type
    client.send(mqtt.packet(mqtt.PUBLISH, 2, struct.pack(">H", 1) + b"a" + struct.pack(">H", 7) +
                            mqtt.number(len(own)) + own + b"payload"))
    return client.receive(mqtt.PUBACK).code


def test_a_session_knows_its_certificate(system, device):
    facts = {"device.profile": "device", "certificate.issuer": issuer_of(device), "certificate.subject": device.id,
             "certificate.serial": device.serial, "certificate.fingerprint": device.fingerprint, "client.id": device.id}
    for fact, value in facts.items():
        for sign, value, expected in (("=", value, True), ("!=", value, False), ("=", other_than(value), False)):
            system.apply_policy(f'allow device connect when {fact} {sign} "{value}"\n')
            client, code = session(system, device)
            assert (code == mqtt.ACCEPTED) == expected, (fact, sign, value, code)
            client.close()


def test_they_may_stand_in_a_topic(system, device):
    system.apply_policy('allow device connect\n'
                        'allow device publish "${certificate.serial}/${certificate.fingerprint}/${device.profile}"\n')
    client, code = session(system, device)
    assert code == mqtt.ACCEPTED
    assert client.publish(f"{device.serial}/{device.fingerprint}/device", qos=1) == 0
    assert client.publish(f"{device.serial}/{device.serial}/device", qos=1) == mqtt.NOT_AUTHORIZED
    client.close()


def test_a_client_id_that_was_left_out_is_not_known(system, device):
    system.apply_policy('allow device connect\nallow device publish "a" when client.id is known\n')
    for client_id, expected in ((device.id, 0), ("", mqtt.NOT_AUTHORIZED)):
        client, code = session(system, device, client_id)
        assert code == mqtt.ACCEPTED
        assert client.publish("a", qos=1) == expected
        client.close()


@pytest.mark.parametrize("condition, allowed", [
    ('message.content_type = "text/plain"', [b"text/plain"]),
    ('message.content_type != "text/plain"', [b"application/json", b""]),
    ('message.content_type is known', [b"text/plain", b"application/json", b""]),
    ('message.content_type is not known', [None]),
])
def test_a_message_says_what_it_is(system, device, condition, allowed):
    system.apply_policy(f"allow device connect\n{OWN}{condition}\n")
    client, code = session(system, device)
    assert code == mqtt.ACCEPTED
    for content_type in (None, b"", b"text/plain", b"application/json"):
        expected = 0 if content_type in allowed else mqtt.NOT_AUTHORIZED
        assert publish_as(client, content_type) == expected, (condition, content_type)
    client.close()


def test_who_receives_is_asked_about_it_too(system, device):
    system.apply_policy('allow device connect\nallow device publish, subscribe, receive "a"\n'
                        'deny device receive "a" when message.content_type = "secret"\n')
    reader, code = session(system, system.enrol_quickly("reader"))
    client, own_code = session(system, device)
    assert (code, own_code) == (mqtt.ACCEPTED, mqtt.ACCEPTED)
    assert reader.subscribe("a") == [1]
    assert publish_as(client, b"secret") == 0 and publish_as(client, b"news") == 0
    assert reader.message()[1] == b"payload"
    assert reader.messages_until_ping() == []
    for each in (reader, client):
        each.close()


def test_what_nobody_knows_helps_nobody(system, device):
    for condition in ('attestation.verdict = "affirming"', 'firmware.version >= 0.0.1', "attestation.age < 100d"):
        system.apply_policy(f"allow device connect\n{OWN}{condition}\n")
        client, code = session(system, device)
        assert code == mqtt.ACCEPTED
        assert client.publish("a", qos=1) == mqtt.NOT_AUTHORIZED
        client.close()
