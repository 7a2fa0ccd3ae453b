"""What a policy means, asked of a running system: its devices, its versions, and what its door really decides."""
import json

import pytest

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
