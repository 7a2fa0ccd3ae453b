"""Every command of touchmark that speaks to a running system, against real doors."""
import json
import os
import re
import shutil
import stat
import subprocess

import pytest

import place
import world


@pytest.fixture(scope="module")
def running():
    with world.world() as made:
        yield made


@pytest.fixture
def work(tmp_path):
    return tmp_path


def told(running, *words):
    """The JSON of a command that must succeed."""
    return json.loads(running.touchmark(*words, "--json").stdout)


def refused(running, status, *words):
    done = running.touchmark(*words, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    assert done.stdout == "" and done.stderr.startswith("touchmark: ")
    return done.stderr


def device_door(running):
    return f"https://127.0.0.1:{running.ports['https']}"


def enroll(running, name, work, *options, token=None, check=True):
    words = ["enroll", name, "--server", device_door(running), "--out", work, *options]
    if token is not None:
        (work / "token").write_text(token)
        words += ["--token", work / "token", "--authorities", running.folder / "ca/doors.pem"]
    return place.touchmark(*words, check=check)


def new_device(running, name, *options):
    running.touchmark("device", "add", name, *options)
    return running.touchmark("token", "new", name).stdout


# ---- status, and how a refusal is told ----

def test_status_says_how_it_is(running):
    status = told(running, "status")
    assert status["signer"] is True and status["operators"] == 1
    assert "signer answers" in running.touchmark("status").stdout


def test_a_refusal_names_the_request_that_the_audit_log_knows(running):
    told_text = refused(running, 4, "device", "show", "nobody")
    assert re.search(r"request [0-9a-f]{32}\)", told_text)


def test_a_server_that_is_not_ours_is_not_spoken_to(running, work):
    """The devices' CA did not certify the operator door."""
    conf = (running.folder / "operator/operator.conf").read_text()
    for name in ("admin.pem", "admin.key", "checkpoints.pub.pem"):
        (work / name).write_bytes((running.folder / "operator" / name).read_bytes())
    (work / "doors.pem").write_bytes((running.folder / "ca/devices.pem").read_bytes())
    (work / "operator.conf").write_text(conf)
    done = place.touchmark("status", "--profile", work / "operator.conf", "--server",
                           f"https://127.0.0.1:{running.ports['operator']}", check=False)
    assert done.returncode == 3 and "not one of our doors'" in done.stderr


def test_the_device_door_is_not_taken_for_the_operator_door(running):
    """One CA and one host certify both; the name in the certificate tells, before a word is said."""
    done = place.touchmark("token", "new", "no-such-device", "--profile",
                           running.folder / "operator/operator.conf", "--server",
                           f"https://127.0.0.1:{running.ports['https']}", check=False)
    assert done.returncode == 3 and "this is the device-door, not the operator-door" in done.stderr
    assert told(running, "audit", "list", "--target", "device no-such-device")["records"] == []
    assert told(running, "audit", "list", "--action", "api.request")["records"] == []


def test_the_environment_leads_nowhere_else(running, work, monkeypatch):
    for name in ("https_proxy", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("SSL_CERT_FILE", "/dev/null")
    monkeypatch.setenv("SSLKEYLOGFILE", str(work / "session-keys"))
    running.touchmark("status")
    assert not (work / "session-keys").exists()


def test_nobody_there_is_busy(running):
    done = place.touchmark("status", "--profile", running.folder / "operator/operator.conf",
                           "--server", "https://127.0.0.1:1", check=False)
    assert done.returncode == 6 and "not reachable" in done.stderr


# ---- devices, tokens, enrolment ----

def test_a_devices_whole_life(running, work):
    token = new_device(running, "life-1", "--group", "pumps,hall-2", "--label", "By the door")
    assert re.fullmatch(r"[^:\s]+:\S+\n", token)
    shown = told(running, "device", "show", "life-1")
    assert shown["device"]["state"] == "registered" and shown["device"]["groups"] == ["pumps", "hall-2"]
    enroll(running, "life-1", work, token=token)
    assert stat.S_IMODE(os.stat(work / "life-1.key").st_mode) == 0o600
    world.run("openssl", "verify", "-CAfile", running.folder / "ca/root.pem", "-untrusted", work / "chain.pem",
              work / "life-1.pem")
    same = [world.run("openssl", *words).stdout for words in
            (("x509", "-in", work / "life-1.pem", "-noout", "-pubkey"), ("pkey", "-in", work / "life-1.key", "-pubout"))]
    assert same[0] == same[1]
    running.touchmark("device", "suspend", "life-1", "--wait")
    assert told(running, "device", "show", "life-1")["device"]["state"] == "suspended"
    running.touchmark("device", "resume", "life-1", "--wait")
    assert told(running, "device", "revoke", "life-1", "--reason", "keyCompromise", "--wait")["applied"] is True
    shown = running.touchmark("device", "show", "life-1").stdout
    assert "revoked" in shown and "By the door" in shown


def test_a_device_renews_with_the_key_that_it_has(running, work):
    enroll(running, "renew-1", work, token=new_device(running, "renew-1"))
    key, first = (work / "renew-1.key").read_bytes(), (work / "renew-1.pem").read_bytes()
    enroll(running, "renew-1", work, "--renew")
    assert (work / "renew-1.key").read_bytes() == key
    assert (work / "renew-1.pem").read_bytes() != first
    assert len(told(running, "device", "show", "renew-1")["certificates"]) == 2


def test_a_token_is_good_once_and_a_refusal_leaves_nothing(running, work):
    token = new_device(running, "once-1")
    enroll(running, "once-1", work, token=token)
    other = work / "other"
    other.mkdir()
    done = enroll(running, "once-1", other, token=token, check=False)
    assert done.returncode == 3
    assert sorted(path.name for path in other.iterdir()) == ["token"]


def test_a_key_that_is_there_is_not_overwritten(running, work):
    enroll(running, "keep-1", work, token=new_device(running, "keep-1"))
    key = (work / "keep-1.key").read_bytes()
    token = running.touchmark("token", "new", "keep-1").stdout
    assert enroll(running, "keep-1", work, token=token, check=False).returncode == 5
    assert (work / "keep-1.key").read_bytes() == key
    enroll(running, "keep-1", work, "--force", token=token)
    assert (work / "keep-1.key").read_bytes() != key


def test_the_token_comes_by_standard_input_too(running, work):
    token = new_device(running, "stdin-1", "--label", "x")
    done = subprocess.run([place.BIN / "touchmark", "enroll", "stdin-1", "--server", device_door(running), "--out", work,
                           "--authorities", running.folder / "ca/doors.pem", "--token", "-"],
                          input=token.encode(), capture_output=True)
    assert done.returncode == 0, done.stderr


def test_devices_are_listed_page_by_page(running):
    names = [f"list-{i:03}" for i in range(7)]
    for name in names:
        running.touchmark("device", "add", name, "--group", "listed")
    all_of_them = told(running, "device", "list", "--group", "listed")
    assert [device["id"] for device in all_of_them["devices"]] == names and all_of_them["next"] is None
    found, cursor = [], []
    while True:
        page = told(running, "device", "list", "--limit", "3", *cursor)
        found += [device["id"] for device in page["devices"]]
        if page["next"] is None:
            break
        cursor = ["--cursor", page["next"]]
    assert set(names) <= set(found) and len(found) == len(set(found))
    lines = running.touchmark("device", "list", "--group", "listed", "--state", "registered").stdout.splitlines()
    assert lines[0].split()[0] == "DEVICE" and len(lines) == 8


@pytest.mark.parametrize("words, status", [
    (["device", "add", "bad id"], 7),
    (["device", "add", "x", "--group", "a,,b"], 7),
    (["device", "revoke", "absent-1"], 4),
    (["device", "revoke", "absent-1", "--reason", "no such reason"], 7),
    (["device", "list", "--state", "dead"], 7),
    (["device", "list", "--limit", "0"], 7),
    (["token", "new", "absent-1"], 4),
    (["token", "new", "absent-1", "--lifetime", "-1"], 7),
    (["certificate", "revoke", "00"], 4),
    (["certificate", "revoke", "00" * 32], 4),
    (["operator", "revoke", "absent-1"], 4),
    (["line", "revoke", "absent-1"], 4),
    (["policy", "show", "4711"], 4),
    (["audit", "show", "99999999"], 4),
])
def test_refusals_have_their_status(running, words, status):
    refused(running, status, *words)


def test_a_device_is_added_once(running):
    running.touchmark("device", "add", "twice-1")
    refused(running, 5, "device", "add", "twice-1")


# ---- certificates ----

def test_one_certificate_is_revoked_and_the_other_stays(running, work):
    enroll(running, "certs-1", work, token=new_device(running, "certs-1"))
    enroll(running, "certs-1", work, "--renew")
    listed = told(running, "certificate", "list", "--kind", "device", "--subject", "certs-1")["certificates"]
    assert len(listed) == 2
    running.touchmark("certificate", "revoke", listed[0]["fingerprint"], "--reason", "superseded", "--wait")
    states = {c["fingerprint"]: c["state"] for c in
              told(running, "certificate", "list", "--kind", "device", "--subject", "certs-1")["certificates"]}
    assert states == {listed[0]["fingerprint"]: "revoked", listed[1]["fingerprint"]: "active"}


def test_certificates_are_listed_by_kind(running):
    listed = told(running, "certificate", "list", "--kind", "operator")["certificates"]
    assert "admin" in {one["subject"] for one in listed} and {one["kind"] for one in listed} == {"operator"}


# ---- operators and lines ----

def as_operator(running, folder, *words):
    return place.touchmark(*words, "--profile", folder / "operator.conf", check=False)


def test_an_operator_gets_a_folder_that_is_all_they_need(running, work):
    grace = work / "grace"
    running.touchmark("operator", "add", "grace", "--role", "admin", "--label", "Grace", "--out", grace)
    assert stat.S_IMODE(os.stat(grace).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(grace / "grace.key").st_mode) == 0o600
    assert as_operator(running, grace, "status").returncode == 0
    assert as_operator(running, grace, "device", "add", "by-grace").returncode == 0
    running.touchmark("operator", "revoke", "grace", "--reason", "keyCompromise", "--wait")
    assert as_operator(running, grace, "status").returncode in (3, 6)
    rows = told(running, "operator", "list")["operators"]
    assert {row["id"]: row["state"] for row in rows}["grace"] == "revoked"


def test_an_auditor_reads_and_does_not_change(running, work):
    running.touchmark("operator", "add", "otto", "--out", work / "otto")
    assert as_operator(running, work / "otto", "audit", "list").returncode == 0
    done = as_operator(running, work / "otto", "device", "add", "by-otto")
    assert done.returncode == 3 and "request" in done.stderr


def test_a_line_brings_its_own_key(running, work):
    world.run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
              work / "hall.key", "-out", work / "hall.csr", "-subj", "/CN=hall")
    pem = running.touchmark("line", "add", "hall", "--csr", work / "hall.csr").stdout
    assert pem.startswith("-----BEGIN CERTIFICATE-----")
    running.touchmark("line", "revoke", "hall", "--wait")


def test_a_refused_operator_leaves_no_folder(running, work):
    refused(running, 5, "operator", "add", "admin", "--out", work / "second")
    assert not (work / "second").exists()


# ---- policies ----

def test_a_policy_goes_its_way(running, work):
    good, bad = work / "good.policy", work / "bad.policy"
    good.write_text(world.EVERYTHING_OWN)
    bad.write_text("allow device connect\nallow nonsense\n")
    assert "2 rules, accepted" in place.touchmark("policy", "check", good).stdout
    done = place.touchmark("policy", "check", bad, check=False)
    assert done.returncode == 7 and f"{bad}:2:7: " in done.stderr
    assert told(running, "policy", "check", good, "--server-check")["accepted"] is True
    assert "accepted by the server, too" in running.touchmark("policy", "check", good, "--server-check").stdout
    assert running.touchmark("policy", "check", bad, "--server-check", check=False).returncode == 7
    before = told(running, "policy", "show")["version"]
    applied = told(running, "policy", "apply", good, "--why", "to see")
    assert applied["version"] == before + 1
    assert running.touchmark("policy", "show").stdout == good.read_text()
    refused(running, 5, "policy", "apply", good, "--why", "late", "--replaces", before)
    assert "line 2" in refused(running, 7, "policy", "apply", bad, "--why", "wrong")
    assert running.touchmark("policy", "show", before).stdout != good.read_text()
    versions = told(running, "policy", "list")["policies"]
    assert [row["version"] for row in versions if row["active"]] == [before + 1]


# ---- audit ----

def test_the_log_tells_who_did_what(running):
    running.touchmark("device", "add", "told-1")
    record = told(running, "audit", "list", "--device", "told-1", "--limit", "1")["records"][0]
    assert record["decision"] == "allowed" and record["actor"]["id"] == "admin"
    assert told(running, "audit", "show", record["index"])["leaf"] == record["leaf"]
    assert "told-1" in running.touchmark("audit", "list", "--actor", "admin").stdout
    asked = ["--since", record["time"], "--until", record["time"], "--action", record["action"],
             "--decision", "allowed", "--correlation", record["correlation"], "--before", record["index"] + 1]
    assert [row["index"] for row in told(running, "audit", "list", *asked)["records"]] == [record["index"]]


@pytest.fixture(scope="module")
def exported(running, tmp_path_factory):
    """A copy of the log, a checkpoint kept before it grew on, and a longer copy."""
    work = tmp_path_factory.mktemp("audit")
    running.touchmark("device", "add", "first-export")
    place.wait_for("a checkpoint", lambda: running.touchmark("audit", "checkpoint", check=False).returncode == 0)
    running.touchmark("audit", "export", work / "old")
    size = int((work / "old/checkpoint").read_text().splitlines()[1])
    running.touchmark("device", "add", "second-export")

    def grown():
        running.touchmark("audit", "checkpoint", "--save", work / "newer")
        return int((work / "newer").read_text().splitlines()[1]) > size
    place.wait_for("the log's growth", grown)
    running.touchmark("audit", "export", work / "new")
    return work, running.folder / "ca/checkpoints.pub.pem"


def test_an_exported_log_verifies_with_the_public_key_alone(exported):
    work, key = exported
    done = place.touchmark("audit", "verify", work / "new", "--key", key, "--since", work / "old/checkpoint", "--json")
    assert json.loads(done.stdout)["verified"] is True


def test_the_log_verifies_where_it_is(running):
    assert told(running, "audit", "verify")["verified"] is True


def test_a_log_that_was_cut_shows(exported):
    """The old copy is whole in itself; the checkpoint that was kept says that it is not all."""
    work, key = exported
    place.touchmark("audit", "verify", work / "old", "--key", key)
    done = place.touchmark("audit", "verify", work / "old", "--key", key, "--since", work / "newer", check=False)
    assert done.returncode == 3, done.stderr


@pytest.mark.parametrize("at", [0.3, 0.6, 0.9])
def test_a_changed_record_is_named(exported, tmp_path, at):
    work, key = exported
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/checkpoint").write_bytes((work / "new/checkpoint").read_bytes())
    records = bytearray((work / "new/records").read_bytes())
    records[int(len(records) * at)] ^= 1
    (tmp_path / "bad/records").write_bytes(records)
    done = place.touchmark("audit", "verify", tmp_path / "bad", "--key", key, check=False)
    assert done.returncode in (3, 7) and re.search(r"record \d+", done.stderr), done.stderr


def test_another_key_does_not_verify_it(exported, tmp_path):
    work, _ = exported
    world.run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", tmp_path / "k")
    world.run("openssl", "pkey", "-in", tmp_path / "k", "-pubout", "-out", tmp_path / "pub")
    done = place.touchmark("audit", "verify", work / "new", "--key", tmp_path / "pub", check=False)
    assert done.returncode == 3


# ---- at the machine, while it serves ----

def wait_checkpoint(system, file, size):
    """The newest checkpoint, in this file, once it covers so many records."""
    def newer():
        done = system.touchmark("audit", "checkpoint", "--save", file, check=False)
        return done.returncode == 0 and int(file.read_text().splitlines()[1]) >= size
    place.wait_for("a newer checkpoint", newer)


def test_a_backup_while_it_serves_and_a_restore_of_it(running, work):
    running.touchmark("device", "add", "kept-1")
    wait_checkpoint(running, work / "before", 1)
    running.touchmark("backup", work / "backup", "--config", running.folder / "touchmark.conf")
    running.touchmark("device", "add", "lost-1")
    assert list((running.folder / "authority/backups").iterdir()) == []
    with place.work_folder() as other:
        place.touchmark("restore", work / "backup", other / "place", "--pin", running.folder / "secrets/issuing.pin",
                        "--checkpoint", work / "before")
        shutil.copy(running.folder / "operator/admin.key", other / "place/operator")
        conf = other / "place/touchmark.conf"
        conf.write_text(conf.read_text().partition("[supervisor]")[0])  # World() writes these settings
        with world.World(other, folder=other / "place") as again:
            ids = {device["id"] for device in again.pages("/v1/devices", "devices")}
            assert "kept-1" in ids and "lost-1" not in ids
            # the tiles of the restored log are made first: until then there is nothing published to verify
            place.wait_for("a verified log", lambda: again.touchmark("audit", "verify", check=False).returncode == 0)
            covered = (work / "before").read_text().splitlines()[1]
            reason = again.wait_audit(action="system.restore")["reason"]
            assert reason.endswith(f"held against a kept checkpoint of {covered} records")
            size = json.loads((work / "backup/manifest.json").read_text())["log"]["size"]
            wait_checkpoint(again, work / "kept", size + 1)
        a_backup_older_than_a_kept_checkpoint_is_refused(work)
        a_backup_older_than_the_surviving_journal_issues_nothing(work, other / "place/signer/journal")


def a_backup_older_than_a_kept_checkpoint_is_refused(work):
    """Part of the test above: the log went on, and going back would sign an older state again."""
    done = place.touchmark("restore", work / "backup", work / "place", "--checkpoint", work / "kept", check=False)
    assert done.returncode == 3 and "would be forgotten" in done.stderr
    assert not (work / "place").exists()


def a_backup_older_than_the_surviving_journal_issues_nothing(work, journal):
    """So, too: what the authority will say (tests/unit/daemon/test_authority_age.c) is said at once."""
    done = place.touchmark("restore", work / "backup", work / "place", "--journal", journal, "--json")
    assert json.loads(done.stdout)["issues"] is False and "will issue nothing" in done.stderr
    assert "surviving journal" in (work / "place/authority/registry/store.copy").read_text()


def test_a_support_bundle_knows_no_token(running, work):
    token = new_device(running, "bundle-1")
    enroll(running, "bundle-1", work, token=token)
    running.touchmark("support-bundle", work / "bundle", "--config", running.folder / "touchmark.conf",
                      "--log", running.running.log_path)
    assert json.loads((work / "bundle/status.json").read_text())["signer"] is True
    assert "# TYPE" in (work / "bundle/metrics.txt").read_text()
    secret = token.strip().partition(":")[2].encode()
    for path in (work / "bundle").iterdir():
        assert secret not in path.read_bytes(), path


def test_every_command_is_tried_in_a_system_test():
    overview = place.touchmark("--help").stdout.partition("Commands:\n")[2].partition("\n\n")[0]
    tests = "".join(path.read_text() for path in (place.SOURCE / "tests/system").glob("*.py"))
    commands = [re.match(r"  ([a-z-]+(?: [a-z-]+)?)", line)[1] for line in overview.splitlines()]
    assert len(commands) > 25
    for command in commands:
        assert '"' + '", "'.join(command.split()) + '"' in tests, command
