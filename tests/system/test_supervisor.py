"""touchmarkd with the real signer: starts, jails, restarts, refuses, stops."""
import os
import re
import shutil
import signal
import subprocess
import time

import pytest

import place


# Whose user a program has, if it is not the one of its name.
OWNERS = {"signer-worker": "signer"}


@pytest.fixture(scope="module")
def made():
    with place.work_folder() as work:
        place.init(work / "place")
        place.add_settings(work / "place", supervisor={"restart_least": "20ms", "log_level": "info"})
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


def test_starts_and_stops_within_five_seconds(made):
    with place.Supervisor(made) as running:
        assert running.pids("signer")
        began = time.monotonic()
        assert running.stop() == 0
        assert time.monotonic() - began < 15  # a bound for the machine; the promise is logged
        assert running.children() == {}
        assert running.events("supervisor.stopped")


def test_each_process_has_its_own_uid_and_no_way_to_more(made):
    with place.Supervisor(made) as running:
        children = running.children()
        assert len(children) >= 4  # the signer's parent and two workers, the authority
        for pid, name in children.items():
            with open(f"/proc/{pid}/status") as status:
                told = dict(line.rstrip("\n").split(":\t", 1) for line in status if ":\t" in line)
            assert told["NoNewPrivs"] == "1" and told["Seccomp"] == "2", told["Name"]
            assert int(told["CapEff"], 16) == 0 or not place.is_root()
            if place.is_root():
                user = place.USERS[OWNERS.get(name, name)]
                assert set(told["Uid"].split()) == {str(user)}
                assert set(told["Gid"].split()) == {str(user)}


def test_the_pin_is_in_no_argument_environment_or_log(made):
    pin = (made / "secrets/issuing.pin").read_bytes()
    with place.Supervisor(made) as running:
        for pid in [running.process.pid, *running.children()]:
            for name in ("cmdline", "environ"):
                assert pin not in open(f"/proc/{pid}/{name}", "rb").read()
        assert pin.decode() not in running.log()


def pick_victim(running, name):
    return place.wait_for(name, lambda: running.pids(name))[0]


@pytest.mark.parametrize("name", ["signer", "signer-worker", "authority"])
def test_what_is_killed_comes_back(made, name):
    with place.Supervisor(made) as running:
        for _ in range(3):
            ready = len(running.events("process.ready"))
            os.kill(pick_victim(running, name), signal.SIGKILL)
            running.wait_event("process.ready", count=ready + 1)
        assert running.stop() == 0


@pytest.fixture(autouse=True)
def fresh_log(made):
    (made / "test.log").unlink(missing_ok=True)
    yield


def test_a_wrong_pin_is_tried_once_and_ends_everything(copy):
    (copy / "secrets/issuing.pin").write_text("not the pin")
    running = place.Supervisor(copy).start()
    assert running.wait_end() == 77
    assert len(running.events("process.exited")) == 1, running.log()
    assert "means=\"wrong PIN\"" in running.log() or "PIN" in running.log()
    assert "not the pin" not in running.log()


@pytest.mark.parametrize("change, told", [
    (("token = touchmark\n", "token = touchmark\nfrobnicate = 1\n"), "frobnicate"),
    (("grant = softhsm", "grant = everything"), "grant"),
    (("rules_key_sha256 = ", "rules_key_sha256 = 00"), "rules_key_sha256"),
    (("token = touchmark\n", "token = touchmark\ntoken = touchmark\n"), "token"),
])
def test_wrong_settings_are_told_with_their_line_and_never_retried(copy, change, told):
    conf = copy / "touchmark.conf"
    before, after = change
    assert before in conf.read_text()
    conf.write_text(conf.read_text().replace(before, after))
    running = place.Supervisor(copy).start()
    assert running.wait_end() == 78
    assert told in running.log(), running.log()


def test_rules_that_the_root_did_not_sign_are_refused(copy):
    rules = copy / "keys/rules"
    rules.write_text(rules.read_text().replace("rate 10 burst 100", "rate 11 burst 100"))
    running = place.Supervisor(copy).start()
    assert running.wait_end() == 78
    assert "not signed by the ceremony key" in running.log(), running.log()


def test_a_token_that_is_away_is_waited_for(copy):
    tokens = copy / "hsm/issuing/tokens"
    away = copy / "away"
    shutil.move(tokens, away)
    tokens.mkdir(mode=0o755)
    running = place.Supervisor(copy).start()
    running.wait_event("process.restart", count=2)
    tokens.rmdir()
    shutil.move(away, tokens)
    running.wait_event("supervisor.ready")
    assert running.stop() == 0


def test_check_tells_good_from_bad(copy):
    conf = copy / "touchmark.conf"
    check = [place.BIN / "touchmarkd", "--check", conf]
    assert subprocess.run(check, capture_output=True).returncode == 0
    conf.write_text(conf.read_text() + "[nonsense]\nkey = 1\n")
    done = subprocess.run(check, capture_output=True, text=True)
    assert done.returncode == 78 and re.search(r"line \d+", done.stderr)


def test_manual_names_every_setting_that_init_writes(made):
    manual = subprocess.run([place.BIN / "touchmarkd", "--manual"], capture_output=True, text=True).stdout
    for key in re.findall(r"^(\w+) =", (made / "touchmark.conf").read_text(), re.M):
        assert key in manual, key


def test_no_child_outlives_a_killed_supervisor(made):
    with place.Supervisor(made) as running:
        children = running.children()
        running.process.kill()
        running.process.wait()
        place.wait_for("children to end", lambda: not any(
            place.command_of(pid) == name for pid, name in children.items()))
