"""What a policy means, asked of a running system: its devices, its versions, and what its door really decides."""
import contextlib
import json
import re
import time

import pytest

import mqtt
import place
import world

POLICY = """allow device connect
allow device publish, subscribe "devices/${device.id}/#"
allow group "screens" subscribe "devices/+/state"
deny group "recalled" publish "devices/+/orders"
"""


@pytest.fixture(scope="module")
def running():
    with world.world(policy=POLICY) as made:
        for name, *groups in (("pump-1", "pumps"), ("pump-2", "pumps"), ("screen-1", "screens"), ("gone-1", "pumps")):
            made.add_device(name, *groups)
        made.touchmark("device", "revoke", "gone-1")
        yield made


@pytest.fixture
def work(tmp_path):
    return tmp_path


def told(running, *words, status=0):
    done = running.touchmark(*words, "--json", check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return json.loads(done.stdout)


def written(work, text, name="new.policy"):
    (work / name).write_text(text)
    return work / name


def widened(work, file):
    """The policy, with more rights for nobody than diff tells of (20,000 filters)."""
    more = ('allow device "nobody" publish ' + ", ".join(f'"t/{i}/{k}"' for k in range(1001)) for i in range(20))
    wide = written(work, file.read_text() + "\n".join(more), "wide.policy")
    assert place.touchmark("policy", "diff", file, wide, check=False).returncode == 7
    return wide


# ---- policy check ----

def test_a_check_knows_which_groups_are_empty(running, work):
    file = written(work, POLICY)
    assert "no warnings" in place.touchmark("policy", "check", file).stdout
    done = running.touchmark("policy", "check", "--server-check", "--strict", file, check=False)
    assert done.returncode == 9 and "accepted by the server, too, 1 warning\n" in done.stdout
    assert f'{file}:4:1: warning: no device is in the group "recalled"' in done.stderr
    found = told(running, "policy", "check", "--server-check", file)["findings"]
    assert [(one["line"], one["concern"]) for one in found if one["warning"]] == [(4, "empty-group")]
    running.add_device("late-1", "recalled")
    assert told(running, "policy", "check", "--server-check", file)["warnings"] == 0
    running.touchmark("device", "revoke", "late-1")
    assert told(running, "policy", "check", "--server-check", file)["warnings"] == 1


# ---- policy can, reach, who: the same that the door says ----

JUDGED = """allow device connect
deny device "banned" connect
allow group "pumps" publish "plant/${device.id}/#"
allow device publish "small" when message.size <= 10 and message.qos = 1
deny device publish "plant/+/secret"
allow device "pump-2" publish "plant/#" when certificate.left > 1s and connection.protocol = "mqtt"
allow device publish "near" when connection.address in { 127.0.0.0/8 }
allow device publish "over-https" when connection.protocol = "https"
allow group "screens" subscribe "plant/+/state"
deny group "recalled" publish "#"
allow device publish "mine/${certificate.serial}", "known/#"
deny device publish "known/fingerprint" when certificate.fingerprint starts with "00000000"
deny device publish "known/left" when certificate.left is known
deny device publish "known/id" when client.id is known
"""
DEVICES = {"pump-1": ["pumps"], "pump-2": ["pumps"], "screen-1": ["screens"], "old-1": ["pumps", "recalled"]}
TOPICS = ["plant/pump-1/flow", "plant/pump-2/flow", "plant/pump-1/secret", "small", "near", "over-https", "elsewhere"]


@pytest.fixture(scope="module")
def judged():
    with world.world(policy=JUDGED) as made:
        made.version = told(made, "policy", "show")["version"]
        made.credentials = {name: made.enrol(name, *groups) for name, groups in DEVICES.items()}
        made.credentials["banned"] = made.enrol("banned")
        yield made


def at_the_door(judged, name, topic):
    """(decision, line) that the audit log has of one publication."""
    credential = judged.credentials[name]
    with mqtt.Client(judged.ports["mqtts"], world.tls_context(judged.root, credential), name) as client:
        client.connect()
        client.publish(topic, b"12345", qos=1)
    record = judged.wait_audit(device=name, action="publish", topic=topic)
    return record["decision"], record.get("rule")


def test_can_says_what_the_door_does(judged):
    for name in DEVICES:
        for topic in TOPICS:
            done = judged.touchmark("policy", "can", name, "publish", topic, "--qos", 1, "--size", 5, "--address",
                                    "127.0.0.1", "--json", check=False)
            answer = json.loads(done.stdout)
            said = ("allowed" if answer["can"] else "denied", answer["decision"]["line"])
            assert at_the_door(judged, name, topic) == said, (name, topic, answer)
            assert done.returncode == (0 if answer["can"] else 9)
            assert answer["groups"] == DEVICES[name] and answer["decision"]["version"] == judged.version


def test_can_says_perhaps_where_only_the_door_knows_whether_a_fact_is_known(judged):
    """What it says without a perhaps is what the door does."""
    serial = judged.touchmark("device", "show", "screen-1", "--json")
    serial = json.loads(serial.stdout)["certificates"][0]["serial"]
    told_of = {}
    for topic in (f"mine/{serial}", "mine/00", "known/fingerprint", "known/left", "known/id", "known/none"):
        answer = json.loads(judged.touchmark("policy", "can", "screen-1", "publish", topic, "--json", check=False).stdout)
        told_of[topic] = answer["outcome"]
        decision, _ = at_the_door(judged, "screen-1", topic)
        assert answer["outcome"] in (decision, "perhaps"), topic
        assert answer["untold"] == (["client.id"] if topic == "known/id" else [])
    assert list(told_of.values()) == ["allowed", "denied", "allowed", "denied", "perhaps", "allowed"]


def matches(wanted, topic):
    """MQTT 4.7, for topics that do not begin with $."""
    pattern = "/".join("[^/]*" if level == "+" else re.escape(level) for level in wanted.split("/"))
    return re.fullmatch(re.sub(r"/?\\#$", "(/.*)?", pattern), topic) is not None


def holds(entry, topic):
    return "publish" in entry["actions"] and matches(entry["filter"], topic) and \
        not any(matches(one, topic) for one in entry["except"])


def test_reach_and_who_have_all_that_the_door_allows(judged):
    for topic in TOPICS:
        may = {row["device"]: row["sure"] for row in told(judged, "policy", "who", "publish", topic)["devices"]}
        assert "banned" not in may
        for name in DEVICES:
            decision, _ = at_the_door(judged, name, topic)
            assert decision == "denied" if name not in may else decision == "allowed" or not may[name], (name, topic)
            reach = [entry for entry in told(judged, "policy", "reach", name)["reach"] if holds(entry, topic)]
            assert bool(reach) == (name in may), (name, topic)


def test_a_device_that_may_not_connect_can_nothing(judged):
    done = judged.touchmark("policy", "can", "banned", "publish", "near", "--address", "127.0.0.1", check=False)
    assert done.returncode == 9
    assert "allowed by line 7" in done.stdout and "but it may not connect: denied by line 2" in done.stdout
    assert "may not connect" in judged.touchmark("policy", "reach", "banned").stderr
    assert judged.touchmark("policy", "can", "banned", "connect", check=False).returncode == 9


def test_a_device_that_is_suspended_can_nothing_until_it_is_resumed(judged):
    ask = ["policy", "can", "pump-1", "publish", "plant/pump-1/flow"]
    assert told(judged, *ask)["state"] == "active"
    judged.touchmark("device", "suspend", "pump-1")
    done = judged.touchmark(*ask, check=False)
    assert done.returncode == 9 and "no door lets it in: it is suspended" in done.stdout
    assert "suspended" in judged.touchmark("policy", "reach", "pump-1").stderr
    rows = judged.touchmark("policy", "who", "publish", "plant/pump-1/flow").stdout.splitlines()
    assert [row for row in rows if row.startswith("pump-1 ") and "not while suspended" in row]
    judged.touchmark("device", "resume", "pump-1")
    assert told(judged, *ask)["can"] is True


def test_a_candidate_is_asked_instead(judged, work):
    file = written(work, 'allow device connect\nallow group "screens" publish "near"\n')
    rows = told(judged, "policy", "who", "publish", "near", "--policy", file)["devices"]
    assert [(row["device"], row["sure"], row["rules"][0]["line"]) for row in rows] == [("screen-1", True, 2)]
    assert told(judged, "policy", "can", "pump-1", "publish", "near", "--policy", file, status=9)["can"] is False
    assert told(judged, "policy", "can", "pump-1", "publish", "near", "--policy", file, "--groups", "screens")["can"]
    assert "There are no devices" in judged.touchmark("policy", "who", "publish", "no", "--policy", file).stderr
    assert told(judged, "policy", "who", "connect", "--policy", file)["devices"][0]["sure"] is True
    first = told(judged, "policy", "can", "pump-1", "publish", "near", "--policy", 1, status=9)
    assert first["decision"]["version"] == 1
    assert judged.touchmark("policy", "can", "nobody", "connect", check=False).returncode == 4


def test_what_is_to_be_retained_needs_both_and_acts_need_no_rule(judged, work):
    file = written(work, 'allow device connect\nallow device publish "near"\ndeny device "pump-2" renew "device"\n')
    ask = ["policy", "can", "pump-1", "publish", "near", "--policy", file]
    assert told(judged, *ask, "--retain", "no")["can"] is True
    answer = told(judged, *ask, "--retain", "yes", status=9)
    assert answer["can"] is False and answer["decision"]["allowed"] and not answer["retain"]["allowed"]
    assert "but it may not be retained" in judged.touchmark(*ask, "--retain", "yes", check=False).stdout
    renew = ["policy", "can", "pump-1", "renew", "device", "--policy", file]
    assert told(judged, *renew)["can"] is True
    assert "roles and tokens decide" in judged.touchmark(*renew).stdout
    denied = told(judged, "policy", "can", "pump-2", "renew", "device", "--policy", file, status=9)
    assert denied["can"] is False and denied["decision"]["line"] == 3
    rows = told(judged, "policy", "who", "renew", "device", "--policy", file)["devices"]
    may = {row["device"] for row in rows if row["sure"]}
    assert "pump-1" in may and "pump-2" not in {row["device"] for row in rows}
    for action in ("revoke", "pump-2"), ("call", "GET /v1/devices"):
        for asked in ("can", "pump-1"), ("who",):
            done = judged.touchmark("policy", *asked, *action, "--policy", file, check=False)
            assert done.returncode != 0 and f"no device asks for {action[0]}" in done.stderr


def test_a_device_without_a_certificate_is_told_as_such(running):
    assert running.touchmark("policy", "can", "pump-1", "connect").stdout.endswith("once it has a certificate\n")
    assert running.touchmark("policy", "reach", "pump-1").stderr == "Once it has a certificate:\n"


# ---- policy diff ----

def test_a_difference_is_told_with_the_devices_that_it_concerns(running, work):
    same = written(work, "# said otherwise\n" + POLICY.replace("publish, subscribe", "subscribe, publish"))
    done = running.touchmark("policy", "diff", "active", same)
    assert done.stdout == "no request is decided otherwise\n"
    less = written(work, POLICY + 'deny group "pumps" publish "devices/+/orders"\n')
    done = running.touchmark("policy", "diff", "active", less, check=False)
    assert done.returncode == 9 and "something changes for 2 of the devices" in done.stdout
    assert 'newly denied: device in "pumps": publish "devices/${device.id}/orders" (2 devices)' in done.stdout
    answer = told(running, "policy", "diff", less, "active", status=9)
    assert answer["same"] is False and answer["devices"] == 2
    assert [(one["change"], one["groups"], one["devices"]) for one in answer["changes"]] == \
        [("newly-allowed", ["pumps"], 2)]


def test_versions_and_files_are_compared(running, work):
    running.apply_policy(POLICY + 'allow device "pump-1" publish "extra"\n')
    now = told(running, "policy", "show")["version"]
    answer = told(running, "policy", "diff", now - 1, now, status=9)
    assert [(one["name"], one["areas"][0]["filter"], one["devices"]) for one in answer["changes"]] == \
        [("pump-1", "extra", 1)]
    assert told(running, "policy", "diff", now, "active")["same"] is True
    file = written(work, POLICY)
    assert told(running, "policy", "diff", now - 1, file)["same"] is True
    without = told(running, "policy", "diff", file, written(work, "", "empty.policy"), status=9)
    assert without["devices"] is None and all(one["devices"] is None for one in without["changes"])
    counted = told(running, "policy", "diff", file, work / "empty.policy", "--count", status=9)
    assert counted["devices"] == 3
    assert running.touchmark("policy", "diff", now, now + 1, check=False).returncode == 4
    running.apply_policy(POLICY)


# ---- versions, and back to one of them ----

def test_versions_keep_their_author_and_reason(running, work):
    file = written(work, POLICY + 'allow device "pump-1" publish "extra"\n')
    version = told(running, "policy", "apply", file, "--why", "pumps tell more")["version"]
    row = told(running, "policy", "list")["policies"][-1]
    assert (row["version"], row["author"], row["why"], row["active"]) == (version, "admin", "pumps tell more", True)
    assert told(running, "policy", "show", version)["why"] == "pumps tell more"
    assert "pumps tell more" in running.touchmark("policy", "list").stdout
    rows = told(running, "policy", "list")["policies"]
    assert (rows[0]["author"], rows[0]["why"]) == ("", "what the system began with")
    number = told(running, "policy", "propose", file, "--why", "to see")["proposal"]["number"]
    before = told(running, "policy", "list")
    for command in ("policy apply", "policy propose", "policy rollback", "policy activate"):
        words = [number] if command == "policy activate" else [] if command == "policy rollback" else [file]
        option = "--reason" if command == "policy rollback" else "--why"
        for reason in ([], [option, ""], [option, "  "]):
            done = running.touchmark(*command.split(), *words, *reason, check=False)
            assert done.returncode == 2 and option in done.stderr.splitlines()[0], (command, done.stderr)
    body = {"text": POLICY, "replaces": version}
    for reason in ({}, {"why": ""}, {"why": "  "}):
        for path in ("/v1/policies", "/v1/policies/propose"):
            answer = running.call("POST", path, {**body, **reason})
            assert answer.status == 400 and b"why" in answer.body, answer
    assert told(running, "policy", "list") == before
    running.touchmark("proposal", "reject", number)
    running.apply_policy(POLICY)


def test_imports_are_read_from_disk_and_kept_as_one_text(running, work):
    (work / "shared").mkdir()
    written(work, 'allow device connect\n\ndeny device publish "devices/+/shut"', "shared/doors.policy")
    site = written(work, 'import "shared/doors"\nallow device publish "devices/${device.id}/#"\n', "site.policy")
    whole = f'{site.read_text()}file "shared/doors"\n{(work / "shared/doors.policy").read_text()}'
    told(running, "policy", "apply", site, "--why", "two files")
    assert told(running, "policy", "show")["text"] == whole
    assert told(running, "policy", "diff", "active", site)["same"] is True
    answer = told(running, "policy", "can", "pump-1", "publish", "devices/pump-1/shut", status=9)
    assert (answer["decision"]["file"], answer["decision"]["line"]) == ("shared/doors", 3)
    draft = told(running, "policy", "propose", site, "--why", "two files")["proposal"]["number"]
    assert told(running, "proposal", "show", draft)["text"] == whole
    running.touchmark("proposal", "reject", draft)
    written(work, "# nothing\nallow nobody\n", "shared/doors.policy")
    wrong = running.touchmark("policy", "apply", site, "--why", "wrong", check=False)
    assert wrong.returncode == 7 and f"{work}/shared/doors.policy:2:7: found" in wrong.stderr
    (work / "shared/doors.policy").unlink()
    lacking = running.touchmark("policy", "propose", site, "--why", "lacking", check=False)
    assert lacking.returncode == 7 and f'{site}:1:8: there is no file "shared/doors"' in lacking.stderr
    running.apply_policy(POLICY)


def test_a_rollback_is_a_new_version_with_the_old_text(running, work):
    before = told(running, "policy", "show")
    bad = told(running, "policy", "apply", written(work, "allow device connect\n"), "--why", "to see")["version"]
    done = running.touchmark("policy", "rollback", "--reason", "pumps fell silent")
    assert done.stdout == f"Version {bad - 1} is in force again, as version {bad + 1}, in place of {bad}.\n"
    now = told(running, "policy", "show")
    assert (now["text"], now["version"], now["author"]) == (before["text"], bad + 1, "admin")
    assert now["why"] == f"version {bad - 1} again: pumps fell silent"
    record = running.wait_audit(action="policy.apply")
    assert (record["target"], record["reason"]) == (f"policy {bad + 1}", now["why"])
    assert told(running, "policy", "diff", bad - 1, "active")["same"] is True
    why = ("--reason", "to see")
    assert told(running, "policy", "rollback", *why)["why"] == f"version {bad} again: to see"  # twice: what was there
    assert told(running, "policy", "rollback", bad - 1, *why)["version"] == bad + 3
    assert running.touchmark("policy", "rollback", "active", *why, check=False).returncode == 5
    assert running.touchmark("policy", "rollback", bad + 9, *why, check=False).returncode == 4
    assert running.touchmark("policy", "rollback", "x", *why, check=False).returncode in (4, 7)
    assert running.touchmark("policy", "rollback", "--reason", "x" * 120, check=False).returncode == 7
    assert told(running, "policy", "show")["version"] == bad + 3


def test_a_draft_is_kept_checked_and_put_in_force_by_its_number(running, work):
    before = told(running, "policy", "show")["version"]
    wrong = running.touchmark("policy", "propose", written(work, "allow nobody\n"), "--why", "wrong", check=False)
    assert wrong.returncode == 7 and "line 1" in wrong.stderr, (wrong.returncode, wrong.stderr)
    failing = 'allow device connect\nexpect deny device "d" connect\n'
    assert running.touchmark("policy", "propose", written(work, failing), "--why", "wrong", check=False).returncode == 7
    file = written(work, POLICY + 'allow device "pump-1" publish "extra"\n')
    draft = told(running, "policy", "propose", file, "--why", "pumps tell more")["proposal"]
    assert (draft["state"], draft["author"], draft["why"], draft["base"]) == ("open", "admin", "pumps tell more", before)
    record = running.wait_audit(action="proposal.make", decision="allowed")
    assert "compiles with its tests" in record["reason"] and draft["hash"] in record["reason"]
    assert told(running, "policy", "show")["version"] == before
    number = draft["number"]
    assert told(running, "proposal", "show", number)["text"] == file.read_text()
    assert told(running, "policy", "activate", number, "--why", "tried", "--wait")["policy_version"] == before + 1
    now = told(running, "policy", "show")
    assert (now["text"], now["author"], now["why"]) == (file.read_text(), "admin", "pumps tell more")
    assert running.touchmark("policy", "activate", number, "--why", "again", check=False).returncode == 5
    late = told(running, "policy", "propose", written(work, POLICY), "--why", "late")["proposal"]["number"]
    running.touchmark("proposal", "reject", late, "--why", "not now")
    gone = told(running, "proposal", "show", late)
    assert (gone["proposal"]["state"], gone["text"]) == ("withdrawn", None)
    assert "is not kept" in running.touchmark("proposal", "show", late).stdout
    running.apply_policy(POLICY)


def test_versions_outlive_a_restart(running):
    told(running, "policy", "rollback", 1, "--reason", "to begin anew")
    running.apply_policy(POLICY)
    rows = told(running, "policy", "list")["policies"]
    assert [one["version"] for one in rows] == list(range(1, len(rows) + 1))
    assert rows[-2]["why"] == "version 1 again: to begin anew"
    running.running.stop()
    running.start()
    assert told(running, "policy", "list")["policies"] == rows


# ---- policy impact: what the door then does ----

LIVE = """allow device connect
allow device subscribe "devices/${device.id}/#"
allow device subscribe "news/#"
allow group "pumps" subscribe "orders/#"
"""
NEXT = """allow device connect
deny device "live-3" connect
deny device "live-4" connect when connection.address in { 127.0.0.0/8 } and connection.tls in { "1.2", "1.3" }
deny device "live-5" connect when certificate.left < 10000d
deny device "live-6" connect when connection.address in { 192.0.2.0/24 }
allow device subscribe "devices/${device.id}/#"
allow device subscribe "news/local"
allow group "pumps" subscribe "orders/#"
"""
FILTERS = {"live-1": [["devices/live-1/#"], ["orders/#"]], "live-2": [["news/#"], ["orders/1"]],
           "live-3": [["news/#"]], "live-4": [], "live-5": [], "live-6": [["news/local", "orders/6", "orders/7", "orders/8", "news/far", "news/farther"]]}


@pytest.fixture(scope="module")
def live():
    """Sessions of live-1 to live-6, one that ended, and one that was cut."""
    with contextlib.ExitStack() as stack:
        made = stack.enter_context(world.world(policy=LIVE, settings={"device-door": {"audit_window": "1s"}}))
        made.credentials = {}
        for name in [*FILTERS, "live-8", "live-9"]:
            credential = made.credentials[name] = made.enrol(name, "pumps")
            client = stack.enter_context(mqtt.Client(made.ports["mqtts"], world.tls_context(made.root, credential), name))
            client.connect()
            for filters in FILTERS.get(name, []):
                client.subscribe(*filters)
            if name == "live-8":
                client.disconnect()
        made.touchmark("device", "revoke", "live-9", "--wait")
        made.wait_audit(action="session.close", device="live-8")
        made.wait_audit(action="session.cut", device="live-9")
        for name, filters in FILTERS.items():  # an aggregate comes when its window is over
            for first, *_ in filters:
                made.wait_audit(action="subscribe", device=name, target=first)
        yield made


def test_what_rests_on_a_fact_that_nobody_tells_is_perhaps(live, work):
    rests = written(work, 'allow device subscribe "#"\nallow device connect when certificate.issuer = "Another CA"\n')
    answer = told(live, "policy", "impact", rests, status=9)
    assert (answer["sessions"], answer["cut"], answer["perhaps"]) == (6, 0, 6)
    assert all("certificate.issuer" in row["why"] for row in answer["losses"])


def test_an_impact_says_perhaps_where_only_the_door_knows_whether_a_fact_is_known(live, work):
    """One fact for each session: by `is known`, of which the log could say no, and the door would say yes."""
    def loses(facts, action='connect', verb="is known"):
        rules = [f'deny device "live-{i}" {action} when {fact} {verb}\n' for i, fact in enumerate(facts, 1)]
        answer = told(live, "policy", "impact", written(work, 'allow device connect\nallow device subscribe "#"\n' + "".join(rules)), status=9)
        return [next((row["loses"] for row in answer["losses"] if row["device"] == f"live-{i}" and row["filter"] != "news/far"), None)
                for i in range(1, 7)]
    never = ["message.size", "message.qos", "message.retain", "message.content_type", "attestation.verdict"]
    assert loses(["client.id", "certificate.issuer", "certificate.serial", "certificate.fingerprint", "certificate.left",
                  "connection.address"]) == ["perhaps", "perhaps", "session", "session", "session", "session"]
    assert loses([*never, "client.id"], verb="is not known") == ["session"] * 5 + ["perhaps"]
    assert loses([*never, "connection.tls"]) == [None] * 5 + ["session"]
    filters = 'subscribe "orders/#", "news/#"'
    assert loses(["client.id", "certificate.issuer", "connection.tls"], filters)[:3] == ["perhaps", "perhaps", "subscription"]


def test_an_impact_cuts_whose_lease_would_be_over(live, work):
    time.sleep(1)
    shorter = told(live, "policy", "impact", written(work, LIVE.replace("connect", "connect lease 1s", 1)), status=9)
    assert (shorter["cut"], shorter["perhaps"]) == (6, 0) and all("its lease is over: " in row["why"] for row in shorter["losses"])
    assert told(live, "policy", "impact", written(work, LIVE.replace("connect", "connect lease 1h", 1)))["losses"] == []
    unsure = LIVE + 'allow device connect when client.id = "x" lease 1s\n'
    assert told(live, "policy", "impact", written(work, unsure), status=9)["perhaps"] == 6


def test_an_impact_knows_a_subscription_that_was_given_up_and_asked_for_again(live, work):
    with mqtt.Client(live.ports["mqtts"], world.tls_context(live.root, live.credentials["live-8"]), "live-8") as client:
        client.connect()
        client.subscribe("orders/8")
        client.unsubscribe("orders/8")
        time.sleep(0.01)
        client.subscribe("orders/8")
        for action in ("subscribe", "unsubscribe"):
            live.wait_audit(action=action, device="live-8", target="orders/8")
        file = written(work, LIVE.replace("orders/#", "orders/7"))
        rows = told(live, "policy", "impact", file, status=9)["losses"]
        assert [(row["loses"], row["filter"]) for row in rows if row["device"] == "live-8"] == [("subscription", "orders/8")]
        client.disconnect()
    live.wait_audit(lambda record: record["correlation"] == live.audit(action="session.open", device="live-8")[0]["correlation"],
                    action="session.close", device="live-8")


def test_an_impact_is_foretold_and_comes_true(live, work):
    same = told(live, "policy", "impact", written(work, LIVE))
    assert same == {"sessions": 6, "cut": 0, "lost": 0, "perhaps": 0, "losses": []}
    file = written(work, NEXT)
    answer = told(live, "policy", "impact", file, status=9)
    told_of = {(row["device"], row["loses"], row["filter"]) for row in answer["losses"]}
    assert told_of == {("live-2", "subscription", "news/#"), ("live-3", "session", None), ("live-4", "session", None),
                       ("live-5", "session", None), ("live-6", "perhaps", None)}
    assert (answer["sessions"], answer["cut"], answer["lost"], answer["perhaps"]) == (6, 3, 1, 1)
    shown = live.touchmark("policy", "impact", file, check=False).stdout
    assert "Of 6 sessions 3 would be cut; 1 subscription would be lost, and perhaps more of 1 session.\n" in shown
    assert "denied by line 2" in shown
    # live-6 has subscriptions that the log does not name: that one could not say of them what they lose is the same.
    assert told(live, "policy", "impact", widened(work, file), status=9) == answer
    wide = told(live, "policy", "impact", widened(work, written(work, LIVE, "live.policy")), status=9)
    assert [(row["device"], row["loses"], row["filter"]) for row in wide["losses"]] == [("live-6", "perhaps", None)]

    live.touchmark("policy", "apply", file, "--why", "to see")
    for name in ("live-3", "live-4", "live-5"):
        live.wait_audit(action="session.cut", device=name)
    live.wait_audit(lambda record: record["target"] == "news/#" and record["decision"] == "denied",
                    action="subscribe", device="live-2")
    live.wait_audit(lambda record: record["decision"] == "denied", action="subscribe", device="live-6")
    cut = {record["actor"]["id"] for record in live.audit(action="session.cut")}
    lost = {(record["actor"]["id"], record["target"]) for record in live.audit(action="subscribe", decision="denied")}
    assert cut == {"live-3", "live-4", "live-5", "live-9"}
    assert lost == {("live-2", "news/#"), ("live-6", "news/far"), ("live-6", "news/farther")}
    after = told(live, "policy", "impact", written(work, "", "nothing.policy"), status=9)
    assert (after["sessions"], after["cut"]) == (3, 3)


def test_sessions_of_before_a_restart_are_not_open(live, work):
    live.running.stop()
    live.start()
    answer = told(live, "policy", "impact", written(work, ""))
    assert (answer["sessions"], answer["losses"]) == (0, [])


# ---- what is asked wrongly, and by whom ----

def test_an_error_in_an_imported_file_names_it(running, work):
    file = written(work, 'import "shared"\nfile "shared"\nallow device publish "x" nonsense\n')
    done = running.touchmark("policy", "apply", file, "--why", "to see", check=False)
    assert done.returncode == 7 and 'shared line 1 column 26: found "nonsense"' in done.stderr


def test_an_auditor_asks_everything_and_puts_nothing_in_force(running, work):
    running.touchmark("operator", "add", "otto", "--role", "auditor", "--out", work / "otto")
    before = told(running, "policy", "show")

    def as_otto(*words):
        return place.touchmark(*words, "--profile", work / "otto/operator.conf", "--server",
                               f"https://127.0.0.1:{running.ports['operator']}", check=False).returncode
    file = written(work, POLICY)
    assert as_otto("policy", "can", "pump-1", "connect") == 0
    assert as_otto("policy", "reach", "pump-1") == 0
    assert as_otto("policy", "who", "connect") == 0
    assert as_otto("policy", "diff", "active", file) in (0, 9)
    assert as_otto("policy", "impact", file) in (0, 9)
    assert as_otto("policy", "check", "--server-check", file) == 3
    assert as_otto("policy", "rollback", "--reason", "to see") == 3
    assert told(running, "policy", "show") == before


# ---- policy replay: what was decided, judged by another policy ----

BEFORE = """allow device connect
allow device publish, subscribe "devices/${device.id}/#"
allow group "pumps" publish "plant/${device.id}/flow", "plant/${device.id}/secret", "plant/small"
deny device publish "plant/+/closed"
"""
AFTER = """allow device connect
deny device "past-2" connect when connection.address in { 127.0.0.0/8 }
allow device publish, subscribe "devices/${device.id}/#"
allow group "pumps" publish "plant/${device.id}/flow", "plant/small" when message.size <= 4
allow device publish "plant/${device.id}/flow"
allow device publish "plant/past-1/closed"
deny device subscribe "devices/+/private"
"""
PUBLISHED = ["plant/{}/flow", "plant/{}/secret", "plant/{}/closed", "plant/small", "elsewhere", "devices/{}/a"]


def act(made, name):
    """One connection: each topic is published to, two filters are subscribed to, by rules of their own windows."""
    with mqtt.Client(made.ports["mqtts"], world.tls_context(made.root, made.credentials[name]), name) as client:
        try:
            client.connect()
            for topic in PUBLISHED:
                client.publish(topic.format(name), b"12345", qos=1)
                made.wait_audit(device=name, action="publish", topic=topic.format(name))
            for filter in ("private", "public"):
                client.subscribe(f"devices/{name}/{filter}")
                made.wait_audit(lambda record: record["target"].endswith(filter), device=name, action="subscribe")
        except mqtt.Closed:
            pass


def decisions(made, since):
    """{(device, action, target): decision} of the door."""
    records = [record for action in ("session.open", "publish", "subscribe")
               for record in made.audit(action=action, source="device-door", since=since)]
    return {(record["actor"]["id"], record["action"], record.get("target")): record["decision"] for record in records}


@pytest.fixture(scope="module")
def past():
    with world.world(policy=BEFORE, settings={"device-door": {"audit_window": "200ms"}}) as made:
        made.credentials = {name: made.enrol(name, "pumps") for name in ("past-1", "past-2")}
        made.since = made.audit()[0]["time"]
        for name in made.credentials:
            act(made, name)
            made.wait_audit(action="session.close", device=name)
        yield made


def test_a_replay_says_undecidable_where_only_the_door_knows_whether_a_fact_is_known(past, work):
    """One fact for each publication: the log has only some of them."""
    log = ["certificate.serial", "certificate.fingerprint", "certificate.left", "connection.address", "connection.tls"]
    door = ["client.id", "certificate.issuer", "message.size", "message.qos", "message.retain", "message.content_type"]
    topics = [(name, topic.format(name)) for name in ("past-1", "past-2") for topic in PUBLISHED[:2] + PUBLISHED[3:4] + PUBLISHED[5:]]

    def changes(facts, effect="deny"):
        open_to_all = "" if effect == "allow" else 'allow device publish "#"\n'
        rules = [f'{effect} device "{name}" publish "{topic}" when {fact} is known\n' for (name, topic), fact in zip(topics, facts)]
        text = f'allow device connect\nallow device subscribe "#"\n{open_to_all}{"".join(rules)}'
        answer = told(past, "policy", "replay", written(work, text), status=9)
        rows = {(row["actor"], row.get("target")): row["change"] for row in answer["changes"] if row["action"] == "publish"}
        return [rows.get(topic) for topic in topics[:len(facts)]]
    for effect in ("deny", "allow"):
        assert changes(door, effect) == ["undecidable"] * len(door)
    assert changes([*log, "attestation.verdict"]) == ["newly denied"] * len(log) + [None]
    assert changes([*log, "attestation.verdict"], "allow") == [None] * len(log) + ["newly denied"]


def test_a_replay_foretells_what_the_door_then_decides(past, work):
    file = written(work, AFTER)
    before = decisions(past, past.since)
    assert told(past, "policy", "replay", written(work, BEFORE, "before.policy"))["changes"] == []
    fetched = len(past.audit(action="policy.read"))
    answer = told(past, "policy", "replay", file, "--since", past.since, status=9)
    changes = {(row["actor"], row["action"], row.get("target")): row["change"] for row in answer["changes"]}
    assert changes == {
        ("past-1", "publish", "plant/past-1/secret"): "newly denied",
        ("past-1", "publish", "plant/past-1/closed"): "newly allowed",
        ("past-1", "publish", "plant/small"): "undecidable",
        ("past-1", "subscribe", "devices/past-1/private"): "newly denied",
        # With the session of past-2 goes all that was allowed in it.
        **{("past-2", "publish", f"{topic}"): "newly denied" for topic in
           ("plant/past-2/flow", "plant/past-2/secret", "plant/small", "devices/past-2/a")},
        ("past-2", "subscribe", "devices/past-2/private"): "newly denied",
        ("past-2", "subscribe", "devices/past-2/public"): "newly denied",
        ("past-2", "session.open", None): "newly denied",
    }
    assert (answer["newly_allowed"], answer["newly_denied"], answer["undecidable"]) == (1, 9, 1)
    assert answer["same"] == len(before) - 11
    assert {row["why"] for row in answer["changes"] if row["actor"] == "past-2" and row["action"] == "publish"} == \
        {"it may not connect: denied by line 2"}
    wide = widened(work, file)
    by_acts = told(past, "policy", "replay", wide, "--since", past.since, status=9)
    assert {**by_acts, "not_replayed": 0} == {**answer, "not_replayed": 0}
    assert len(past.audit(action="policy.read")) == fetched + 2  # a replay: two devices, three sorts of acts, one version
    shown = past.touchmark("policy", "replay", file, check=False).stdout
    assert "1 newly allowed, 9 newly denied, 1 undecidable\n" in shown and "denied by line 7" in shown

    past.touchmark("policy", "apply", file, "--why", "to see")
    since = past.audit()[0]["time"]
    act(past, "past-1")
    act(past, "past-2")
    past.wait_audit(action="session.open", device="past-2", decision="denied")
    after = decisions(past, since)
    for asked, decision in after.items():
        foretold = {"newly denied": "denied", "newly allowed": "allowed"}.get(changes.get(asked), before.get(asked))
        assert changes.get(asked) == "undecidable" or decision == foretold, (asked, decision)
    assert len(after) > 8


def test_what_a_replay_cannot_decide_it_says(past, work):
    """Publications over a second in one window, by a limit, by the hour; and what failed, which no policy denied."""
    past.touchmark("policy", "apply", written(work, BEFORE), "--why", "to see")
    since = past.audit()[0]["time"]
    with mqtt.Client(past.ports["mqtts"], world.tls_context(past.root, past.credentials["past-1"]), "past-1") as client:
        client.open()
        most = bytes([5, 2, 0, 0]) + mqtt.number(5) + b"\x27\x00\x00\x00\x28"  # packets of 40 octets at most
        client.send(mqtt.packet(mqtt.CONNECT, 0, mqtt.text("MQTT") + most + mqtt.text("past-1")))
        assert client.receive(mqtt.CONNACK).code == 0
        assert client.subscribe("devices/past-1/#") == [1]
        for _ in range(8):
            client.publish("devices/past-1/a", b"1" * 100, qos=1)
            time.sleep(0.005)
    past.wait_audit(action="session.close", device="past-1", since=since)
    assert {record["decision"] for record in past.audit(action="receive", device="past-1", since=since)} == {"failed"}
    span = next(record["aggregate"] for record in past.audit(action="publish", device="past-1", since=since)
                if record["aggregate"]["first"] < record["aggregate"]["last"])

    def replayed(text, status=9):
        answer = told(past, "policy", "replay", written(work, text), "--since", since, status=status)
        return {(row["action"], row["change"]): row["count"] for row in answer["changes"]}
    assert replayed(BEFORE + 'deny device receive "devices/past-1/other"\n', status=0) == {}
    assert replayed(BEFORE + 'deny device receive "devices/past-1/a"\n')["receive", "newly denied"] == 8
    for order in "<>":
        changes = replayed(BEFORE + f'deny device publish "devices/past-1/a" when time.now {order}= {span["last"]}\n')
        assert changes["publish", "undecidable"] >= span["count"]
    limited = replayed(BEFORE.replace('subscribe "devices/${device.id}/#"', 'subscribe "devices/${device.id}/#" limit 1/h'))
    assert replayed(BEFORE.replace("device connect", "device connect lease 1h"), status=0) == {}
    assert replayed(BEFORE.replace("device connect", "device connect lease 1ms"))["publish", "undecidable"] == 8
    assert limited == {("publish", "undecidable"): 8, ("subscribe", "undecidable"): 1, ("receive", "undecidable"): 8}


def test_a_replay_says_what_it_does_not_replay(past, work):
    """Acts that the authority judges."""
    since = past.audit()[0]["time"]
    file = written(work, BEFORE + "deny anyone enroll, renew\n")
    answer = told(past, "policy", "replay", file, "--since", since)
    acts = [record for record in past.audit(since=since, source="authority", limit=500) if record["actor"]["kind"] == "operator"]
    assert answer["same"] == 0 and 0 < answer["not_replayed"] <= len(acts)
    shown = past.touchmark("policy", "replay", file, "--since", since).stdout
    assert re.search(r"^[1-9][0-9]* records of the authority's acts \(call, enroll, renew, revoke\) were not replayed$", shown, re.M)


def test_what_the_log_has_with_escapes_is_undecidable(past, work):
    past.touchmark("policy", "apply", written(work, BEFORE), "--why", "to see")
    since = past.audit()[0]["time"]
    with mqtt.Client(past.ports["mqtts"], world.tls_context(past.root, past.credentials["past-1"]), "past-1") as client:
        client.connect()
        client.publish("devices/past-1/\u00fc", b"1", qos=1)
    past.wait_audit(action="publish", device="past-1", since=since)
    denies = BEFORE + 'deny device publish "devices/past-1/\u00fc"\n'
    answer = told(past, "policy", "replay", written(work, denies, "denies.policy"), "--since", since, status=9)
    assert (answer["newly_denied"], answer["undecidable"]) == (0, 1)


def test_what_the_log_counts_together_is_undecidable(past, work):
    past.touchmark("policy", "apply", written(work, BEFORE), "--why", "to see")
    since = past.audit()[0]["time"]
    with mqtt.Client(past.ports["mqtts"], world.tls_context(past.root, past.credentials["past-1"]), "past-1") as client:
        client.connect()
        for name in "abcdefe":  # the first four have records of their own
            client.publish(f"devices/past-1/{name}", b"1", qos=1)
    past.wait_audit(lambda record: record["aggregate"]["count"] == 3, action="publish", device="past-1", since=since)
    narrow = BEFORE.replace('publish, subscribe "devices/${device.id}/#"', 'publish "devices/${device.id}/a"')
    answer = told(past, "policy", "replay", written(work, narrow, "narrow.policy"), "--since", since, status=9)
    assert (answer["newly_denied"], answer["undecidable"]) == (3, 3)
    assert any("does not name" in change.get("why", "") for change in answer["changes"])
    other = BEFORE + 'deny device "past-2" publish "devices/#"\n'  # nothing changes for past-1
    assert told(past, "policy", "replay", written(work, other, "other.policy"), "--since", since)["same"] == 8
