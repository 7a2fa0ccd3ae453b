"""Erasing, legal hold and the log's key through the command line, against real doors."""
import base64
import json
import os
import re
import signal

import pytest

import mqtt
import place
import world
from devices import client


@pytest.fixture(scope="module")
def running():
    with world.world(policy="allow device connect\n") as made:
        yield made


def told(running, *words):
    return json.loads(running.touchmark(*words, "--json").stdout)


def refused(running, status, *words):
    """Its message, and the reason, which only the log tells."""
    done = running.touchmark(*words, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    assert done.stdout == ""
    request = re.search(r"request ([0-9a-f]{32})", done.stderr)
    if request is None or status != 3:
        return done.stderr
    return records(running, "--correlation", request.group(1))[0].get("reason", "")


def records(running, *words):
    return told(running, "audit", "list", "--limit", "500", *words)["records"]


def verified(running, tmp_path):
    """As anybody does it: a copy, and the key alone."""
    folder = tmp_path / "copy"
    running.touchmark("audit", "export", folder)
    key = running.folder / "operator/checkpoints.pub.pem"
    return json.loads(place.touchmark("audit", "verify", folder, "--key", key, "--json").stdout)


def prove(running, index, path):
    running.touchmark("audit", "prove", str(index), "--save", path)


def proven(running, path, *words):
    key = running.folder / "operator/checkpoints.pub.pem"
    return json.loads(place.touchmark("audit", "verify", "--proof", path, "--key", key, *words, "--json").stdout)


def wait_covered(running):
    def covered():
        status = told(running, "status")
        return status["audit_checkpoint"] == status["audit_records"]
    place.wait_for("a checkpoint over all", covered)


def test_a_devices_records_are_erased_and_the_log_verifies(running, tmp_path):
    running.enrol("gone-1")
    running.enrol("stays-1")
    text = refused(running, 3, "audit", "erase", "--device", "gone-1", "--reason", "ticket 812")
    assert "suspend or revoke it first" in text
    running.touchmark("device", "revoke", "gone-1", "--wait")
    before = records(running, "--device", "gone-1")
    assert {"device.add", "certificate.issue", "device.revoke"} <= {record["action"] for record in before}
    wait_covered(running)
    own = next(record["index"] for record in before if record["actor"]["kind"] != "operator")
    prove(running, own, tmp_path / "kept")
    told(running, "audit", "erase", "--device", "gone-1", "--reason", "ticket 812")

    after = records(running, "--device", "gone-1")
    done, asked, denied = (record for record in after if record["action"] == "log.erase")
    assert denied["decision"] == "denied"
    assert asked["reason"] == "ticket 812" and asked["actor"] == {"kind": "operator", "id": "admin"}
    assert re.fullmatch(r"done: \d+ records", done["reason"])
    for old in before:
        now = told(running, "audit", "show", old["index"])
        if old["actor"]["kind"] == "operator":
            assert now == old  # who did it, erasing or else, answers for it
            continue
        assert now["erased"] is True and "actor" not in now and "gone-1" not in json.dumps(now)
        assert [now[name] for name in ("leaf", "time", "action", "decision")] == \
               [old[name] for name in ("leaf", "time", "action", "decision")]
    assert any(record["action"] == "certificate.issue" for record in records(running, "--device", "stays-1"))

    wait_covered(running)
    prove(running, own, tmp_path / "proof")
    now, kept = proven(running, tmp_path / "proof"), tmp_path / "entry"
    assert now["index"] == own and "actor" not in now
    kept.write_bytes(base64.b64decode(re.search("^extra (.*)$", (tmp_path / "kept").read_text(), re.MULTILINE).group(1)))
    assert "gone-1" in json.dumps(proven(running, tmp_path / "proof", "--record", kept))  # who kept it proves it, still
    result = verified(running, tmp_path)
    assert result["verified"] is True and result["erased"] == int(re.search(r"\d+", done["reason"]).group())
    # What was asked about it is its asker's record.
    named = [record for record in running.audit() if "gone-1" in json.dumps(record)]
    assert {record["actor"]["kind"] for record in named if record["action"] != "log.erase"} == {"operator"}
    assert {"log.erase", "device.add", "device.revoke"} <= {record["action"] for record in named}


def test_its_later_records_are_read_again(running):
    running.enrol("again-1")
    running.touchmark("device", "suspend", "again-1")
    running.touchmark("audit", "erase", "--device", "again-1", "--reason", "a trial")
    place.wait_for("erasure", lambda: not running.api("GET", "/v1/audit/erasures")["erasures"])
    assert running.audit(device="again-1", kind="device") == []
    running.touchmark("device", "resume", "again-1", "--wait")
    with client(running, "again-1"):
        pass
    running.wait_audit(device="again-1", kind="device", action="session.open")


def test_nobody_ends_his_traces_through_a_device(running, tmp_path):
    running.touchmark("operator", "add", "mallory", "--role", "admin", "--out", tmp_path / "mallory")
    profile = ["--profile", tmp_path / "mallory/operator.conf",
               "--server", f"https://127.0.0.1:{running.ports['operator']}"]
    for words in (["device", "add", "x-1"], ["token", "new", "x-1"], ["device", "revoke", "x-1"]):
        place.touchmark(*words, *profile)
    assert place.touchmark("audit", "erase", "--device", "x-1", "--reason", "gdpr", *profile,
                           check=False).returncode == 4
    done = {record["action"] for record in records(running, "--actor", "mallory")}
    assert {"device.add", "token.new", "device.revoke"} <= done


def test_the_doors_files_lose_what_the_authority_has(running):
    """Ten seconds after a door's start, of what a former life wrote, too."""
    who = running.enrol("quiet-1")
    with mqtt.Client(running.ports["mqtts"], world.tls_context(running.root, who), who.id) as client:
        assert client.connect() == mqtt.ACCEPTED
    running.wait_audit(action="session.open", device="quiet-1")
    spool = next(path for path in running.folder.rglob("spool") if "device" in str(path) and path.is_dir())

    def holding():
        return [path.name for path in spool.iterdir() if b"quiet-1" in path.read_bytes()]
    before = running.running.pids("device-door")
    os.kill(before[0], signal.SIGKILL)
    place.wait_for("another device door",
                   lambda: (now := running.running.pids("device-door")) and now != before, 60)
    place.wait_for("files of the door without it", lambda: not holding(), 60)


def test_a_hold_prevents_it_until_it_is_removed(running):
    running.enrol("held-1")
    running.touchmark("device", "suspend", "held-1")
    number = str(told(running, "audit", "hold", "add", "--device", "held-1", "--reason", "case 4711")["number"])
    assert "case 4711" in running.touchmark("audit", "hold", "list").stdout
    text = refused(running, 3, "audit", "erase", "--device", "held-1", "--reason", "ticket 813")
    assert f"hold {number}" in text and "case 4711" in text
    assert any(record["action"] == "device.add" for record in records(running, "--device", "held-1"))
    running.touchmark("audit", "hold", "remove", number, "--reason", "closed")
    refused(running, 4, "audit", "hold", "remove", number, "--reason", "closed")
    assert told(running, "audit", "hold", "list") == {"holds": []}
    running.touchmark("audit", "erase", "--device", "held-1", "--reason", "ticket 813")
    reasons = [record["reason"] for record in records(running, "--action", "log.hold")]
    assert "removed: closed" in reasons and "added: case 4711" in reasons


def test_a_hold_on_a_time_holds_who_acted_then(running):
    running.enrol("then-1")
    begin = records(running, "--device", "then-1", "--action", "certificate.issue")[0]["time"]
    running.touchmark("device", "suspend", "then-1")
    number = str(told(running, "audit", "hold", "add", "--since", begin, "--until", begin,
                      "--reason", "that day")["number"])
    assert "that day" in refused(running, 3, "audit", "erase", "--device", "then-1", "--reason", "x")
    running.touchmark("audit", "hold", "remove", number, "--reason", "over")


@pytest.mark.parametrize("words,status", [
    (["erase", "--reason", "x"], 7),
    (["erase", "--device", "a", "--operator", "b", "--reason", "x"], 7),
    (["erase", "--device", "a"], 7),
    (["erase", "--device", "nobody-knows-it", "--reason", "x"], 4),
    (["erase", "--operator", "admin", "--reason", "x"], 3),
    (["hold", "add", "--reason", "x"], 7),
    (["hold", "add", "--all"], 7),
    (["hold", "add", "--all", "--device", "a", "--reason", "x"], 7),
    (["hold", "remove", "one", "--reason", "x"], 7),
    (["hold", "forget"], 7),
])
def test_what_is_wrong_is_named(running, words, status):
    refused(running, status, "audit", *words)


def test_nobody_erases_an_operator_alone_and_an_auditor_erases_nothing(running, tmp_path):
    running.touchmark("operator", "add", "otto", "--out", tmp_path / "otto")
    profile = ["--profile", tmp_path / "otto/operator.conf"]
    door = ["--server", f"https://127.0.0.1:{running.ports['operator']}"]
    running.touchmark("device", "add", "his-1")

    def as_otto(*words):
        return place.touchmark(*words, *profile, *door, check=False)
    assert as_otto("audit", "hold", "list").returncode == 0
    for words in (["audit", "erase", "--device", "his-1", "--reason", "x"],
                  ["audit", "hold", "add", "--all", "--reason", "x"],
                  ["audit", "hold", "remove", "1", "--reason", "x"]):
        assert as_otto(*words).returncode == 3
    assert as_otto("device", "add", "his-2").returncode == 3
    refused(running, 3, "audit", "erase", "--operator", "otto", "--reason", "has left")
    running.touchmark("operator", "revoke", "otto", "--wait")
    running.wait_audit(lambda record: record["target"] == "POST /v1/devices", actor="otto")
    assert "not erased by one alone" in refused(running, 3, "audit", "erase", "--operator", "otto", "--reason", "has left")
    assert records(running, "--actor", "otto") != []
