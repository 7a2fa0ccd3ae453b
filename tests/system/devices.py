"""Devices of a world, as their tests connect them."""
import contextlib

import mqtt
import world


@contextlib.contextmanager
def client(made, name):
    stem = made.work / "credentials" / name
    credential = world.Credential.read(name, stem.with_name(name + ".pem"), stem.with_name(name + ".key"))
    with mqtt.Client(made.ports["mqtts"], world.tls_context(made.root, credential), name) as connected:
        assert connected.connect() == 0
        yield connected
        connected.disconnect()


def publish(made, name, topic, times=1):
    with client(made, name) as publisher:
        for _ in range(times):
            publisher.publish(topic, b"x", qos=1)
