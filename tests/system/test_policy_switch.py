"""A new policy at the live sessions: each has all of it within a second, and who lost what stands in the log, one by one."""
import concurrent.futures
import datetime
import os
import time

import pytest

import mqtt
import place
import world

SESSIONS, LOST = int(os.environ.get("TOUCHMARK_SESSIONS", "48")), 24
BEFORE = ('allow device connect\n'
          'allow device publish, subscribe, receive "own/${device.id}/#"\n'
          'allow device publish, subscribe, receive "all/#"\n')
# Line 2 cuts a third; line 5 takes one filter away from the others, and no rule allows "all/..." any more.
AFTER = ('allow device connect\n'
         'deny group "gone" connect\n'
         'allow device publish, subscribe, receive "own/${device.id}/#"\n'
         'allow group "writers" publish "all/#"\n'
         'deny device subscribe "own/+/secret"\n')


@pytest.fixture(scope="module")
def system():
    with world.world(policy=BEFORE) as made:
        yield made


def client_of(system, who, **options):
    client = mqtt.Client(system.ports["mqtts"], world.tls_context(system.root, who), who.id)
    assert client.connect(keep_alive=0, **options) == mqtt.ACCEPTED
    return client


def filters_of(name):
    """(what stays, what no rule allows any more, what a rule denies)"""
    return [f"own/{name}/state"], [f"all/{name}/{number}" for number in range(LOST)], [f"own/{name}/secret"]


def open_one(system, who):
    client = client_of(system, who)
    wanted = [name for each in filters_of(who.id) for name in each]
    assert client.subscribe(*wanted) == [1] * len(wanted)
    return client


def moment(record):
    return datetime.datetime.fromisoformat(record["time"].replace("Z", "+00:00"))


def test_each_loses_what_it_must_within_a_second_and_each_loss_is_told(system):
    system.apply_policy(BEFORE)
    names = [f"s-{count}" for count in range(SESSIONS)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        who = dict(zip(names, pool.map(lambda name: system.enrol_quickly(name, "gone" if name[-1] in "036" else "stays"),
                                       names)))
        clients = dict(zip(names, pool.map(lambda name: open_one(system, who[name]), names)))
    writer = client_of(system, system.enrol_quickly("writer", "writers"))
    gone = {name for name in names if name[-1] in "036"}
    stays = [name for name in names if name not in gone]
    for name in names:
        assert writer.publish(f"all/{name}/1", b"before", qos=1) == 0
        assert clients[name].message()[1] == b"before"

    began = time.monotonic()
    version = system.apply_policy(AFTER, wait=False)
    place.wait_for("doors to follow", lambda: system.api("GET", "/v1/status")["doors_behind"] == 0, 30)
    took = time.monotonic() - began
    print(f"{SESSIONS} sessions with {LOST + 2} subscriptions each: {took * 1000:.0f} ms until every door has said so")
    assert took < 1

    # The doors have acknowledged: nothing of the old policy is left anywhere.
    for name in stays:
        assert writer.publish(f"all/{name}/1", b"after", qos=1) == 0
        assert clients[name].messages_until_ping() == []
        assert clients[name].publish(f"own/{name}/state", b"mine", qos=1) == 0
        assert clients[name].message()[1] == b"mine"
        assert clients[name].publish(f"own/{name}/secret", b"mine", qos=1) == 0
        assert clients[name].publish(f"all/{name}/1", b"mine", qos=1) == mqtt.NOT_AUTHORIZED
    for name in gone:
        clients[name].wait_end()

    def lost():
        return system.audit(action="subscribe", decision="denied", policy=version)
    place.wait_for("a record of each lost subscription", lambda: len(lost()) >= len(stays) * (LOST + 1), 30)
    records = lost()
    assert all("aggregate" not in record and record["reason"].startswith("no longer allowed") for record in records)
    assert sorted((record["actor"]["id"], record["target"], record.get("rule") or 0) for record in records) == sorted(
        (name, lost_one, line) for name in stays
        for lost_one, line in [(each, 0) for each in filters_of(name)[1]] + [(filters_of(name)[2][0], 5)])
    cut = [record for record in system.audit(action="session.cut") if record["policy"] == version]
    assert sorted((record["actor"]["id"], record["rule"]) for record in cut) == sorted((name, 2) for name in gone)
    applied = moment(system.audit(action="policy.apply", decision="allowed")[0])
    assert max(moment(record) for record in records + cut) - applied < datetime.timedelta(seconds=1)
    for client in [writer, *(clients[name] for name in stays)]:
        client.close()


def test_what_waits_for_a_slow_reader_is_not_sent_any_more(system):
    system.apply_policy(BEFORE)
    reader, writer = (client_of(system, system.enrol_quickly(name), receive_maximum=1) for name in ("slow", "fast"))
    assert reader.subscribe("all/a", "own/slow/a") == [1, 1]
    for number in range(5):
        assert writer.publish("all/a", str(number).encode(), qos=1) == 0
    first = reader.receive(mqtt.PUBLISH)
    version = system.apply_policy(AFTER)
    reader.send(mqtt.packet(mqtt.PUBACK, 0, first.identifier.to_bytes(2, "big")))
    assert reader.messages_until_ping() == []
    assert reader.publish("own/slow/a", b"mine", qos=1) == 0
    assert reader.message()[1] == b"mine"
    records = [system.wait_audit(action="receive", decision="denied", policy=version, actor="slow")]
    assert "it waited, and is not sent" in records[0]["reason"]
    assert sum(record.get("aggregate", {}).get("count", 1) for record in
               system.audit(action="receive", decision="denied", policy=version, actor="slow")) == 4
    for client in (reader, writer):
        client.close()
