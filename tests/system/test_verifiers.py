"""Two verifiers that share no code: `touchmark audit verify`, and docs/verify_audit.py with only Python and openssl."""
import argparse
import base64
import hashlib
import importlib.util
import os
import random
import shutil
import struct
import subprocess
import sys

import pytest

import place
import world

SCRIPT = place.SOURCE / "docs/verify_audit.py"
MAGIC = len(b"touchmark audit 1\n")
MANY = 10_000


class Logs:
    """An exported log, a checkpoint of half of it, and the public key: files alone."""

    def __init__(self, folder):
        self.folder = folder
        self.whole, self.since, self.key = folder / "whole", folder / "since", folder / "key.pem"

    def make(self):
        with world.world() as running:
            for number in range(30):
                running.add_device(f"pump-{number}")
            running.wait_audit(action="device.add", device="pump-29")
            place.wait_for("a checkpoint", lambda: running.call("GET", "/v1/audit/checkpoint").status == 200)
            running.touchmark("audit", "checkpoint", "--save", self.since)
            for number in range(30, 60):
                running.add_device(f"pump-{number}")
            size = running.api("GET", "/v1/status")["audit_records"]
            place.wait_for("a later one", lambda: int(
                running.call("GET", "/v1/audit/checkpoint").body.split(b"\n")[1]) >= size)
            running.touchmark("audit", "export", self.whole)
            shutil.copy(running.folder / "operator/checkpoints.pub.pem", self.key)

    def copy(self, name):
        made = self.folder / name
        shutil.copytree(self.whole, made)
        return made


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    made = Logs(tmp_path_factory.mktemp("logs"))
    made.make()
    return made


def both(logs, folder, *options):
    """What they say, which must be the same: True or False."""
    ours = place.touchmark("audit", "verify", folder, "--key", logs.key, *options, check=False)
    # -I: neither the environment nor what is installed besides the standard library; no PATH but openssl's
    theirs = subprocess.run([sys.executable, "-I", "-S", SCRIPT, folder, "--key", logs.key, *map(str, options)],
                            capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"}, cwd="/")
    assert (ours.returncode == 0) == (theirs.returncode == 0), f"{ours.stderr}\n{theirs.stderr}\n{theirs.stdout}"
    if ours.returncode == 0:
        assert ours.stdout.split("root ")[1].split(",")[0].strip() == theirs.stdout.split("root ")[1].strip()
        assert ours.stdout.split(" records")[0] == theirs.stdout.split(" records")[0]
    else:
        assert "Traceback" not in theirs.stderr and theirs.stderr.startswith("not verified: ")
    return ours.returncode == 0


def rows(octets):
    """[(begin, end)] of each record's row."""
    found, at = [], MAGIC
    while at < len(octets):
        length, = struct.unpack_from(">I", octets, at)
        found.append((at, at + 36 + length))
        at += 36 + length
    return found


def load_script():
    spec = importlib.util.spec_from_file_location("verify_audit", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def many(logs, tmp_path_factory):
    """A log of 10,000 records and a key of its own: the rows of the other one, again and again, under a tree of their own."""
    made, script = Logs(tmp_path_factory.mktemp("many")), load_script()
    records = (logs.whole / "records").read_bytes()
    spans = rows(records)
    repeated = [records[slice(*spans[number % len(spans)])] for number in range(MANY)]
    tree = script.Tree()
    for row in repeated:
        tree.add(row[4:36])
    root = base64.b64encode(tree.root()).decode()
    lines = (logs.whole / "checkpoint").read_text().split("\n")
    text = "\n".join([lines[0], str(MANY), root, lines[3], ""])
    key, pem, signed = made.folder / "key", made.key, made.folder / "signed"
    world.run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
    pem.write_bytes(world.run("openssl", "ec", "-in", key, "-pubout").stdout)
    world.run("openssl", "dgst", "-sha256", "-sign", key, "-out", signed, input=text.encode())
    spki = world.run("openssl", "pkey", "-pubin", "-in", pem, "-outform", "DER").stdout
    signature = base64.b64encode(script.sha256(spki)[:4] + signed.read_bytes()).decode()
    made.whole.mkdir()
    (made.whole / "records").write_bytes(records[:MAGIC] + b"".join(repeated))
    (made.whole / "checkpoint").write_text(f"{text}\n— {lines[0]} {signature}\n")
    return made


def test_the_script_is_short_and_has_only_the_standard_library():
    text = SCRIPT.read_text()
    assert len(text.splitlines()) < 200
    imported = {line.split()[1] for line in text.splitlines() if line.startswith(("import ", "from "))}
    assert imported <= set(sys.stdlib_module_names)


def test_both_verify_what_is_whole(logs):
    assert both(logs, logs.whole)
    assert both(logs, logs.whole, "--since", logs.since)
    assert both(logs, logs.whole, "--since", logs.whole / "checkpoint")


def test_both_see_a_changed_bit_wherever_it_is(logs):
    folder = logs.copy("changed")
    records = (folder / "records").read_bytes()
    places = [0, MAGIC - 1]
    for begin, end in (rows(records)[0], rows(records)[7], rows(records)[-1]):
        # length, told hash, version, action, commitment, salt, body's first and last octet
        places += [begin, begin + 3, begin + 4, begin + 36, begin + 39, begin + 36 + 48, begin + 36 + 80, begin + 36 + 96,
                   end - 1]
    for number, at in enumerate(places):
        changed = bytearray(records)
        changed[at] ^= 1 << number % 8
        (folder / "records").write_bytes(changed)
        assert not both(logs, folder), at
    (folder / "records").write_bytes(records)
    note = (folder / "checkpoint").read_bytes()
    for number, at in enumerate(range(0, len(note), 9)):
        changed = bytearray(note)
        changed[at] ^= 1 << number % 7
        (folder / "checkpoint").write_bytes(changed)
        assert not both(logs, folder), at


def told_by_script(script, logs, folder):
    """What its main() would say, without a process: the reason, or None if it verified."""
    args = argparse.Namespace(folder=folder, key=logs.key, since=None, witness=None, quorum=None)
    try:
        script.verify(args)
    except (script.Wrong, OSError, ValueError) as wrong:
        return str(wrong)
    return None


def test_both_see_bits_at_random_among_ten_thousand_records(many):
    """150 bits of the records by the script, 15 of them by both; of the checkpoint a bit of each octet by the script."""
    seed = int(os.environ.get("TOUCHMARK_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"TOUCHMARK_SEED={seed}")
    dice, script, folder = random.Random(seed), load_script(), many.copy("changed")
    assert both(many, folder)
    records, note = (folder / "records").read_bytes(), (folder / "checkpoint").read_bytes()
    for number in range(150):
        at, bit = dice.randrange(len(records)), dice.randrange(8)
        changed = bytearray(records)
        changed[at] ^= 1 << bit
        (folder / "records").write_bytes(changed)
        assert told_by_script(script, many, folder), (at, bit)
        assert number % 10 or not both(many, folder), (at, bit)
    (folder / "records").write_bytes(records)
    for at in range(len(note)):
        changed = bytearray(note)
        changed[at] ^= 1 << dice.randrange(8)
        (folder / "checkpoint").write_bytes(changed)
        assert told_by_script(script, many, folder), (at, changed[at])
    (folder / "checkpoint").write_bytes(note)
    assert told_by_script(script, many, folder) is None


def test_both_see_truncation(logs):
    folder = logs.copy("cut")
    records = (folder / "records").read_bytes()
    spans = rows(records)
    for end in (spans[-1][0], spans[-1][1] - 1, spans[-1][0] + 10, spans[3][1], MAGIC, 3, 0):
        (folder / "records").write_bytes(records[:end])
        assert not both(logs, folder), end
    (folder / "records").write_bytes(records + records[spans[0][0]:spans[0][1]])
    assert not both(logs, folder)
    swapped = records[:spans[4][0]] + records[spans[5][0]:spans[5][1]] + records[spans[4][0]:spans[4][1]] + \
        records[spans[5][1]:]
    (folder / "records").write_bytes(swapped)
    assert not both(logs, folder)


def test_both_see_a_log_that_was_rolled_back(logs):
    """An older state is whole in itself: a checkpoint that was kept shows it."""
    folder = logs.copy("rolled-back")
    note = logs.since.read_text()
    size = int(note.split("\n")[1])
    records = (folder / "records").read_bytes()
    (folder / "records").write_bytes(records[:rows(records)[size - 1][1]])
    (folder / "checkpoint").write_text(note)
    assert both(logs, folder)
    assert not both(logs, folder, "--since", logs.whole / "checkpoint")


def test_both_accept_what_was_erased_and_count_it(logs):
    folder = logs.copy("erased")
    records = (folder / "records").read_bytes()
    begin, end = rows(records)[9]
    leaf = records[begin + 36:begin + 36 + 80]
    erased = records[:begin] + struct.pack(">I", 80) + records[begin + 4:begin + 36] + leaf + records[end:]
    (folder / "records").write_bytes(erased)
    assert both(logs, folder)
    told = place.touchmark("audit", "verify", folder, "--key", logs.key).stdout
    assert "(1 erased)" in told
    salted = records[:begin] + struct.pack(">I", 96) + records[begin + 4:begin + 36 + 96] + records[end:]
    (folder / "records").write_bytes(salted)  # the body alone is gone: that is no erasure
    assert not both(logs, folder)


def test_both_refuse_another_key_and_no_key(logs, tmp_path):
    world.run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", tmp_path / "other.key")
    other = Logs(logs.folder)
    other.key = tmp_path / "other.pem"
    other.key.write_bytes(world.run("openssl", "ec", "-in", tmp_path / "other.key", "-pubout").stdout)
    assert not both(other, logs.whole)


def test_both_demand_witnesses(logs):
    name, key = "witness.example/nobody", "A" * 43 + "="
    typed = b"\4" + base64.b64decode(key)
    vkey = f"{name}+{hashlib.sha256(name.encode() + chr(10).encode() + typed).digest()[:4].hex()}+" + \
        base64.b64encode(typed).decode()
    assert not both(logs, logs.whole, "--witness", vkey)
