"""The authority as init made it and touchmarkd runs it: comes back, copies itself, lets a lost operator back in, and
says what is wrong in words."""
import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess

import pytest

import inject
import place
import world


@pytest.fixture
def system():
    with place.work_folder() as work, world.World(work) as running:
        yield running


@pytest.fixture(scope="module")
def made():
    with place.work_folder() as work:
        place.init(work / "place")
        place.add_settings(work / "place", supervisor=world.QUICK)
        yield work / "place"


@pytest.fixture
def copy(made):
    """A place of one's own to break; the settings name the copy."""
    with place.work_folder() as work:
        folder = work / "place"
        subprocess.run(["cp", "-a", made, folder], check=True)
        for name in ("touchmark.conf", "hsm/issuing/softhsm2.conf"):
            text = (folder / name).read_text().replace(str(made), str(folder))
            (folder / name).write_text(text)
        yield folder


def wait_status(system, want, seconds=60):
    """The first status that is as wanted."""
    def found():
        status = system.api("GET", "/v1/status")
        return status if want(status) else None
    return place.wait_for(f"status\n{system.running.log()[-3000:]}", found, seconds)


def enrol_at_last(system, name):
    """As a client does that was told 503, or nothing at all."""
    def enrolled():
        try:
            known = system.call("GET", f"/v1/devices/{name}").status == 200
            return system.enrol_quickly(name, add=not known)
        except (OSError, http.client.HTTPException, world.Refused):
            return None
    return place.wait_for(name, enrolled, 60)


@pytest.mark.parametrize("name", ["signer", "signer-worker", "authority"])
def test_what_was_issued_survives_kills_and_issuing_goes_on(system, name):
    issued = [system.enrol_quickly(f"dev-{number}") for number in range(3)]
    for number in range(3):
        os.kill(place.wait_for(name, lambda: system.running.pids(name))[0], signal.SIGKILL)
        issued.append(enrol_at_last(system, f"more-{number}"))
    known = {each["fingerprint"] for each in system.pages("/v1/certificates", "certificates")}
    assert {each.fingerprint for each in issued} <= known
    wait_status(system, lambda status: status["audit_checkpoint"] == status["audit_records"])


def test_every_enrolment_says_what_security_people_ask(system):
    issued = system.enrol("dev-1")
    record = system.wait_audit(action="certificate.issue")
    assert record["decision"] == "allowed" and record["device"] == "dev-1"
    told = record["certificate"]
    assert told["fingerprint"] == issued.fingerprint and told["serial"] == issued.serial
    assert len(told["issuer"]) == len(told["key"]) == 64
    used = system.wait_audit(action="token.use")
    assert used["target"].startswith("token ") and used["certificate"]["fingerprint"] == issued.fingerprint
    made = system.wait_audit(action="token.new")
    assert made["reason"] == used["target"]
    version = system.apply_policy("# nothing, again\n")
    assert system.wait_audit(action="policy.apply")["policy"] == version


def openssl_request(folder, name):
    key, request = folder / f"{name}.key", folder / f"{name}.csr"
    world.run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
              "-keyout", key, "-out", request, "-subj", f"/CN={name}")
    return key, request


def test_a_lost_operator_comes_back_by_the_folder(system):
    key, request = openssl_request(system.work, "eve")
    recover = system.folder / "authority/recover"
    shutil.copy(request, recover / "eve.csr")
    os.chmod(recover / "eve.csr", 0o644)
    os.kill(system.running.pids("authority")[0], signal.SIGKILL)
    certificate = recover / "eve.pem"
    place.wait_for("certificate", lambda: certificate.exists() and not (recover / "eve.csr").exists(), 60)
    world.run("openssl", "verify", "-x509_strict", "-CAfile", system.root, "-untrusted", certificate, certificate)
    eve = world.Credential.read("eve", certificate, key)
    system.wait_healthy()
    system.api("POST", "/v1/operators/admin/revoke", {}, who=eve)
    system.admin = eve
    system.local.kept.clear()  # the lost one's connection was cut with him
    assert system.running.events("authority.recovered")
    record = system.wait_audit(action="system.recover")
    assert record["target"] == "operator eve" and record["certificate"]["fingerprint"] == eve.fingerprint


def ends(system, process):
    """What the log says of the ends of this process, oldest first."""
    return [(each["decision"], each["reason"].split(", pid ")[0]) for each in reversed(system.audit(action="process.stop"))
            if each["actor"] == {"kind": "process", "id": process} and each["target"] == process]


def end_it(system, process, how):
    """Once, and wait until it serves again and its end is in the log."""
    before, ready = len(ends(system, process)), told_ready(system, process)
    how(place.wait_for(process, lambda: system.running.pids(process))[0])
    place.wait_for(f"{process} again", lambda: told_ready(system, process) > ready, 60)
    system.wait_healthy()
    place.wait_for(f"the end of {process}", lambda: len(ends(system, process)) > before, 60)
    return ends(system, process)[before:]


def told_ready(system, process):
    return sum(f"child={process}" in str(each) for each in system.running.events("process.ready"))


def kill(pid):
    os.kill(pid, signal.SIGKILL)


def break_out(pid):
    with contextlib.suppress(inject.Killed):
        inject.syscall(pid, "fork")


def test_how_a_process_ended_is_told_once(system):
    """By touchmarkd's word, whatever the process could have written of itself."""
    processes = ["signer", "device-door", "operator-door", "exporter", "authority"]
    for process in processes:
        assert end_it(system, process, kill) == [("failed", "killed by SIGKILL")]
        assert end_it(system, process, break_out) == [("failed", "killed by the jail (SIGSYS)")]
    assert {process: len(ends(system, process)) for process in processes} == dict.fromkeys(processes, 2)
    found = json.loads(system.touchmark("audit", "list", "--action", "process.stop", "--decision", "failed", "--json").stdout)
    assert len(found["records"]) == 2 * len(processes)


def put_registry_back(system, copy):
    """As root at the machine, with everything stopped."""
    registry = system.folder / "authority/registry"
    owner = os.stat(registry)
    shutil.move(registry, system.work / "newer")
    shutil.copytree(copy, registry)
    for path in (registry, *registry.iterdir()):
        os.chown(path, owner.st_uid, owner.st_gid)
    os.chmod(registry, 0o700)


def test_an_older_registry_issues_nothing_and_says_why(system):
    system.add_device("dev-1")
    name = system.api("POST", "/v1/backups")["name"]
    assert system.running.stop() == 0
    copy = system.folder / "authority/backups" / name
    system.running.log_path.unlink()  # its ports are not the next life's
    system.starts = 0
    system.start()
    for number in range(3):
        system.add_device(f"newer-{number}")
    wait_status(system, lambda status: status["audit_checkpoint"] == status["audit_records"])
    assert system.running.stop() == 0
    put_registry_back(system, copy)
    system.running.start()
    place.wait_for("trouble", lambda: system.running.events("authority.trouble"), 60)
    assert "an older registry was put back" in system.running.events("authority.trouble")[-1]
    assert system.running.events("authority.restored")
    assert system.running.stop() == 0


def break_setting(folder, key, value):
    conf = folder / "touchmark.conf"
    lines = [f"{key} = {value}" if line.startswith(f"{key} = ") else line for line in conf.read_text().splitlines()]
    assert f"{key} = {value}" in lines
    conf.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("key, value, told", [
    ("first_operator", "/nonexistent.pem", "first_operator"),
    ("first_policy", "/nonexistent.policy", "nonexistent"),
    ("backups", "/nonexistent", "nonexistent"),
    ("recover", "/nonexistent", "nonexistent"),
    ("registry", "/nonexistent", "nonexistent"),
    ("token_lifetime", "1s", "token_lifetime"),
])
def test_wrong_settings_are_told_and_never_retried(copy, key, value, told):
    if key == "token_lifetime":
        conf = copy / "touchmark.conf"
        conf.write_text(conf.read_text().replace("[authority]\n", "[authority]\ntoken_lifetime = 1h\n"))
    break_setting(copy, key, value)
    running = place.Supervisor(copy).start()
    assert running.wait_end() == 78, running.log()
    assert told in running.log() or "nonexistent" in running.log(), running.log()
    assert len(running.events("process.restart")) == 0
