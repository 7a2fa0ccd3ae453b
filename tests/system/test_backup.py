"""touchmark backup, restore and support-bundle, at the machine, with touchmarkd stopped and running."""
import json
import os
import shutil
import stat

import pytest

import place


def copy_pin(folder, work):
    pin = work / "issuing.pin"
    shutil.copy(folder / "secrets/issuing.pin", pin)
    return pin


def serving(folder):
    """touchmarkd with a log of its own: what an earlier one said must not count."""
    (folder / "test.log").unlink(missing_ok=True)
    return place.Supervisor(folder)


def run_once(folder):
    """All processes serve; its log so far."""
    with serving(folder) as running:
        running.wait_event("authority.issues")
        return running.log()


def backup(folder, target, *options, check=True):
    return place.touchmark("backup", target, "--config", folder / "touchmark.conf", "--offline", *options,
                           check=check)


@pytest.fixture(scope="module")
def stopped():
    """A place that served and was stopped, and a backup of it."""
    with place.work_folder() as work:
        folder = work / "place"
        place.init(folder)
        place.add_settings(folder)
        run_once(folder)
        backup(folder, work / "backup")
        yield work, folder, work / "backup"


LOST = "--no-newer-checkpoint"  # neither a kept checkpoint nor the journal


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_backup_is_its_owners_and_holds_no_secret_in_the_clear(stopped):
    _, folder, made = stopped
    assert stat.S_IMODE(os.stat(made).st_mode) == 0o700
    for path in made.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    names = set(contents(made / "place"))
    # What audit.key opens is the registry beside it: one is as secret as the other.
    assert [name for name in names if name.startswith(("root", "secrets")) or name.endswith(".key")] == \
           ["authority/registry/audit.key"]
    secrets = [(folder / name).read_bytes() for name in ("secrets/issuing.pin", "secrets/issuing.so-pin",
                                                         "root/pin", "root/so-pin")]
    assert not any(secret in data for data in contents(made).values() for secret in secrets)


def test_every_file_is_in_the_manifest(stopped):
    _, _, made = stopped
    manifest = json.loads((made / "manifest.json").read_text())
    assert {row["path"] for row in manifest["files"]} == set(contents(made / "place"))


def test_a_restored_place_serves_and_signs_with_the_same_keys(stopped):
    work, folder, made = stopped
    again = work / "again"
    told = json.loads(place.touchmark("restore", made, again, LOST, "--pin", copy_pin(folder, work), "--json").stdout)
    assert told["pin"] is True and told["issues"] is True
    assert (again / "ca/chain.pem").read_bytes() == (folder / "ca/chain.pem").read_bytes()
    for name in ("signer/journal", "authority/registry", "authority/registry/data.mdb", "hsm/issuing", "device-door"):
        was, now = os.stat(folder / name), os.stat(again / name)
        assert (was.st_uid, was.st_gid, was.st_mode) == (now.st_uid, now.st_gid, now.st_mode), name
    assert str(folder) + "/" not in (again / "touchmark.conf").read_text()
    copy, data = (os.stat(again / "authority/registry" / name) for name in ("store.copy", "data.mdb"))
    assert (copy.st_uid, copy.st_gid, copy.st_mode) == (data.st_uid, data.st_gid, data.st_mode)
    done = backup(again, work / "of-none", check=False)
    assert done.returncode == 3 and "not served since" in done.stderr
    log = run_once(again)
    assert " event=authority.restored " in log and "no newer checkpoint was kept" in log
    assert " event=authority.restored " not in run_once(again)


def test_a_restore_without_what_tells_of_later_checkpoints_is_refused(stopped, tmp_path):
    _, _, made = stopped
    done = place.touchmark("restore", made, tmp_path / "new", check=False)
    assert done.returncode == 2
    for way in ("--checkpoint FILE", "--journal DIR", LOST):
        assert way in done.stderr
    with place.work_folder() as work:
        shutil.copytree(made / "place/signer/journal", work / "copied")
        for journal in (made / "place/signer/journal", work / "copied"):
            done = place.touchmark("restore", made, tmp_path / "new", "--journal", journal, check=False)
            assert done.returncode == 3 and "may be a copy of it" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_without_its_pin_a_restored_place_says_what_it_lacks(stopped):
    work, _, made = stopped
    done = place.touchmark("restore", made, work / "no-pin", LOST)
    assert "secrets/issuing.pin" in done.stdout


def test_pins_are_in_it_only_if_asked_for(stopped):
    work, folder, _ = stopped
    backup(folder, work / "with-pins", "--with-pins")
    assert (work / "with-pins/place/secrets/issuing.pin").read_bytes() == \
        (folder / "secrets/issuing.pin").read_bytes()
    place.touchmark("restore", work / "with-pins", work / "whole", LOST)
    run_once(work / "whole")


def altered_copy(made, target, name, change):
    shutil.copytree(made, target)
    path = target / name
    path.write_bytes(change(path.read_bytes()))
    return target


def flip(data):
    return data[:len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1:]


@pytest.mark.parametrize("name", ["place/authority/registry/data.mdb", "place/keys/rules", "place/touchmark.conf",
                                  "place/signer/journal/00000000000000000001.segment"])
def test_a_changed_bit_stops_a_restore(stopped, tmp_path, name):
    _, _, made = stopped
    altered = altered_copy(made, tmp_path / "altered", name, flip)
    done = place.touchmark("restore", altered, tmp_path / "new", LOST, check=False)
    assert done.returncode == 1 and name.removeprefix("place/") in done.stderr
    assert not (tmp_path / "new").exists() and not (tmp_path / "new.partial").exists()


def test_an_unfinished_backup_is_none(stopped, tmp_path):
    _, _, made = stopped
    shutil.copytree(made, tmp_path / "cut")
    (tmp_path / "cut/manifest.json").unlink()
    done = place.touchmark("restore", tmp_path / "cut", tmp_path / "new", LOST, check=False)
    assert done.returncode == 4 and "no backup" in done.stderr


def test_what_exists_is_refused(stopped):
    _, folder, made = stopped
    assert backup(folder, made, check=False).returncode == 5
    assert place.touchmark("restore", made, folder, LOST, check=False).returncode in (3, 5)


def test_a_living_journal_that_knows_more_is_kept(stopped):
    work, folder, made = stopped
    later = work / "later"
    shutil.copytree(folder, later, symlinks=True)
    if place.is_root():
        for path in [later, *later.rglob("*")]:
            was = os.stat(folder / path.relative_to(later))
            os.chown(path, was.st_uid, was.st_gid)
    text = (later / "touchmark.conf").read_text().replace(f"{folder}/", f"{later}/")
    (later / "touchmark.conf").write_text(text)
    conf = later / "hsm/issuing/softhsm2.conf"
    conf.write_text(conf.read_text().replace(f"{folder}/", f"{later}/"))
    segment = later / "signer/journal/00000000000000000001.segment"
    before = segment.stat().st_size
    with serving(later):
        place.wait_for("a signature", lambda: segment.stat().st_size > before)
    done = place.touchmark("restore", made, later, LOST, check=False)
    assert done.returncode == 3 and "must not be forgotten" in done.stderr
    kept = place.touchmark("restore", made, work / "kept", "--journal", later / "signer/journal",
                           "--pin", copy_pin(folder, work), "--json")
    manifest = json.loads((made / "manifest.json").read_text())
    assert json.loads(kept.stdout)["journal"] > manifest["journal"]["sequence"]


def test_a_journal_of_another_place_is_refused(stopped, tmp_path):
    work, _, made = stopped
    place.init(tmp_path / "other")
    done = place.touchmark("restore", made, work / "mixed", "--journal", tmp_path / "other/signer/journal",
                           check=False)
    assert done.returncode == 3 and "does not hold entry" in done.stderr
    assert not (work / "mixed").exists()


def test_offline_is_refused_while_it_runs_and_leaves_nothing(stopped, tmp_path):
    _, folder, _ = stopped
    with serving(folder):
        done = backup(folder, tmp_path / "none", check=False)
    assert done.returncode == 6 and "has it open" in done.stderr
    assert not (tmp_path / "none").exists()


def test_a_support_bundle_holds_no_secret(stopped, tmp_path):
    _, folder, _ = stopped
    with open(folder / "touchmark.conf", "a") as settings:
        print("# not a comment that anybody should see: hunter2", file=settings)
    with serving(folder) as running:
        running.wait_event("authority.issues")
        place.touchmark("support-bundle", tmp_path / "bundle", "--config", folder / "touchmark.conf",
                        "--log", running.log_path, "--profile", folder / "operator/operator.conf")
    found = contents(tmp_path / "bundle")
    assert set(found) == {"files.txt", "log.txt", "metrics.txt", "processes.txt", "settings.conf", "status.json",
                          "versions.txt"}
    assert b"supervisor.ready" in found["log.txt"] and b"pin_from" in found["settings.conf"]
    assert found["processes.txt"].count(b"Seccomp:\t2") >= 3
    secrets = [path.read_bytes().strip() for path in folder.rglob("*")
               if path.is_file() and (path.name.endswith((".key", "pin", ".object")))]
    assert len(secrets) > 5
    for data in found.values():
        assert b"hunter2" not in data and b"PRIVATE KEY" not in data
        assert not any(secret in data for secret in secrets)


def test_a_support_bundle_of_a_system_that_is_down(stopped, tmp_path):
    _, folder, _ = stopped
    place.touchmark("support-bundle", tmp_path / "bundle", "--config", folder / "touchmark.conf",
                    "--server", "https://127.0.0.1:1", "--profile", folder / "operator/operator.conf")
    assert "not reachable" in (tmp_path / "bundle/status.json").read_text()
