"""Two verifiers that share no code: `touchmark audit verify`, and docs/verify_audit.py with only Python and openssl."""
import argparse
import ast
import base64
import functools
import hashlib
import hmac
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


VERIFIER = load_script()


class Forger:
    """Signs logs of any rows with a key of its own, in the name of the real one."""

    def __init__(self, logs, folder, curve="prime256v1"):
        self.lines, self.folder = (logs.whole / "checkpoint").read_text().split("\n"), folder
        self.key, self.pem = folder / "key", folder / "key.pem"
        world.run("openssl", "ecparam", "-name", curve, "-genkey", "-noout", "-out", self.key)
        self.pem.write_bytes(world.run("openssl", "ec", "-in", self.key, "-pubout").stdout)
        self.id = VERIFIER.sha256(world.run("openssl", "pkey", "-pubin", "-in", self.pem, "-outform", "DER").stdout)[:4]

    def text(self, octets, size=None):
        tree = VERIFIER.Tree()
        for row in octets:
            tree.add(row[4:36])
        size = tree.size if size is None else size
        return "\n".join([self.lines[0], str(size), base64.b64encode(tree.root()).decode(), self.lines[3], ""])

    def note(self, text):
        (self.folder / "text").write_bytes(text.encode())
        signature = world.run("openssl", "dgst", "-sha256", "-sign", self.key, self.folder / "text").stdout
        return f"{text}\n— {self.lines[0]} {base64.b64encode(self.id + signature).decode()}\n"

    def log(self, octets, note=None):
        """The last one made takes the place of the one before."""
        made = Logs(self.folder)
        made.whole.mkdir(exist_ok=True)
        (made.whole / "records").write_bytes(b"touchmark audit 1\n" + b"".join(octets))
        (made.whole / "checkpoint").write_bytes((note or self.note(self.text(octets))).encode())
        return made


def sign(logs, folder, octets):
    """A log of these rows, under a tree and a key of its own."""
    return Forger(logs, folder).log(octets)


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
    nodes = list(ast.walk(ast.parse(text)))
    imported = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    assert imported and imported <= set(sys.stdlib_module_names)
    assert not any(isinstance(node, ast.ImportFrom) for node in nodes)


def test_the_script_knows_every_action_and_what_it_may_have():
    """test_action.c holds the page to the program."""
    page = (place.SOURCE / "docs/protocol/audit-record.md").read_text()
    told = re.findall(r"^\| (\d+) \| [a-z_.]+ \|.*\|([ CPAT]*)\|$", page, re.MULTILINE)
    assert {int(action): set(may) & set("CPA") for action, may in told} == \
        {action: set(may) for action, may in VERIFIER.ACTIONS.items()}


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


def told_by_script(script, logs, folder, since=None, witness=None):
    """What it would say, without a process: the reason, or None if it verified."""
    args = argparse.Namespace(folder=folder, key=logs.key, since=since, witness=witness, quorum=None)
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
    script.read_entry = functools.cache(script.read_entry)  # its rows are few, again and again
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
    return ours.stderr, told_by_script(VERIFIER, logs, folder)


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


# ---- Logs that are signed, and say what no honest log says ----
AUTHORITY, OPERATOR, NOBODY = b"\4authority", b"\2ada", b""


def field(tag, value):
    return bytes([tag]) + struct.pack(">H", len(value)) + value if value else b""


def row(action, reason=b"", actor=AUTHORITY, *, body=None, version=1, decision=1, source=1, sequence=0, wall=1_790_000_000_000,
        monotonic=5):
    """A record's, with its body; the salt is always the same."""
    body = field(1, actor) + field(14, reason) if body is None else body
    leaf = struct.pack(">BBHIQQQ16x", version, decision, action, source, sequence, wall, monotonic)
    leaf += hmac.digest(bytes(16), body, "sha256")
    entry = leaf + bytes(16) + body
    return struct.pack(">I", len(entry)) + hashlib.sha256(b"\0" + leaf).digest() + entry


def bared(whole):
    return struct.pack(">I", 80) + whole[4:BARE]


GONE = bared(row(20))
ERASED, PRUNED = 10, 12
CERTIFICATE = [bytes(32), b"\1", bytes(32), bytes(32)]
COUNTED = struct.pack(">4QB", 3, 1, 2, 3, 1)
EVERY = b"".join(field(tag, value) for tag, value in enumerate(
    [AUTHORITY, *CERTIFICATE, b"d", *CERTIFICATE, "zi\u00e9l".encode(), b"p", b"t", b"r", b"\1" * 12, COUNTED], 1))

TRUE = {
    "nothing": [],
    "every field": [row(20, body=EVERY), row(101, body=field(1, b"\1" + b"i" * 64) + field(11, b"t" * 1024)), row(100, body=b"")],
    "no source yet": [row(4, source=0)],
    "erased": [GONE, row(ERASED, b"done: 1 records")],
    "more erased than can be": [GONE, row(ERASED, b"done: 18446744073709551615 records"), row(ERASED, b"done: 2 records")],
    "erased amid": [GONE] * 5 + [row(ERASED, b"why", OPERATOR)],
    "erased twice, once done": [GONE] * 5 + [row(ERASED, b"why", OPERATOR)] * 2 + [row(ERASED, b"done: 1 records")],
    "an erasure that nobody asked for": [GONE, row(ERASED, b"done: 1 records", NOBODY)],
    "pruned": [GONE, row(PRUNED, b"1 records")],
    "pruned amid": [GONE, GONE, row(PRUNED, b"begins")],
    "pruned, begun twice": [GONE, row(PRUNED, b"begins"), row(PRUNED, b"begins"), row(PRUNED, b"1 records")],
}
UNTRUE = {
    "pruned, begun twice, of two": [GONE, GONE, row(PRUNED, b"begins"), row(PRUNED, b"begins"), row(PRUNED, b"1 records")],
    "pruned by nobody": [GONE, row(PRUNED, b"begins", NOBODY)],
    "pruned by an operator": [GONE, row(PRUNED, b"begins", OPERATOR)],
    "pruned for a reason": [GONE, row(PRUNED, b"why", OPERATOR)],
    "pruned by an operator, over": [GONE, row(PRUNED, b"1 records", OPERATOR)],
    "pruned: done": [GONE, row(PRUNED, b"done: 1 records")],
    "pruned, denied": [GONE, row(PRUNED, b"1 records", decision=2)],
    "erased begins": [GONE, row(ERASED, b"begins")],
    "erased without done": [GONE, row(ERASED, b"1 records")],
    "erased, says a door": [GONE, row(ERASED, b"done: 1 records", source=3)],
    "a number with a zero before it": [GONE, row(ERASED, b"done: 01 records")],
    "a number of twenty digits": [GONE, row(ERASED, b"done: 99999999999999999999 records")],
    "a number of 2^64": [GONE, row(ERASED, b"done: 18446744073709551616 records")],
    "a number and more": [GONE, row(ERASED, b"done: 1 records ")],
    "a bare hold": [bared(row(11)), row(ERASED, b"done: 1 records")],
    "a reason in the reason": [GONE, row(ERASED, b"done: 1 records\x0e\0\x0fdone: 1 records")],
    "a reason in the target": [GONE, row(ERASED, body=field(1, AUTHORITY) + field(11, b"xx\x0e\0\x0fdone: 1 records"))],
    "a bare one without an action": [bared(row(999)), row(ERASED, b"done: 1 records")],
    "version": [row(20, version=2)], "decision 0": [row(20, decision=0)], "decision 4": [row(20, decision=4)],
    "action": [row(999)], "action 21": [row(21)], "source": [row(20, source=5)],
    "a sequence of nobody's": [row(20, source=0, sequence=1)],
    "wall clock": [row(20, wall=1 << 63)], "monotonic clock": [row(20, monotonic=1 << 63)],
    "an actor of no kind": [row(20, actor=b"\0ada")], "of another": [row(20, actor=b"\5ada")],
    "without an id": [row(20, actor=b"\4")], "with a long id": [row(20, actor=b"\4" + b"i" * 65)],
    "with a new line": [row(20, actor=b"\4a\nb")],
    "not UTF-8": [row(20, b"\xc0\x80")], "a surrogate": [row(20, b"\xed\xa0\x80")], "DEL": [row(20, b"\x7f")],
    "a long reason": [row(20, b"r" * 257)], "an empty field": [row(20, body=b"\x0e\0\0")],
    "field 0": [row(20, body=b"\0\0\1a")], "field 17": [row(20, body=field(17, b"a"))],
    "not in order": [row(20, body=field(14, b"r") + field(11, b"t"))], "twice": [row(20, body=field(14, b"r") * 2)],
    "cut": [row(20, body=field(14, b"r") + b"\x0f\0")], "a cut value": [row(20, body=b"\x0e\0\2r")],
    "a short hash": [row(20, body=field(7, bytes(31)))], "a long serial": [row(20, body=field(8, bytes(21)))],
    "no certificate's action": [row(80, body=field(7, bytes(32)))], "no policy's": [row(1, body=field(15, b"\1" * 12))],
    "never in aggregate": [row(103, body=field(16, COUNTED))], "policy 0": [row(20, body=field(15, bytes(12)))],
    "an aggregate of none": [row(100, body=field(16, struct.pack(">4QB", 0, 1, 2, 0, 0)))],
    "on more targets": [row(100, body=field(16, struct.pack(">4QB", 3, 1, 2, 4, 0)))],
    "long ago": [row(100, body=field(16, struct.pack(">4QB", 3, 1 << 63, 2, 3, 0)))],
    "or more or more": [row(100, body=field(16, struct.pack(">4QB", 3, 1, 2, 3, 2)))],
}


def agree(made, *options):
    """As both(), of which one is in this process."""
    ours = place.touchmark("audit", "verify", made.whole, "--key", made.key, *options, check=False)
    theirs = told_by_script(VERIFIER, made, made.whole, **dict(zip([word[2:] for word in options[::2]], options[1::2])))
    assert (ours.returncode == 0) == (theirs is None), f"C: {ours.stderr or 'verified'}\nPython: {theirs or 'verified'}"
    return theirs is None


def test_both_judge_what_no_honest_log_says(logs, tmp_path):
    forger = Forger(logs, tmp_path)
    for is_so, cases in ((True, TRUE), (False, UNTRUE)):
        for name, octets in cases.items():
            assert agree(forger.log(octets)) == is_so, name


def test_both_judge_the_form_of_a_note(logs, tmp_path):
    forger, octets = Forger(logs, tmp_path), [row(20)]
    text, line = forger.text(octets), "— other.example/\u00e9 AAAAAAA=\n"
    origin, size, root, journal, _ = text.split("\n")
    note = forger.note(text)
    assert agree(forger.log(octets, note + line))
    for wrong in (note + line.replace("/", "+"), note + line.replace("/", "\n"), note + line.replace("/", "\t"),
                  note + line.replace("AAAAAAA=", "AAAAAA=="), note + line.replace("AAAAAAA=", "AAAAAAB="), note + line * 200,
                  note + line[:-1], note + line.replace("other.example/\u00e9", "")):
        assert not agree(forger.log(octets, wrong)), wrong
    for wrong in ((origin, size, root), (origin, size, root, journal, "more"), (origin, "01", root, journal),
                  (origin, size, root, "journal 1"), (origin, size, root, journal + "="), (origin + "+", size, root, journal),
                  (origin, size, root, re.sub(" [0-9]+ ", " 9223372036854775808 ", journal))):
        assert not agree(forger.log(octets, forger.note("\n".join(wrong) + "\n"))), wrong
    (tmp_path / "other").mkdir()
    assert not agree(Forger(logs, tmp_path / "other", "secp384r1").log(octets))


def test_both_judge_an_older_checkpoint_by_itself(logs, tmp_path):
    forger, octets = Forger(logs, tmp_path), [row(20), row(22)]
    made, since = forger.log(octets), tmp_path / "since"
    for is_so, text in ((True, forger.text([])), (True, forger.text(octets[:1])), (False, forger.text(octets[1:])),
                        (False, forger.text(octets, 0)), (False, forger.text(octets, -1)), (False, forger.text(octets, 3)),
                        (False, forger.text(octets, 1)), (False, forger.text(octets[:1], 2))):
        since.write_text(forger.note(text))
        assert agree(made, "--since", since) == is_so, text
    since.write_text("")
    assert not agree(made, "--since", since)


class Witness:
    def __init__(self, folder, name):
        self.folder, self.name, self.key = folder, name, folder / "witness.key"
        world.run("openssl", "genpkey", "-algorithm", "ed25519", "-out", self.key)
        typed = b"\4" + world.run("openssl", "pkey", "-in", self.key, "-pubout", "-outform", "DER").stdout[-32:]
        self.id = hashlib.sha256(name.encode() + b"\n" + typed).digest()[:4]
        self.vkey = f"{name}+{self.id.hex()}+{base64.b64encode(typed).decode()}"

    def line(self, text, when=1_790_000_000, end=b""):
        (self.folder / "message").write_bytes(f"cosignature/v1\ntime {when}\n{text}".encode())
        signature = world.run("openssl", "pkeyutl", "-sign", "-inkey", self.key, "-rawin", "-in", self.folder / "message").stdout
        return f"— {self.name} {base64.b64encode(self.id + struct.pack('>Q', when) + signature + end).decode()}\n"


def test_both_judge_what_witnesses_signed(logs, tmp_path):
    forger, octets, witness = Forger(logs, tmp_path), [row(20)], Witness(tmp_path, "w.example/1")
    text, vkey = forger.text(octets), witness.vkey
    made = forger.log(octets, forger.note(text) + witness.line(text) * 2)
    assert agree(made, "--witness", vkey) and agree(made, "--witness", vkey.replace(witness.id.hex(), witness.id.hex().upper()))
    for wrong in (f"{vkey} {vkey}", vkey + "A", vkey.replace("w.", "v."), vkey.replace("w.", "w\u00e9"), "w.example/1+00000000+BA==",
                  vkey.replace("+", "+0", 1)):
        assert not agree(made, "--witness", wrong), wrong
    for wrong in (witness.line(text, 1 << 63), witness.line(text, end=b"\0"), witness.line(text[:-1])):
        assert not agree(forger.log(octets, forger.note(text) + witness.line(text) + wrong), "--witness", vkey), wrong


def test_both_follow_no_link_and_wait_at_no_pipe(logs, tmp_path):
    made = Forger(logs, tmp_path).log([row(20)])
    for name in ("records", "checkpoint"):
        there = made.whole / name
        there.rename(tmp_path / "aside")
        there.symlink_to(tmp_path / "aside")
        assert not agree(made), name
        there.unlink()
        os.mkfifo(there)
        assert not agree(made), name
        there.unlink()
        (tmp_path / "aside").rename(there)
        assert agree(made)
