"""A policy of 100,000 rules, from its first version to the last: applied, shown, proposed, judged by, over the deaths of
those who hold it, and out of a copy. Times are printed; what is asserted leaves room for a build with sanitizers."""
import json
import os
import shutil
import signal
import time

import pytest

import devices
import mqtt
import place
import world

RULES = 100_000  # POLICY_RULES_MAX
MOST = 8 * 1024 * 1024
OWN = ["allow device connect"]
NOT_AUTHORIZED, ALLOWED = 0x87, (0, 0x10)
IN_TIME = 60  # seconds, of a build with sanitizers on a busy machine


def policy(*more, rules=RULES):
    """So many rules in all; each of the others concerns a device of its own."""
    own = OWN + list(more)
    return "".join(line + "\n" for line in own) + "".join(
        f'allow device "unit-{number:06}" publish "plant/{number:06}/sensor/state"\n'
        for number in range(rules - len(own)))


def allows(topic):
    return f'allow device "pump-1" publish "{topic}"'


FIRST = policy(allows("first"))


def begin_large(made):
    (made.folder / "policy/active.policy").write_text(FIRST)


@pytest.fixture(scope="module")
def running():
    """Begun with such a policy, and with a second administrator and a device."""
    with world.world(prepare=begin_large) as made:
        made.touchmark("operator", "add", "bob", "--role", "admin", "--out", made.work / "bob")
        made.enrol("pump-1")
        yield made


@pytest.fixture
def work(tmp_path):
    return tmp_path


def active_text(made):
    return made.api("GET", "/v1/policies/active")["text"]


def code_of(client, topic):
    return client.publish(topic, b"x", qos=1)


def wait_for_yes(client, topic, slowest=None):
    """Seconds until a session that goes on may publish there; slowest[0]: the longest that an answer took meanwhile."""
    begun = time.monotonic()
    def allowed():
        asked = time.monotonic()
        code = code_of(client, topic)
        if slowest:
            slowest[0] = max(slowest[0], time.monotonic() - asked)
        return code in ALLOWED
    place.wait_for(f"{topic} to be allowed", allowed, IN_TIME)
    return time.monotonic() - begun


def file_of(work, text):
    (work / "new.policy").write_text(text)
    return work / "new.policy"


def test_the_first_one_may_be_large(running):
    assert 5 * 1024 * 1024 < len(FIRST) < MOST
    assert active_text(running) == FIRST
    with devices.client(running, "pump-1") as client:
        assert code_of(client, "first") in ALLOWED
        assert code_of(client, "second") == NOT_AUTHORIZED


def test_a_live_session_is_judged_by_a_new_one_soon(running, work):
    text = policy(allows("second"))
    with devices.client(running, "pump-1") as client:
        assert code_of(client, "second") == NOT_AUTHORIZED
        begun = time.monotonic()
        done = running.touchmark("policy", "apply", file_of(work, text), "--why", "one rule is another")
        applied = time.monotonic() - begun
        assert "is in force: version 2" in done.stdout
        slowest = [0.0]
        reached = wait_for_yes(client, "second", slowest)
        assert code_of(client, "first") == NOT_AUTHORIZED
    print(f"{len(text)} octets, {RULES} rules: applied in {applied:.2f} s, reached a session {reached:.2f} s later; "
          f"meanwhile its slowest answer took {slowest[0] * 1000:.0f} ms")
    running.wait_applied()
    assert running.touchmark("policy", "show").stdout == text
    assert running.touchmark("policy", "show", "1").stdout == FIRST
    record = running.audit(action="policy.apply", decision="allowed")[0]
    assert (record["target"], record["reason"]) == ("policy 2", "one rule is another")


def test_it_is_checked_there_and_has_no_effect(running, work):
    before = running.active_policy()["version"]
    good = running.touchmark("policy", "check", file_of(work, FIRST), "--server-check")
    assert "accepted by the server" in good.stdout
    wrong = FIRST + "allow nobody anything\n"
    for words in (["check", "--server-check"], ["apply", "--why", "to see"]):
        done = running.touchmark("policy", words[0], file_of(work, wrong), *words[1:], check=False)
        assert done.returncode != 0
        assert f"{RULES + 1}" in done.stdout + done.stderr or "rules" in done.stdout + done.stderr
    assert running.active_policy()["version"] == before


def test_what_is_longer_than_the_most_is_refused_by_its_length(running, work):
    long = "#" * 80 + "\n"
    text = long * (MOST // len(long) + 1)
    assert len(text) > MOST
    done = running.touchmark("policy", "apply", file_of(work, text), "--why", "to see", check=False)
    assert done.returncode != 0 and str(MOST) in done.stdout + done.stderr
    answer = running.call("POST", "/v1/policies", {"text": text, "replaces": 1, "why": "to see"})
    assert answer.status == 422 or answer.status == 400 or answer.status == 413, answer
    text = text[:MOST - 1] + "\n"
    version = running.apply_policy(text)
    assert running.api("GET", f"/v1/policies/{version}")["text"] == text
    running.apply_policy(FIRST)


def test_a_revocation_does_not_wait_for_it(running):
    """It is applied, and at once a device is cut, which the doors learn behind it."""
    running.enrol("pump-2")
    with devices.client(running, "pump-2") as client:
        running.apply_policy(policy(allows("third")), wait=False)
        begun = time.monotonic()
        running.revoke("pump-2")
        client.wait_end(IN_TIME)
        print(f"cut {time.monotonic() - begun:.2f} s after its revocation, asked for behind a large policy")
    running.wait_applied()


def kill_and_wait(running, name):
    """kill -9; all serve again."""
    pid = running.running.pids(name)[0]
    os.kill(pid, signal.SIGKILL)
    place.wait_for(f"{name} to be another", lambda: [p for p in running.running.pids(name) if p != pid], 60)
    running.settle()


@pytest.mark.parametrize("name", ["authority", "device-door", "operator-door"])
def test_it_outlives_who_holds_it(running, name):
    text = policy(allows(f"after-{name}"))
    version = running.apply_policy(text, wait=False)  # whoever it is may be fetching it
    kill_and_wait(running, name)
    running.wait_applied()
    shown = running.active_policy()
    assert (shown["version"], shown["text"]) == (version, text)
    with devices.client(running, "pump-1") as client:
        wait_for_yes(client, f"after-{name}")
        assert code_of(client, "first") == NOT_AUTHORIZED


def test_a_proposal_has_all_of_it(running, work):
    text = policy(allows("proposed"))
    running.running.stop()
    with open(running.folder / "touchmark.conf", "a") as conf:
        conf.write("[authority]\nfour_eyes = policy\n")
    running.start()
    done = running.touchmark("policy", "apply", file_of(work, text), "--why", "to see", "--json", check=False)
    assert done.returncode == 8, done.stdout + done.stderr
    number = json.loads(done.stdout)["proposal"]["number"]
    assert active_text(running) != text
    assert running.api("GET", f"/v1/proposals/{number}")["text"] == text
    with devices.client(running, "pump-1") as client:
        assert code_of(client, "proposed") == NOT_AUTHORIZED
        done = place.touchmark("proposal", "approve", number, "--why", "read it", "--profile", running.work / "bob/operator.conf",
                               "--server", f"https://127.0.0.1:{running.ports['operator']}", check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        wait_for_yes(client, "proposed")
    assert active_text(running) == text


def test_a_copy_has_all_of_it(running):
    """Restored elsewhere, it is shown there."""
    text = active_text(running)
    running.running.stop()
    place.touchmark("backup", running.work / "copy", "--config", running.folder / "touchmark.conf", "--offline")
    again = running.work / "again"
    pin = running.work / "issuing.pin"
    shutil.copy(running.folder / "secrets/issuing.pin", pin)
    place.touchmark("restore", running.work / "copy", again, "--no-newer-checkpoint", "--pin", pin)
    conf = again / "touchmark.conf"
    conf.write_text(conf.read_text().partition("[supervisor]\nrestart_least")[0])  # what World adds
    def as_before(made):
        made.admin = running.admin  # whose key is in no copy
    with world.World(running.work, folder=again, prepare=as_before) as other:
        assert active_text(other) == text
        assert other.api("GET", "/v1/policies/1")["text"] == FIRST
