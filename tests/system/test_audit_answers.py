"""Questions to the audit log that one record does not answer, against real doors and real clients."""
import base64
import contextlib
import json
import os
import signal
import struct
import subprocess
import time

import pytest

import place
import relay
import sinks
import trail
import world
from devices import client, publish

POLICY = """allow device connect
allow device publish "plant/${device.id}/#"
allow device subscribe
  "plant/+/state"
deny device publish "plant/+/secret"
allow device "pump-2" publish "on/size", "on/id", "on/verdict"
deny device publish "on/size" when message.size > 1000
deny device publish "on/id" when client.id is known
deny device publish "on/verdict" when attestation.verdict = "bad"
allow device "pump-2" will "on/id" when client.id is not known
"""


@pytest.fixture(scope="module")
def running():
    """A device that was added, published, was refused, and was revoked; another that only looks."""
    def prepare(made):
        sinks.make_folder(made.work / "out")
        with open(made.folder / "touchmark.conf", "a") as settings:
            print(f"[sink-1]\nkind = jsonl\nfile = {made.work}/out/audit.jsonl", file=settings)
    with world.world(policy=POLICY, prepare=prepare) as made:
        for name in ("pump-1", "pump-2"):
            made.enrol(name)
        publish(made, "pump-1", "plant/pump-1/state", times=3)
        publish(made, "pump-1", "plant/pump-1/secret")
        with client(made, "pump-2") as reader:
            reader.subscribe("plant/+/state")
            publish(made, "pump-1", "plant/pump-1/state")
            assert reader.message()[0] == "plant/pump-1/state"
        made.revoke("pump-1", wait=True)
        made.wait_audit(action="receive", device="pump-2")
        made.wait_audit(action="session.close", device="pump-1")
        made.wait_audit(lambda record: record["target"] == "plant/pump-1/secret", action="publish", decision="denied")
        place.wait_for("counted publishes", lambda: sum(
            count(record) for record in made.audit(action="publish", decision="allowed")) == 4, 60)
        yield made


def told(running, *words):
    return json.loads(running.touchmark("audit", *words, "--json").stdout)


def count(record):
    return record.get("aggregate", {}).get("count", 1)


# ---- audit explain ----

def test_a_denial_names_the_rule_and_who_wrote_it(running):
    record = running.audit(action="publish", decision="denied")[0]
    story = told(running, "explain", record["index"])
    assert story["policy"]["author"] == "admin" and story["policy"]["line"] == 5
    assert story["policy"]["rule"] == 'deny device publish "plant/+/secret"'
    assert story["certificate"]["state"] == "revoked" and story["certificate"]["subject"] == "pump-1"
    assert {"session.open", "session.close"} <= {row["action"] for row in story["session"]}
    text = running.touchmark("audit", "explain", record["index"]).stdout
    assert "device pump-1 asked for publish of plant/pump-1/secret" in text and "denied" in text
    assert "made by admin, put in force by admin" in text
    assert 'line 5 decided, a rule since version 2, by admin, ' in text and ':\n  deny device publish "plant/+/secret"\n' in text


def test_a_story_begins_when_it_is_said(running):
    record = running.audit(action="publish", decision="denied", device="pump-1")[0]
    assert told(running, "explain", record["index"])["session"]
    assert told(running, "explain", record["index"], "--since", "2999-01-01T00:00:00Z")["session"] == []


def test_a_rule_of_several_lines_is_told_whole(running):
    record = running.audit(action="subscribe", decision="allowed")[0]
    assert told(running, "explain", record["index"])["policy"]["rule"] == \
        'allow device subscribe\n  "plant/+/state"'


def test_what_is_no_record_is_not_found(running):
    assert running.touchmark("audit", "explain", "99999999", check=False).returncode == 4
    assert running.touchmark("audit", "explain", "x", check=False).returncode == 7


# ---- audit report ----

def test_a_report_is_the_life_of_a_device(running):
    records = len(running.audit(device="pump-1"))
    report = told(running, "report", "pump-1")
    assert [row["action"] for row in report["life"]] == ["device.add", "device.revoke"]
    assert {"token.new", "token.use", "certificate.issue"} <= {row["action"] for row in report["certificates"]}
    sums = {(row["action"], row["decision"], row["target"]): row["count"] for row in report["traffic"]}
    assert sums["publish", "allowed", "plant/pump-1/state"] == 4
    assert sums["publish", "denied", "plant/pump-1/secret"] == 1
    assert report["state"]["state"] == "revoked" and report["addresses"] == ["127.0.0.1"]
    assert report["records"] == records
    assert running.touchmark("device", "show", "pump-1").returncode == 0
    readers = told(running, "report", "pump-1")["readers"]
    assert any(row["actor"] == "admin" and row["action"] == "device.read" for row in readers)
    assert "Messages:" in running.touchmark("audit", "report", "pump-1").stdout


def test_a_report_tells_who_searched_the_log_for_the_device(running, tmp_path):
    running.touchmark("operator", "add", "otto", "--role", "auditor", "--out", tmp_path / "otto")
    otto = ["--profile", tmp_path / "otto/operator.conf", "--server", f"https://127.0.0.1:{running.ports['operator']}"]
    for words in (["--device", "pump-1"], ["--actor", "pump-1", "--action", "publish"], ["--device", "pump-10"]):
        place.touchmark("audit", "list", *words, *otto)
    readers = told(running, "report", "pump-1")["readers"]
    assert [row["count"] for row in readers if (row["actor"], row["action"]) == ("otto", "log.read")] == [2]


def test_nobody_has_no_report(running):
    assert running.touchmark("audit", "report", "nobody", check=False).returncode == 4


# ---- audit access ----

def test_access_tells_who_could_and_who_did(running):
    answer = told(running, "access", "plant/pump-1/state")
    active = running.active_policy()["version"]
    could = {(row["device"], row["may"]): row for row in answer["could"] if row["policy"] == active}
    assert set(could) == {("pump-1", "publish"), ("pump-1", "receive"), ("pump-2", "receive")}
    assert could["pump-1", "publish"]["line"] == 2 and could["pump-1", "publish"]["sure"] and could["pump-1", "publish"]["state"] == "revoked"
    did = {(row["actor"], row["action"]): row["count"] for row in answer["did"]}
    assert did["pump-1", "publish"] == 4 and did["pump-2", "receive"] == 1 and did["pump-2", "subscribe"] == 1
    text = running.touchmark("audit", "access", "plant/pump-1/state").stdout
    assert "Who could" in text and "Who did" in text


def test_access_that_rests_on_what_only_the_door_knew_is_perhaps(running):
    active = running.active_policy()["version"]

    def could(topic):
        return [(row["may"], row["sure"]) for row in told(running, "access", topic)["could"] if row["policy"] == active]
    assert could("on/size") == [("publish", False)]
    assert could("on/id") == [("publish", False), ("will", False)]
    assert could("on/verdict") == []  # no door knows it, and so all deny
    assert "perhaps" in running.touchmark("audit", "access", "on/size").stdout


def test_a_denial_is_an_access_that_was_tried(running):
    answer = told(running, "access", "plant/pump-1/secret")
    assert [(row["actor"], row["decision"]) for row in answer["did"]] == [("pump-1", "denied")]
    assert not [row for row in answer["could"] if row["may"] == "publish"
                and row["policy"] == running.active_policy()["version"]]


def test_what_was_counted_with_other_topics_is_told_apart(running):
    """The first four topics of a window have a record each, the others one with their pattern."""
    topics = [f"plant/pump-2/{name}" for name in ("first", "second", "second", "third", "fourth", "fifth", "sixth")]
    with client(running, "pump-2") as publisher:
        for topic in topics:
            publisher.publish(topic, b"x", qos=1)
    place.wait_for("counted publishes", lambda: sum(
        count(record) for record in running.audit(action="publish", device="pump-2")) == 7, 60)

    def rows(answer, name):
        return [(row["actor"], row["count"], row["target"]) for row in answer[name]]
    for topic, times in (("second", 2), ("sixth", 0)):
        answer = told(running, "access", f"plant/pump-2/{topic}")
        assert rows(answer, "did") == [("pump-2", times, f"plant/pump-2/{topic}")] * (times > 0)
        assert rows(answer, "perhaps") == [("pump-2", 2, "plant/pump-2/+")]
    for topic in set(topics):
        assert running.audit(action="publish", device="pump-2", topic=topic), topic
    assert told(running, "access", "plant/pump-1/third")["perhaps"] == []
    assert "And perhaps" in running.touchmark("audit", "access", "plant/pump-2/first").stdout


def test_a_subscription_counted_behind_another_is_told(running):
    """The first four filters have records of their own, the others one with their pattern."""
    with client(running, "pump-2") as reader:
        for name in "abcdef":
            reader.subscribe(f"plant/{name}/state")
    place.wait_for("counted subscriptions", lambda: any(
        record.get("aggregate", {}).get("targets") == 2 for record in running.audit(action="subscribe", device="pump-2")), 60)
    answer = told(running, "access", "plant/f/state")
    rows = [row for row in answer["perhaps"] if row["action"] == "subscribe"]
    assert [(row["actor"], row["count"], row["target"]) for row in rows] == [("pump-2", 2, "plant/+/state")]
    assert not any(row["action"] == "subscribe" for row in told(running, "access", "plant/f/other")["perhaps"])


def test_a_try_behind_a_flood_is_told(running):
    """Ten are told one by one; of the rest each topic has a count under its own name."""
    with client(running, "pump-2") as publisher:
        for _ in range(12):
            publisher.publish("plant/other/x", b"x", qos=1)
        publisher.publish("plant/7/valve", b"x", qos=1)
    running.wait_audit(action="publish", decision="denied", device="pump-2", topic="plant/7/valve")
    answer = told(running, "access", "plant/7/valve")
    assert ("pump-2", "denied", "plant/7/valve") in \
        {(row["actor"], row["decision"], row["target"]) for row in answer["did"]}


def test_access_since_tomorrow_is_nobodys(running):
    answer = told(running, "access", "plant/pump-1/state", "--since", "2999-01-01T00:00:00Z")
    assert answer["did"] == [] and {row["policy"] for row in answer["could"]} == {running.active_policy()["version"]}
    assert running.touchmark("audit", "access", "plant/#", check=False).returncode == 7


# ---- audit follow ----

def follow(running, *words):
    return subprocess.Popen(
        [place.BIN / "touchmark", "audit", "follow", "--json", *map(str, words), "--profile",
         running.folder / "operator/operator.conf", "--server", f"https://127.0.0.1:{running.ports['operator']}"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_records_are_followed_as_they_are_written_and_over_a_restart(running):
    newest = running.audit()[0]["index"]
    with follow(running, "--from", newest, "--action", "device.add") as process:
        try:
            running.add_device("followed-1")
            first = json.loads(process.stdout.readline())
            assert first["device"] == "followed-1" and first["index"] > newest
            os.kill(running.running.pids("authority")[0], signal.SIGKILL)
            running.wait_healthy()
            running.add_device("followed-2")
            assert json.loads(process.stdout.readline())["device"] == "followed-2"
        finally:
            process.kill()


class Follower:
    """audit follow, with what it says in files."""

    def __init__(self, running, path, *words, port=None):
        self.out, self.told = path.with_suffix(".out"), path.with_suffix(".told")
        with open(self.out, "wb") as out, open(self.told, "wb") as told:
            self.process = subprocess.Popen(
                [place.BIN / "touchmark", "audit", "follow", "--json", *map(str, words), "--profile",
                 running.folder / "operator/operator.conf", "--server",
                 f"https://127.0.0.1:{port or running.ports['operator']}"], stdout=out, stderr=told)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.process.kill()
        self.process.wait(30)

    def seen(self):
        whole = self.out.read_text().rpartition("\n")[0]
        return [json.loads(line)["index"] for line in whole.splitlines()]

    def says(self):
        return self.told.read_text()

    def wait_says(self, text):
        place.wait_for(f"the word {text!r}", lambda: text in self.says() or self.process.poll() is not None, 90)
        assert self.process.poll() is None and text in self.says(), self.says()


def test_what_follows_outlives_those_it_follows(running, tmp_path):
    """Door and authority die again and again, alone and together: no record is missed, and none shown twice."""
    start = running.audit()[0]["index"] + 1
    added = []
    with Follower(running, tmp_path / "one", "--from", start, "--action", "device.add") as one:
        for turn, victims in enumerate([["operator-door"], ["authority"], ["operator-door", "authority"]] * 2):
            pids = [running.running.pids(victim)[0] for victim in victims]
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            place.wait_for("others", lambda: all(set(running.running.pids(victim)) - set(pids) for victim in victims), 60)
            running.wait_healthy()
            for number in range(3):
                added.append(f"outlives-{turn}-{number}")
                running.add_device(added[-1])
            place.wait_for("all so far", lambda: len(one.seen()) >= len(added) or one.process.poll() is not None, 90)
        wanted = sorted(record["index"] for record in running.audit(action="device.add") if record["index"] >= start)
        assert len(wanted) == len(added)
        time.sleep(1)
        assert one.process.poll() is None, one.says()
        assert one.seen() == wanted
    said = one.says().splitlines()
    # libcurl asks again by itself when a connection that it kept is gone: a door's death is not told.
    assert any("HTTP 503" in line and "trying again" in line for line in said), said
    assert any("goes on from record" in line for line in said), said


def test_connections_may_break_anywhere(running, tmp_path):
    """Refused, ended before TLS is up, and within an answer: told once each time, and it goes on behind what it has shown."""
    start = running.audit()[0]["index"] + 1
    wanted = ("--from", start, "--action", "device.add")
    with contextlib.ExitStack() as stack:
        between = stack.enter_context(relay.Relay(running.ports["operator"]))
        ways = [("refuse", 0), ("hang-up", 0), ("reset", 0), ("tear", 0), ("tear", 100), ("tear", 500)]
        one = stack.enter_context(Follower(running, tmp_path / "one", *wanted, port=between.port))
        for turn, (mode, after) in enumerate(ways):
            running.add_device(f"before-{turn}")
            place.wait_for("the one before", lambda: len(one.seen()) == 2 * turn + 1, 90)
            between.become(mode, after)
            running.add_device(f"meanwhile-{turn}")
            place.wait_for("words of it", lambda: one.says().count("is not reachable now") > turn, 90)
            assert mode == "refuse" or between.torn > 0
            between.become("pass")
            place.wait_for("the one meanwhile", lambda: len(one.seen()) == 2 * turn + 2, 90)
        assert one.process.poll() is None
        assert one.seen() == sorted(record["index"] for record in running.audit(action="device.add")
                                    if record["index"] >= start)
        assert one.says().count("goes on from record") == turn + 1
    print(one.says())


def test_one_follower_too_many_waits_for_a_place(running, tmp_path):
    """Four of one operator follow; a fifth is told so, tries again, and misses nothing once one has gone."""
    start = running.audit()[0]["index"] + 1
    def begun():
        """Whoever begins to follow what nobody followed yet has a record of his own."""
        return sum(record["target"].startswith("follow ") and "aggregate" not in record
                   for record in running.audit(action="log.read"))
    with contextlib.ExitStack() as stack:
        before = begun()
        four = [stack.enter_context(Follower(running, tmp_path / action, "--action", action))
                for action in ("system.restore", "operator.revoke", "log.hold", "proposal.make")]
        place.wait_for("four that follow", lambda: begun() >= before + 4, 60)
        late = stack.enter_context(Follower(running, tmp_path / "late", "--from", start, "--action", "device.add"))
        late.wait_says("follows the log 4 times already")
        running.add_device("while-it-waits")
        four[0].process.kill()
        late.wait_says("goes on from record")
        running.add_device("when-it-follows")
        place.wait_for("both", lambda: len(late.seen()) == 2, 60)
        assert late.seen() == sorted(record["index"] for record in running.audit(action="device.add")
                                     if record["index"] >= start)
        assert all(each.process.poll() is None for each in four[1:])


def test_following_is_in_the_log_and_does_not_follow_itself(running):
    before = len(running.audit(action="log.read"))
    done = running.touchmark("audit", "follow", "--answers", 1, "--action", "device.add", "--json")
    assert done.stdout == ""  # ten seconds without news
    assert len(running.audit(action="log.read")) > before


def test_two_who_follow_are_not_each_others_news(running):
    with follow(running, "--answers", 1) as one, follow(running, "--answers", 1) as other:
        seen = [json.loads(line) for process in (one, other) for line in process.communicate(timeout=60)[0].splitlines()]
    assert not [record for record in seen if record.get("target", "").startswith("follow ")]
    before = running.api("GET", "/v1/status")["audit_records"]
    with follow(running, "--answers", 2) as one, follow(running, "--answers", 2) as other:
        for process in (one, other):
            process.communicate(timeout=90)
    assert running.api("GET", "/v1/status")["audit_records"] - before < 20


def test_a_copy_page_by_page_comes_to_an_end(running):
    pages, start = 0, 0
    while True:
        body = running.call("GET", f"/v1/audit/entries?from={start}").body
        pages += 1
        if not body:
            break
        while body:
            start, length = struct.unpack_from(">QI", body)
            body = body[44 + length:]
        start += 1
        assert pages < 50
    assert start >= int(running.call("GET", "/v1/audit/checkpoint").body.split(b"\n")[1]) - 5


def test_who_may_not_read_may_not_follow(running, tmp_path):
    running.touchmark("operator", "add", "watcher", "--role", "auditor", "--out", tmp_path / "watcher")
    running.touchmark("operator", "revoke", "watcher")
    done = place.touchmark("audit", "follow", "--profile", tmp_path / "watcher/operator.conf", "--server",
                           f"https://127.0.0.1:{running.ports['operator']}", check=False)
    assert done.returncode == 3


# ---- audit explain, once more: with a policy of its own ----

def test_a_rule_has_the_author_of_the_version_that_brought_it(running, tmp_path):
    """Bob adds a comment, and then a rule: what admin wrote before stays admin's."""
    running.touchmark("operator", "add", "bob", "--role", "admin", "--out", tmp_path / "bob")
    file, first = tmp_path / "new.policy", running.active_policy()["version"]
    file.write_text("# bob was here\n" + POLICY + 'deny device publish "plant/+/other"\n')
    place.touchmark("policy", "apply", file, "--why", "tidied", "--profile", tmp_path / "bob/operator.conf",
                    "--server", f"https://127.0.0.1:{running.ports['operator']}")
    running.wait_applied()
    for topic, line, since, author in (("secret", 6, first, "admin"), ("other", 12, first + 1, "bob")):
        publish(running, "pump-2", f"plant/pump-2/{topic}")
        record = running.wait_audit(lambda one: one["target"] == f"plant/pump-2/{topic}", device="pump-2", decision="denied")
        told_ = told(running, "explain", record["index"])["policy"]
        assert (told_["version"], told_["author"], told_["line"]) == (first + 1, "bob", line)
        assert (told_["applied_by"], told_["applied_why"]) == ("bob", "tidied")
        assert (told_["rule_since"], told_["rule_author"], told_["rule_older"]) == (since, author, False)
        assert told_["rule"] == f'deny device publish "plant/+/{topic}"'
    text = running.touchmark("audit", "explain", record["index"]).stdout
    assert "made by bob, put in force by bob (tidied)." in text
    assert running.touchmark("audit", "explain", record["index"], "--since", "x", check=False).returncode == 7


def test_a_rule_of_an_imported_file_is_found(running, tmp_path):
    """Two rules on the same line of their files: told apart in the log, each with its own words."""
    file = tmp_path / "two.policy"
    file.write_text('import "low"\n' + POLICY + 'file "low"\n# of the plant\ndeny device publish "plant/+/low"\n')
    running.touchmark("policy", "apply", file, "--why", "in two files")
    running.wait_applied()
    for topic in ("low", "secret"):
        publish(running, "pump-2", f"plant/pump-2/{topic}")
        record = running.wait_audit(lambda one: one["target"] == f"plant/pump-2/{topic}", device="pump-2", decision="denied",
                                    action="publish", policy=running.active_policy()["version"])
        assert told(running, "explain", record["index"])["policy"]["rule"] == f'deny device publish "plant/+/{topic}"'


def test_access_leaves_open_what_only_the_connection_told(running, tmp_path):
    file = tmp_path / "open.policy"
    file.write_text(POLICY + 'allow device publish "valve/open" when connection.address in { 127.0.0.0/8 }\n'
                    'allow device publish "valve/shut" until 2099-01-01\n')
    running.touchmark("policy", "apply", file, "--why", "valves")
    running.wait_applied()
    version = running.active_policy()["version"]
    made = {row["version"]: row["made"] for row in running.api("GET", "/v1/policies")["policies"]}[version]
    for topic in ("valve/open", "valve/shut"):
        for since in ((), ("--since", made), ("--since", made[:19] + "Z")):
            could = [row for row in told(running, "access", topic, *since)["could"] if row["policy"] == version]
            assert {(row["device"], row["may"]) for row in could} >= {("pump-2", "publish")}, (topic, since, could)
            assert not any(row["sure"] for row in could)
    assert "pump-2" in running.touchmark("audit", "access", "valve/open").stdout
    assert running.touchmark("audit", "access", "valve/open", "--since", "yesterday", check=False).returncode != 0


# ---- One correlation id, from the door to the sinks ----

def records_of(running, correlation, *actions):
    """As searched for by the command line, when these are there, and as they went out: the same. {action: [record]}"""
    def found():
        records = told(running, "list", "--correlation", correlation)["records"]
        return records if set(actions) <= {record["action"] for record in records} else None
    records = place.wait_for(f"{actions} under {correlation}", found)
    sinks.wait_exported(running, 30)
    out = sinks.lines_of(running.work / "out/audit.jsonl")
    assert [record for record in reversed(out) if record.get("correlation") == correlation] == records
    return {action: [record for record in records if record["action"] == action] for action in actions}


def signed_under(running, correlation):
    return [(each.key, each.of, each.serial) for each in trail.signatures(running.folder) if each.correlation == correlation]


def test_an_enrolment_and_its_revocation_each_have_one_id_through_all(running):
    running.add_device("pump-3")
    token = running.new_token("pump-3")
    key, request = world.make_request("pump-3")
    login = base64.b64encode(f"{token['id']}:{token['secret']}".encode()).decode()
    answer = running.call("POST", "/.well-known/est/simpleenroll", base64.encodebytes(request), door="https", who=None,
                          headers={"Content-Type": "application/pkcs10", "Authorization": f"Basic {login}"})
    assert answer.status == 200
    device = running.keep("pump-3", world.certificate_of_answer(answer.body), key)
    enrolment = answer.headers["x-request-id"]
    records = records_of(running, enrolment, "certificate.issue", "token.use")
    issued, = records["certificate.issue"]
    assert issued["source"] == "authority" and issued["certificate"]["fingerprint"] == device.fingerprint
    assert signed_under(running, enrolment) == [("devices", 1, issued["certificate"]["serial"].lstrip("0"))]
    answer = running.call("POST", "/v1/devices/pump-3/revoke", {})
    revocation = answer.headers["x-request-id"]
    records = records_of(running, revocation, "device.revoke", "certificate.revoke", "crl.issue")
    assert [record["target"].split()[0] for record in records["crl.issue"]] == ["devices"]
    assert signed_under(running, revocation) == [("devices", 2, "")]


def test_a_session_has_one_id_from_its_begin_to_its_end(running):
    running.enrol_quickly("pump-4")
    with client(running, "pump-4") as publisher:
        for _ in range(5):
            publisher.publish("plant/pump-4/state", b"x", qos=1)
        publisher.publish("plant/pump-4/secret", b"x", qos=1)
    opened = running.wait_audit(action="session.open", device="pump-4")
    records = records_of(running, opened["correlation"], "session.open", "publish", "session.close")
    assert [len(records[action]) for action in ("session.open", "session.close")] == [1, 1]
    publishes = {decision: sum(count(record) for record in records["publish"] if record["decision"] == decision)
                 for decision in ("allowed", "denied")}
    assert publishes == {"allowed": 5, "denied": 1}
    assert {record["source"] for rows in records.values() for record in rows} == {"device-door"}
