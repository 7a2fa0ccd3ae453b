"""Two administrators, by the command line: what one of them asks for waits until the other says yes."""
import json

import pytest

import place
import world

FIRST = "allow device connect\n"
SETTINGS = """[authority]
four_eyes = policy, revocation, retention
proposal_lifetime = 1h
single_revocations = 2
"""


@pytest.fixture(scope="module")
def plain():
    """Without the setting; with a second administrator and an auditor."""
    with world.world() as made:
        for name, role in (("bob", "admin"), ("otto", "auditor")):
            made.touchmark("operator", "add", name, "--role", role, "--out", made.work / name)
        yield made


@pytest.fixture(scope="module")
def running(plain):
    """The same, after the setting was made at the machine."""
    plain.running.stop()
    with open(plain.folder / "touchmark.conf", "a") as conf:
        conf.write(SETTINGS)
    plain.start()
    return plain


@pytest.fixture
def work(tmp_path):
    return tmp_path


def as_other(running, name, *words):
    return place.touchmark(*words, "--profile", running.work / name / "operator.conf", "--server",
                           f"https://127.0.0.1:{running.ports['operator']}", check=False)


def bob(running, *words):
    return as_other(running, "bob", *words)


def told(running, *words):
    return json.loads(running.touchmark(*words, "--json").stdout)


def proposed(running, *words):
    """The number of the proposal that this became."""
    done = running.touchmark(*words, "--json", check=False)
    assert done.returncode == 8, done.stdout + done.stderr
    answer = json.loads(done.stdout)
    return answer["proposals"][0] if "proposals" in answer else answer["proposal"]["number"]


def policy_file(work, text):
    (work / "new.policy").write_text(text)
    return work / "new.policy"


def states(running, *names):
    return [told(running, "device", "show", name)["device"]["state"] for name in names]


def acts(running, action, decision="allowed"):
    return running.audit(action=action, decision=decision)


# ---- without the setting ----

def test_a_group_is_revoked_in_acts_and_again_is_harmless(plain):
    count = 510
    for number in range(count):
        plain.add_device(f"old-{number}", "recalled")
    plain.add_device("kept", "others")
    done = plain.touchmark("device", "revoke", "--group", "recalled", "--reason", "keyCompromise", "--wait")
    assert f"{count} revoked, 0 were before, 0 unknown, of {count} named, applied at every door" in done.stdout
    assert "500 of 510" in done.stderr
    assert len(acts(plain, "device.revoke")) == count
    records = acts(plain, "device.revoke_many")
    assert [record["target"] for record in records] == ["devices 10", "devices 500"]
    assert records[0]["reason"] == "10 revoked, 0 were before, 0 unknown; reason keyCompromise"
    assert told(plain, "device", "revoke", "--group", "recalled")["named"] == 0
    assert len(acts(plain, "device.revoke")) == count
    assert states(plain, "old-509", "kept") == ["revoked", "registered"]
    assert plain.touchmark("device", "revoke", "--group", "nobodys", check=False).returncode == 4


def test_a_file_is_revoked_and_told_of_exactly(plain, work):
    for name in ("file-1", "file-2"):
        plain.add_device(name)
    named = work / "named"
    named.write_text("# lost in transit\nfile-1\n\n  file-2  \nfile-1\nnobody-1\n")
    done = plain.touchmark("device", "revoke", "--from-file", named, "--why", "lost", "--json", check=False)
    assert done.returncode == 4 and "1 of 3 are no devices" in done.stderr
    answer = json.loads(done.stdout)
    assert (answer["revoked"], answer["were_revoked"], answer["unknown"]) == (2, 0, ["nobody-1"])
    assert acts(plain, "device.revoke_many")[0]["reason"].endswith("; lost")
    named.write_text("file-1\nfile/2\n")
    done = plain.touchmark("device", "revoke", "--from-file", named, check=False)
    assert done.returncode == 7 and "named:2" in done.stderr
    for words in ([], ["file-1", "--group", "x"], ["file-1", "--why", "x"]):
        assert plain.touchmark("device", "revoke", *words, check=False).returncode == 2


def test_a_policy_is_in_force_at_once(plain, work):
    done = plain.touchmark("policy", "apply", policy_file(work, FIRST), "--why", "to begin with")
    assert "is in force" in done.stdout
    assert acts(plain, "policy.apply")[0]["reason"] == "to begin with"
    assert plain.touchmark("proposal", "list").stderr == "There are no proposals.\n"


# ---- with it ----

def test_what_is_in_force_is_in_the_log(running):
    reasons = [record.get("reason", "") for record in running.audit(action="process.start", actor="authority")]
    assert reasons[0] == ("four eyes: policy,revocation,retention; a proposal lives 3600 s; "
                          "single revocations an hour: 2")
    assert reasons[-1] == "four eyes: none"


def test_a_policy_waits_for_another_administrator(running, work):
    before = told(running, "policy", "show")
    file = policy_file(work, world.EVERYTHING_OWN)
    done = running.touchmark("policy", "apply", file, "--why", "for pumps", check=False)
    assert done.returncode == 8 and "another administrator" in done.stdout
    waiting = told(running, "proposal", "list")["proposals"]
    assert [(row["act"], row["author"], row["why"], row["base"]) for row in waiting] == \
        [("policy", "admin", "for pumps", before["version"])]
    number = waiting[0]["number"]
    assert told(running, "policy", "show") == before
    assert world.EVERYTHING_OWN in bob(running, "proposal", "show", number).stdout
    for done in (running.touchmark("proposal", "approve", number, "--why", "read it", check=False),
                 as_other(running, "otto", "proposal", "approve", number, "--why", "read it"),
                 as_other(running, "otto", "proposal", "reject", number)):
        assert done.returncode == 3, done.stderr
    assert told(running, "policy", "show") == before
    done = bob(running, "proposal", "approve", number, "--why", "read it", "--wait")
    assert done.returncode == 0 and "applied at every door" in done.stdout
    after = told(running, "policy", "show")
    assert (after["version"], after["author"]) == (before["version"] + 1, "admin")
    record = acts(running, "policy.apply")[0]
    assert record["actor"]["id"] == "bob"
    assert record["reason"] == f"proposal {number} of admin; for pumps"
    assert acts(running, "proposal.approve")[0]["correlation"] == record["correlation"]
    story = told(running, "audit", "explain", record["index"])["policy"]
    assert (story["author"], story["applied_by"], story["applied_why"]) == ("admin", "bob", record["reason"])
    assert {row["actor"]["id"] for row in acts(running, "proposal.approve", "denied")} >= {"admin"}
    assert bob(running, "proposal", "approve", number, "--why", "read it").returncode == 5


def test_a_stale_proposal_is_named_and_withdrawn(running, work):
    numbers = [proposed(running, "policy", "apply", policy_file(work, f"{FIRST}# {n}\n"), "--why", "to see")
               for n in (1, 2)]
    assert bob(running, "proposal", "approve", numbers[1], "--why", "read it").returncode == 0
    done = bob(running, "proposal", "approve", numbers[0], "--why", "read it")
    assert done.returncode == 5 and f"proposal {numbers[0]} is stale" in done.stderr
    assert f"Proposal {numbers[0]} is withdrawn." in running.touchmark("proposal", "reject", numbers[0]).stdout
    rows = {row["number"]: row["state"] for row in told(running, "proposal", "list", "--all")["proposals"]}
    assert [rows[number] for number in numbers] == ["withdrawn", "approved"]


def test_a_rollback_waits_for_another_administrator_too(running):
    before = told(running, "policy", "show")
    number = proposed(running, "policy", "rollback", "--reason", "pumps fell silent")
    assert told(running, "policy", "show") == before
    assert bob(running, "proposal", "approve", number, "--why", "read it").returncode == 0
    after = told(running, "policy", "show")
    why = f"version {before['version'] - 1} again: pumps fell silent"
    assert (after["version"], after["author"], after["why"]) == (before["version"] + 1, "admin", why)
    assert after["text"] == told(running, "policy", "show", before["version"] - 1)["text"]
    record = acts(running, "policy.apply")[0]
    assert (record["actor"]["id"], record["reason"]) == ("bob", f"proposal {number} of admin; {why}")


def test_exactly_the_proposed_devices_are_revoked_across_a_restart(running, work):
    for name in ("p-1", "p-2"):
        running.add_device(name, "pumps")
    number = proposed(running, "device", "revoke", "--group", "pumps", "--reason", "superseded", "--why", "recall 12")
    running.add_device("p-3", "pumps")
    running.running.stop()
    running.start()
    shown = json.loads(bob(running, "proposal", "show", number, "--json").stdout)
    assert (shown["devices"], shown["reason"]) == (["p-1", "p-2"], "superseded")
    assert states(running, "p-1", "p-2", "p-3") == ["registered"] * 3
    done = bob(running, "proposal", "approve", number, "--why", "read it")
    assert "2 devices revoked, 0 were before" in done.stdout
    assert states(running, "p-1", "p-2", "p-3") == ["revoked", "revoked", "registered"]
    for record in acts(running, "device.revoke")[:2]:
        assert record["actor"]["id"] == "bob" and record["reason"] == f"reason superseded; proposal {number} of admin"
    (work / "named").write_text("p-3\nnobody-2\n")
    done = running.touchmark("device", "revoke", "--from-file", work / "named", check=False)
    assert done.returncode == 4 and "device nobody-2" in done.stderr and "2 of 2 were not asked for" in done.stderr


def test_one_device_never_waits_but_many_cannot_go_one_by_one(running):
    for number in range(3):
        running.add_device(f"one-{number}")
    running.touchmark("device", "revoke", "one-0")
    running.touchmark("device", "revoke", "one-1")
    done = running.touchmark("device", "revoke", "one-2", check=False)
    assert done.returncode == 5 and "propose the rest as one act" in done.stderr
    answer = running.call("POST", "/v1/devices/one-2/revoke", {})
    assert answer.status == 409
    assert states(running, "one-0", "one-1", "one-2") == ["revoked", "revoked", "registered"]
    assert bob(running, "device", "revoke", "one-2").returncode == 0


def test_records_are_erased_and_holds_removed_by_two(running):
    running.enrol("gone-1")
    bob(running, "device", "revoke", "gone-1")
    assert told(running, "audit", "hold", "add", "--device", "gone-1", "--reason", "case 1")["number"] == 1
    number = proposed(running, "audit", "hold", "remove", "1", "--reason", "over")
    assert bob(running, "proposal", "approve", number, "--why", "read it").returncode == 0
    assert told(running, "audit", "hold", "list")["holds"] == []
    number = proposed(running, "audit", "erase", "--device", "gone-1", "--reason", "ticket 812")
    shown = json.loads(bob(running, "proposal", "show", number, "--json").stdout)
    assert (shown["subject"], shown["reason"]) == ("device gone-1", "ticket 812")
    assert len(running.audit(device="gone-1")) > 1
    assert bob(running, "proposal", "approve", number, "--why", "read it").returncode == 0
    place.wait_for("erasure", lambda: not running.api("GET", "/v1/audit/erasures")["erasures"])
    left = running.audit(device="gone-1")
    assert {"log.erase", "log.hold", "device.add"} <= {record["action"] for record in left}
    assert all(record["action"] == "log.erase" or record["actor"]["kind"] == "operator" for record in left)
    assert f"proposal {number} of admin; ticket 812" in {record.get("reason") for record in left}
    assert any("device gone-1, ticket 812" in record["reason"] for record in acts(running, "proposal.make"))


def test_an_operator_who_has_left_is_erased_by_two(running, work):
    running.touchmark("operator", "add", "olga", "--out", work / "olga")
    assert place.touchmark("device", "list", "--profile", work / "olga/operator.conf", "--server",
                           f"https://127.0.0.1:{running.ports['operator']}").returncode == 0
    acted = running.wait_audit(lambda record: record["action"] == "device.read", actor="olga")
    running.touchmark("operator", "revoke", "olga", "--wait")
    number = proposed(running, "audit", "erase", "--operator", "olga", "--reason", "has left")
    assert bob(running, "proposal", "approve", number, "--why", "read it").returncode == 0
    place.wait_for("erasure", lambda: not running.api("GET", "/v1/audit/erasures")["erasures"])
    assert running.audit(actor="olga") == []
    assert told(running, "audit", "show", acted["index"])["erased"] is True
    assert any(record.get("reason", "").startswith("done") for record in running.audit(action="log.erase"))


def test_nobody_makes_his_own_second(running, work):
    done = running.touchmark("operator", "add", "puppet", "--role", "admin", "--out", work / "puppet", check=False)
    assert done.returncode == 5 and "at the machine" in done.stderr
    running.touchmark("operator", "add", "looker", "--role", "auditor", "--out", work / "looker")


def test_a_second_who_was_revoked_meanwhile_is_none(running, work):
    number = proposed(running, "policy", "apply", policy_file(work, FIRST + "# 3\n"), "--why", "to see")
    before = told(running, "policy", "show")
    running.touchmark("operator", "revoke", "bob", "--wait")
    assert bob(running, "proposal", "approve", number, "--why", "read it").returncode in (3, 6)
    assert told(running, "policy", "show") == before


def test_a_setting_that_names_no_act_is_refused():
    with place.work_folder() as folder:
        place.init(folder / "place")
        place.add_settings(folder / "place", authority={"four_eyes": "policy, everything"})
        refused = place.Supervisor(folder / "place").start()
        assert refused.wait_end() == 78
        assert "[authority] four_eyes: the acts that can need two administrators are policy, revocation, retention" in refused.log()
