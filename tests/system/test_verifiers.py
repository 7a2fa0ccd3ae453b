"""Two verifiers that share no code: `touchmark audit verify`, and docs/verify_audit.py with only Python and openssl."""
import argparse
import base64
import hashlib
import importlib.util
import os
import random
import re
import shutil
import struct
import subprocess
import sys

import pytest

import mqtt
import place
import world

SCRIPT = place.SOURCE / "docs/verify_audit.py"
MAGIC = len(b"touchmark audit 1\n")
MANY = 10_000
BARE = 4 + 32 + 80  # a row without a body
LOG_ERASE = 10


class Logs:
    """An exported log, a checkpoint of half of it, and the public key: files alone."""

    def __init__(self, folder):
        self.folder = folder
        self.whole, self.since, self.key = folder / "whole", folder / "since", folder / "key.pem"

    @staticmethod
    def let_try(running, name):
        """So that there is something in the log that the device did itself, which can be erased."""
        who = running.enrol(name)
        with mqtt.Client(running.ports["mqtts"], world.tls_context(running.root, who), name) as client:
            assert client.connect() != mqtt.ACCEPTED  # no policy lets it
        running.wait_audit(action="session.open", device=name, kind="device")

    def make(self):
        with world.world() as running:
            for number in range(30):
                if number != 20:
                    running.add_device(f"pump-{number}")
            self.let_try(running, "pump-20")
            running.revoke("pump-20", wait=True)
            running.touchmark("audit", "erase", "--device", "pump-20", "--reason", "done: 900 records")
            running.wait_audit(lambda record: re.fullmatch(r"done: \d records", record.get("reason", "")), action="log.erase",
                               kind="process")
            self.wait_covered(running)
            running.touchmark("audit", "checkpoint", "--save", self.since)
            for number in range(30, 60):
                running.add_device(f"pump-{number}")
            self.wait_covered(running)
            running.touchmark("audit", "export", self.whole)
            shutil.copy(running.folder / "operator/checkpoints.pub.pem", self.key)

    @staticmethod
    def wait_covered(running):
        size = running.api("GET", "/v1/status")["audit_records"]
        place.wait_for("a checkpoint of all", lambda: running.api("GET", "/v1/status")["audit_checkpoint"] >= size)

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


def sign(logs, folder, octets):
    """A log of these rows, under a tree and a key of its own."""
    made, script = Logs(folder), load_script()
    tree = script.Tree()
    for row in octets:
        tree.add(row[4:36])
    lines = (logs.whole / "checkpoint").read_text().split("\n")
    text = "\n".join([lines[0], str(tree.size), base64.b64encode(tree.root()).decode(), lines[3], ""])
    key, pem, signed = made.folder / "key", made.key, made.folder / "signed"
    world.run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
    pem.write_bytes(world.run("openssl", "ec", "-in", key, "-pubout").stdout)
    world.run("openssl", "dgst", "-sha256", "-sign", key, "-out", signed, input=text.encode())
    spki = world.run("openssl", "pkey", "-pubin", "-in", pem, "-outform", "DER").stdout
    signature = base64.b64encode(script.sha256(spki)[:4] + signed.read_bytes()).decode()
    made.whole.mkdir()
    (made.whole / "records").write_bytes((logs.whole / "records").read_bytes()[:MAGIC] + b"".join(octets))
    (made.whole / "checkpoint").write_text(f"{text}\n— {lines[0]} {signature}\n")
    return made


@pytest.fixture(scope="module")
def many(logs, tmp_path_factory):
    """A log of 10,000 records: the rows of the other one, again and again."""
    records = (logs.whole / "records").read_bytes()
    spans = [span for span in rows(records) if span[1] - span[0] > BARE]  # which would be more than the log says
    return sign(logs, tmp_path_factory.mktemp("many"),
                [records[slice(*spans[number % len(spans)])] for number in range(MANY)])


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
    except (OSError, ValueError) as wrong:
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


def bodies_of(records, *begins):
    """These octets without the bodies of the rows that begin there."""
    rest = [(begin, end) for begin, end in rows(records)]
    return records[:MAGIC] + b"".join(
        struct.pack(">I", 80) + records[begin + 4:begin + BARE] if begin in begins else records[begin:end]
        for begin, end in rest)


def told_by_both(logs, folder):
    """Why they refuse it."""
    assert not both(logs, folder)
    ours = place.touchmark("audit", "verify", folder, "--key", logs.key, check=False)
    return ours.stderr, told_by_script(load_script(), logs, folder)


def test_both_accept_what_the_log_says_was_erased_and_no_more(logs):
    folder = logs.copy("erased")
    records = (folder / "records").read_bytes()
    bare = [begin for begin, end in rows(records) if end - begin == BARE]
    whole = [begin for begin, end in rows(records) if end - begin > BARE]
    assert bare and both(logs, folder)
    assert f"({len(bare)} erased)" in place.touchmark("audit", "verify", folder, "--key", logs.key).stdout
    for begins in ([whole[0]], [whole[9]], whole[:40]):
        (folder / "records").write_bytes(bodies_of(records, *begins))
        for text in told_by_both(logs, folder):
            assert f"{len(bare) + len(begins)} records have no body" in text and f"says of {len(bare)} " in text
    (folder / "records").write_bytes(bodies_of(records, *whole))  # nothing says anything any more
    assert not both(logs, folder)


def test_both_refuse_a_record_of_erasing_that_has_no_body(logs):
    folder = logs.copy("silenced")
    records = (folder / "records").read_bytes()
    erasing = [begin for begin, end in rows(records) if struct.unpack_from(">H", records, begin + 38)[0] == LOG_ERASE]
    assert len(erasing) == 2
    for begin in erasing:
        (folder / "records").write_bytes(bodies_of(records, begin))
        ours, theirs = told_by_both(logs, folder)
        assert "log.erase has no body" in ours and "never without a body" in theirs


def test_both_excuse_what_an_erasure_under_way_took(logs, tmp_path):
    """A copy of the time when it had begun, and its records were bare already; none behind it may be."""
    records = (logs.whole / "records").read_bytes()
    all_rows = [records[slice(*span)] for span in rows(records)]
    begun = next(place for place, row in enumerate(all_rows) if struct.unpack_from(">H", row, 38)[0] == LOG_ERASE)
    (tmp_path / "amid").mkdir()
    amid = sign(logs, tmp_path / "amid", all_rows[:begun + 1])
    assert both(amid, amid.whole)
    assert "erased, more under way)" in place.touchmark("audit", "verify", amid.whole, "--key", amid.key).stdout
    (tmp_path / "behind").mkdir()
    behind = sign(logs, tmp_path / "behind", all_rows[:begun + 1] + [struct.pack(">I", 80) + all_rows[0][4:BARE]])
    for text in told_by_both(behind, behind.whole):
        assert "1 records have no body, and the log says of 0 " in text


def test_both_refuse_a_salt_without_a_body(logs):
    folder = logs.copy("salted")
    records = (folder / "records").read_bytes()
    begin, end = rows(records)[9]
    (folder / "records").write_bytes(
        records[:begin] + struct.pack(">I", 96) + records[begin + 4:begin + 36 + 96] + records[end:])
    assert not both(logs, folder)


def test_both_take_the_checkpoint_as_its_octets_are(logs):
    folder = logs.copy("lines")
    note = (folder / "checkpoint").read_bytes()
    for ends in (b"\r\n", b"\r"):
        (folder / "checkpoint").write_bytes(note.replace(b"\n", ends))
        assert not both(logs, folder), ends
    (folder / "checkpoint").write_bytes(note)
    changed = logs.folder / "since-lines"
    changed.write_bytes(logs.since.read_bytes().replace(b"\n", b"\r\n"))
    assert both(logs, folder, "--since", logs.since) and not both(logs, folder, "--since", changed)


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
    keys, none = logs.folder / "witnesses", logs.folder / "nobody"
    keys.write_text(vkey + "\n")
    none.write_text("\n")
    for words in (["--witness", vkey], ["--witness", keys], ["--witness", none], ["--witness", ""], ["--quorum", 1],
                  ["--quorum", 0], ["--witness", vkey, "--quorum", 0], ["--witness", vkey, "--quorum", 2],
                  ["--witness", none, "--quorum", 0], ["--witness", logs.folder / "not-there"]):
        assert not both(logs, logs.whole, *words), words
