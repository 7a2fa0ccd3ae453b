"""The audit log's filters through the command line: each, mixed, paged, and what is no filter."""
import json
import pathlib
import re
import shlex
import subprocess

import pytest

import place
import world
from devices import client, publish

POLICY = """allow device connect
allow device publish "plant/${device.id}/#"
allow device subscribe "plant/+/state"
deny device publish "plant/+/secret"
"""


@pytest.fixture(scope="module")
def running():
    with world.world(policy=POLICY) as made:
        for name in ("pump-1", "pump-2"):
            made.enrol(name)
        with client(made, "pump-2") as reader:
            reader.subscribe("plant/+/state")
        publish(made, "pump-1", "plant/pump-1/state")
        publish(made, "pump-1", "plant/pump-1/secret")
        publish(made, "pump-2", "elsewhere")
        made.wait_audit(action="subscribe", device="pump-2")
        made.wait_audit(lambda record: record["target"] == "plant/pump-1/state", action="publish")
        made.wait_audit(lambda record: record["target"] == "plant/pump-1/secret", action="publish")
        made.wait_audit(lambda record: record["target"] == "elsewhere", action="publish")
        yield made


def found(running, *words, limit=4):
    """All of them, page by page."""
    records, before = [], []
    while True:
        answer = json.loads(running.touchmark("audit", "list", "--limit", str(limit), *words, *before, "--json").stdout)
        records += answer["records"]
        if answer["next"] is None:
            return records
        before = ["--before", str(answer["next"])]


def all_records(running):
    return [record for record in json.loads(
        running.touchmark("audit", "list", "--limit", "500", "--json").stdout)["records"]]


def of(record, *path):
    for name in path:
        record = record.get(name, {}) if isinstance(record, dict) else {}
    return record or None


def certificates_of(record):
    return [record[name] for name in ("actor_certificate", "certificate") if name in record]


def same(records, wanted):
    assert [record["index"] for record in records] == [record["index"] for record in wanted]
    assert records
    return True


def test_a_certificate_is_found_by_what_is_known_of_it(running):
    issued = found(running, "--action", "certificate.issue", "--device", "pump-1")[-1]["certificate"]
    known = all_records(running)
    newest = known[0]["index"]
    for option, name in (("--certificate", "fingerprint"), ("--serial", "serial"), ("--key", "key")):
        wanted = [record for record in known
                  if any(one.get(name) == issued[name] for one in certificates_of(record))]
        same([record for record in found(running, option, issued[name]) if record["index"] <= newest], wanted)
    both = ("--serial", issued["serial"], "--issuer", issued["issuer"])
    assert same([record for record in found(running, *both) if record["index"] <= newest],
                [record for record in known if any(
                    (one.get("serial"), one.get("issuer")) == (issued["serial"], issued["issuer"])
                    for one in certificates_of(record))])
    assert not found(running, "--serial", issued["serial"], "--issuer", "00" * 32)


def test_an_operators_acts_at_the_door_are_found_by_his_certificate(running):
    assert running.call("POST", "/v1/devices", {"nothing": "of this"}).status == 400  # the door's refusal
    size = running.call("GET", "/v1/audit/log/checkpoint").body.decode().split("\n")[1]
    tile = f"log/tile/entries/000.p/{size}" if int(size) < 256 else "log/tile/entries/000"
    assert running.call("GET", f"/v1/audit/{tile}").status == 200  # the door's own reading
    for action, target in (("api.request", "POST /v1/devices"), ("log.read", tile)):
        record = running.wait_audit(lambda one, wanted=target: one["target"] == wanted, action=action, source="operator-door")
        shown = record["actor_certificate"]
        assert set(shown) == {"fingerprint", "serial", "issuer", "key"}
        for option, name in (("--serial", "serial"), ("--key", "key"), ("--certificate", "fingerprint")):
            assert record["index"] in {one["index"] for one in found(running, option, shown[name], "--action", action, limit=50)}
        made = found(running, "--serial", shown["serial"], "--issuer", shown["issuer"], limit=50)
        assert record["index"] in {one["index"] for one in made}


def test_topics_are_found_by_a_filter(running):
    def targets(*words):
        return {(record["action"], record["target"]) for record in found(running, *words)}
    assert targets("--topic", "plant/+/state") == \
        {("publish", "plant/pump-1/state"), ("subscribe", "plant/+/state")}
    assert ("publish", "plant/pump-1/secret") in targets("--topic", "plant/pump-1/#")
    assert ("subscribe", "plant/+/state") in targets("--topic", "plant/pump-1/#")
    assert targets("--topic", "plant/pump-1/#", "--action", "publish", "--decision", "denied,failed") == \
        {("publish", "plant/pump-1/secret")}
    assert targets("--topic", "#", "--device", "pump-2", "--action", "publish") == {("publish", "elsewhere")}
    assert targets("--topic", "nothing/of/this") == set()


def test_a_rule_is_found_with_its_policy_and_none_is_found_too(running):
    version = str(running.active_policy()["version"])
    denied = found(running, "--policy", version, "--rule", "4")
    assert {record["target"] for record in denied} == {"plant/pump-1/secret"}
    assert not found(running, "--policy", str(int(version) + 1), "--rule", "4")
    undecided = found(running, "--policy", version, "--rule", "none")
    assert "elsewhere" in {record["target"] for record in undecided}
    assert all("rule" not in record for record in undecided)


def test_addresses_are_found_by_network(running):
    here = {record["index"] for record in found(running, "--peer", "127.0.0.1", "--device", "pump-1")}
    assert here and here == {
        record["index"] for record in found(running, "--peer", "127.0.0.0/8", "--device", "pump-1")}
    assert not found(running, "--peer", "127.0.0.2", "--device", "pump-1")
    assert not found(running, "--peer", "192.0.2.0/24")
    peer = next(of(record, "peer") for record in found(running, "--peer", "127.0.0.1", "--device", "pump-1"))
    assert {record["peer"] for record in found(running, "--peer", peer)} == {peer}


def test_families_sources_and_kinds(running):
    assert {record["action"] for record in found(running, "--action", "session.*,token.new", limit=50)} >= \
        {"session.open", "session.close", "token.new"}
    assert {record["source"] for record in found(running, "--source", "device-door", "--device", "pump-1")} == \
        {"device-door"}
    assert {of(record, "actor", "kind") for record in found(running, "--kind", "operator", limit=200)} == {"operator"}


@pytest.mark.parametrize("words, says", [
    (("--action", "nosuch.*"), 'action: "nosuch.*": no family'),
    (("--topic", "a/#/b"), "topic: [MQTT-4.7.1-1]"),
    (("--peer", "127.0.0.1/8"), "peer: the address has bits behind its first 8"),
    (("--serial", "xyz"), "serial: 1 to 20 octets"),
    (("--rule", "0"), "rule: the number of a rule"),
    (("--decision", "no"), "decision: one of allowed, denied and failed"),
])
def test_what_is_no_filter_is_named(running, words, says):
    for command in (("list",), ("follow", "--answers", "1")):
        told = running.touchmark("audit", *command, *words, check=False)
        assert told.returncode != 0 and says in told.stderr


def questions():
    page = (pathlib.Path(__file__).parents[2] / "docs/audit-questions.md").read_text().replace("\\|", "|")
    return [words.removeprefix("touchmark ").replace("SHA256", "ab" * 32).replace("HASH", "cd" * 32)
            for words in re.findall(r"`((?:touchmark )?audit list [^`]*)`", page)]


def test_each_question_of_the_page_is_one(running):
    asked = questions()
    assert len(asked) > 20
    for words in asked:
        running.touchmark(*shlex.split(words), "--limit", "1")


def test_following_begins_at_the_first_record_and_filters(running):
    first = json.loads(running.touchmark("audit", "follow", "--from", "0", "--answers", "1", "--json",
                                         "--action", "log.start").stdout.splitlines()[0])
    assert first["index"] == 0
    told = running.touchmark("audit", "follow", "--from", "1000000", "--answers", "1", check=False)
    assert told.returncode not in (0, 1) and "1000000 is none of it or the next" in told.stderr
    lines = running.touchmark("audit", "follow", "--from", "0", "--answers", "1", "--json", "--topic",
                              "plant/+/state", "--peer", "127.0.0.0/8").stdout.splitlines()
    assert {json.loads(line)["action"] for line in lines} == {"publish", "subscribe"}
