"""Witnesses: nothing is shown that they did not sign, and a second log under the same key cannot hide."""
import base64
import contextlib
import hashlib
import hmac
import http.server
import json
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time

import pytest

import forge
import place
import sinks
import trail
import witness
import world

SCRIPT = place.SOURCE / "docs/verify_audit.py"
MAGIC = b"touchmark audit 1\n"
NOTE = "/v1/audit/log/checkpoint"


@contextlib.contextmanager
def watched(urls=None, *, count=2, quorum=2, more=None):
    """A place that these witnesses watch, and a file that the log goes to; urls: who stands in for them; more:
    other settings of the exporter."""
    with place.work_folder() as work, contextlib.ExitStack() as stack:
        folder, out = work / "place", work / "out"
        out.mkdir()
        if place.is_root():
            os.chown(out, place.USERS["exporter"], place.USERS["exporter"])
        place.init(folder)
        witnesses = [witness.Witness(work / f"w{number}", f"witness.example/w{number}") for number in range(count)]
        for each in witnesses:
            each.watch(folder / "operator/checkpoints.pub.pem")
            stack.enter_context(each)
        urls = (urls or (lambda all: [each.url for each in all]))(witnesses)
        place.merge_settings(folder, "authority", {"witnesses": " ".join(each.vkey for each in witnesses),
                                                   "witness_quorum": quorum, "witness_within": "3s"})
        place.merge_settings(folder, "exporter", {"retry_most": "1s", "connect_within": "2s", "trouble_after": "10m",
                                                  **(more or {}), **{f"witness{n + 1}": url for n, url in enumerate(urls)}})
        settings = {"sink-1": {"kind": "jsonl", "file": out / "audit.jsonl"}}
        running = stack.enter_context(world.World(work, folder=folder, settings=settings))
        running.witnesses = witnesses
        yield running


@pytest.fixture(scope="module")
def running():
    with watched() as made:
        yield made


def status(running):
    return running.api("GET", "/v1/status")


def vkeys(running):
    return [each.vkey for each in running.witnesses]


def published(running):
    """(size, note) of what everybody is shown; (0, "") if that is nothing."""
    answer = running.call("GET", NOTE)
    if answer.status != 200:
        return 0, ""
    note = answer.body.decode()
    return trail.read_checkpoint(note, trail.checkpoint_key(running.folder))[0], note


def wait_published(running, seconds=90):
    """All that is in the log now is under what is published; the note."""
    records = status(running)["audit_records"]

    def found():
        size, note = published(running)
        return note if size >= records else None
    return place.wait_for(f"a published checkpoint of {records}", found, seconds)


def wait_trouble(running, *words, seconds=30):
    def found():
        told = status(running)["trouble"] or ""
        return all(word in told for word in words)
    try:
        place.wait_for(f"trouble {words}", found, seconds)
    except AssertionError as vain:
        raise AssertionError(f"{vain}: {status(running)['trouble']}") from None


# ---- Two witnesses ----

def test_what_is_published_is_signed_by_both(running):
    running.add_device("pump-1")
    note = wait_published(running)
    assert witness.signers(note, vkeys(running)) == {"witness.example/w0", "witness.example/w1"}
    for each in running.witnesses:
        size, _ = each.signed()
        assert size >= int(note.split("\n")[1])


def test_status_and_metrics_say_how_far_it_is(running):
    wait_published(running)
    told = status(running)
    assert told["audit_witnesses"] == 2 and told["trouble"] is None
    assert 0 < told["audit_published"] <= told["audit_checkpoint"] <= told["audit_records"]
    assert told["audit_cosigned"] <= told["audit_checkpoint"]
    place.wait_for("the report", lambda: status(running)["audit_cosigned"] >= told["audit_published"])
    metrics = running.call("GET", "/metrics").body.decode()
    for name in ("published", "cosigned", "witnesses"):
        assert f"\ntouchmark_audit_{name} " in metrics
    shown = running.touchmark("status").stdout
    assert "signed by all" in shown and "published" in shown


def test_that_they_sign_is_told(running):
    wait_published(running)
    record = running.wait_audit(action="log.cosign")
    assert record["decision"] == "allowed" and record["actor"]["id"] == "exporter"
    assert record["target"].startswith("checkpoint ")
    assert len(running.audit(action="log.cosign")) == 1  # an hour: each record is another checkpoint to sign
    for name in ("witness-1", "witness-2"):
        begun = running.wait_audit(action="log.export", want=lambda record: record["target"] == name)
        assert begun["reason"].startswith("begins at ")
        assert any(f"witness={name} " in line for line in running.running.events("exporter.witness-up"))


def grow(running, prefix, count=3):
    for number in range(count):
        running.add_device(f"{prefix}-{number}")


def nothing_more_is_published(running, act):
    """Than the last one signed by both, though act() makes records and time passes."""
    act()
    wait_trouble(running, "no checkpoint is published", "too few of the 2 witnesses sign, 2 are demanded")
    size, _ = published(running)
    told = status(running)
    assert told["audit_records"] > told["audit_published"] == size < told["audit_checkpoint"]
    time.sleep(1.5)
    grow(running, f"more-{size}", 1)
    time.sleep(1.5)
    assert published(running)[0] == size


def others_go_on(running, stale):
    """The sink, and the witness that is well; the other signed nothing since."""
    records = status(running)["audit_records"]
    place.wait_for("the file", lambda: status(running)["audit_exported"] >= records)
    place.wait_for("the other's signature", lambda: running.witnesses[0].signed()[0] >= records)
    assert running.witnesses[1].signed() == stale


def test_without_one_nothing_is_published_until_it_is_back(running):
    wait_published(running)
    dead = running.witnesses[1]
    dead.kill()
    stale = dead.signed()
    nothing_more_is_published(running, lambda: grow(running, "killed"))
    others_go_on(running, stale)
    assert any("witness=witness-2 " in line for line in running.running.events("exporter.witness-fails"))
    failed = running.wait_audit(action="log.export", decision="failed")
    assert failed["target"] == "witness-2" and dead.url in failed["reason"]
    told = json.loads(running.touchmark("audit", "verify", *demand(running), "--json").stdout)
    assert told["verified"] and told["records"] == status(running)["audit_published"]
    assert running.call("GET", f"/v1/audit/proof?index={told['records']}").status == 404
    dead.start()
    note = wait_published(running)
    assert len(witness.signers(note, vkeys(running))) == 2
    place.wait_for("no trouble", lambda: status(running)["trouble"] is None)


def test_one_that_does_not_answer_holds_up_nobody(running):
    wait_published(running)
    slow = running.witnesses[1]
    slow.send(signal.SIGSTOP)
    stale = slow.signed()
    nothing_more_is_published(running, lambda: grow(running, "stopped"))
    others_go_on(running, stale)
    slow.send(signal.SIGCONT)
    wait_published(running)
    place.wait_for("no trouble", lambda: status(running)["trouble"] is None)


def test_the_carrier_may_die(running):
    for number in range(3):
        pid, = running.running.pids("exporter")
        os.kill(pid, signal.SIGKILL)
        grow(running, f"exporter-{number}", 1)
        wait_published(running)


def test_a_restart_shows_what_was_cosigned(running):
    wait_published(running)
    running.running.stop()
    running.start()
    assert len(witness.signers(wait_published(running), vkeys(running))) == 2


def libraries(pid):
    return pathlib.Path(f"/proc/{pid}/maps").read_text()


def test_only_the_exporter_speaks_http_outward(running):
    """libcurl is in no process that holds a key, a registry or a listening socket."""
    loads = {name for name in ("signer", "signer-worker", "authority", "device-door", "operator-door", "exporter")
             for pid in running.running.pids(name) if "/libcurl.so" in libraries(pid)}
    assert loads == {"exporter"}


# ---- Whoever verifies demands them ----

def demand(running, quorum=2):
    return "--witness", " ".join(vkeys(running)), "--quorum", str(quorum)


def test_verification_online_demands_them(running):
    wait_published(running)
    told = json.loads(running.touchmark("audit", "verify", *demand(running), "--json").stdout)
    assert told["verified"]
    stranger = witness.Witness(running.work / "stranger", "witness.example/stranger")
    failed = running.touchmark("audit", "verify", "--witness", stranger.vkey, "--quorum", "1", check=False)
    assert failed.returncode == 3 and "witness" in failed.stderr


def test_a_proof_of_one_record_carries_them(running, tmp_path):
    wait_published(running)
    file, key = tmp_path / "it.tlog-proof", running.folder / "operator/checkpoints.pub.pem"
    running.touchmark("audit", "prove", "3", "--save", file)
    note = file.read_text().partition("\n\n")[2]
    assert len(witness.signers(note, vkeys(running))) == 2
    place.touchmark("audit", "verify", "--proof", file, "--key", key, *demand(running))
    cut = "\n".join(line for line in file.read_text().split("\n") if not line.startswith("— witness.example/w1 "))
    file.write_text(cut)
    assert place.touchmark("audit", "verify", "--proof", file, "--key", key, check=False).returncode == 0
    failed = place.touchmark("audit", "verify", "--proof", file, "--key", key, *demand(running), check=False)
    assert failed.returncode == 3 and "witness" in failed.stderr
    place.touchmark("audit", "verify", "--proof", file, "--key", key, *demand(running, 1))


# ---- A split view ----

def read_rows(octets):
    assert octets.startswith(MAGIC)
    rows, at = [], len(MAGIC)
    while at < len(octets):
        length, = struct.unpack_from(">I", octets, at)
        rows.append(octets[at + 36:at + 36 + length])
        at += 36 + length
    return rows


def write_rows(entries):
    return MAGIC + b"".join(struct.pack(">I", len(entry)) + trail.leaf_hash(entry[:80]) + entry for entry in entries)


def rewrite(entry, old, new):
    """The same record with another story, as whoever has the log's salt can write it."""
    salt, body = entry[80:96], entry[96:].replace(old, new)
    assert body != entry[96:]
    return entry[:48] + hmac.new(salt, body, hashlib.sha256).digest() + salt + body


def sign_note(running, text):
    """With the stolen key of the checkpoints: the token and its PIN."""
    key = trail.checkpoint_key(running.folder)
    spki = key.public_bytes(trail.serialization.Encoding.DER, trail.serialization.PublicFormat.SubjectPublicKeyInfo)
    signature = forge.sign_in_token(running.folder, "checkpoints", text.encode())
    return text + "\n" + witness.line_of(witness.ORIGIN, hashlib.sha256(spki).digest()[:4], signature)


class Split:
    """The log as everybody sees it, and one in which pump-1 was never added, both signed by the log's own key."""

    def __init__(self, running, folder):
        self.key, self.honest, self.forged = folder / "key.pem", folder / "honest", folder / "forged"
        shutil.copy(running.folder / "operator/checkpoints.pub.pem", self.key)
        wait_published(running)
        running.touchmark("audit", "export", self.honest)
        self.note = (self.honest / "checkpoint").read_text()
        entries = read_rows((self.honest / "records").read_bytes())
        self.size = int(self.note.split("\n")[1])
        assert len(entries) == self.size
        number = next(n for n, entry in enumerate(entries) if b"pump-1" in entry[96:])
        self.entries = entries[:number] + [rewrite(entries[number], b"pump-1", b"pump-9")] + entries[number + 1:]
        self.first = number
        self.root = trail.tree_root([trail.leaf_hash(entry[:80]) for entry in self.entries])
        lines = self.note.partition("\n\n")[0].split("\n")
        lines[2] = base64.b64encode(self.root).decode()
        self.forged_note = sign_note(running, "\n".join(lines) + "\n")
        self.show(self.forged_note)

    def show(self, note):
        """A copy of the second log, as it is handed to somebody who verifies."""
        self.forged.mkdir(exist_ok=True)
        (self.forged / "records").write_bytes(write_rows(self.entries))
        (self.forged / "checkpoint").write_text(note)

    def both(self, folder, *options):
        """What the two verifiers say, which must be the same; and why."""
        ours = place.touchmark("audit", "verify", folder, "--key", self.key, *options, check=False)
        theirs = subprocess.run([sys.executable, "-I", "-S", SCRIPT, folder, "--key", self.key, *options],
                                capture_output=True, text=True)
        assert (ours.returncode == 0) == (theirs.returncode == 0), f"{ours.stderr}\n{theirs.stderr}"
        assert ours.returncode in (0, 3), ours.stderr
        return ours.returncode == 0, ours.stderr + theirs.stderr


@pytest.fixture(scope="module")
def split(running, tmp_path_factory):
    running.add_device("pump-1") if not running.audit(device="pump-1") else None
    return Split(running, tmp_path_factory.mktemp("split"))


def test_a_second_log_under_the_stolen_key_verifies_by_itself(split):
    """The control: without witnesses there is nothing wrong with it."""
    assert split.both(split.honest)[0] and split.both(split.forged)[0]


def test_whoever_demands_a_witness_is_not_shown_it(running, split):
    for quorum in (1, 2):
        assert split.both(split.honest, *demand(running, quorum))[0]
        verified, why = split.both(split.forged, *demand(running, quorum))
        assert not verified and "witness" in why


def test_the_witnesses_own_lines_do_not_fit_under_it(running, split):
    split.show(split.forged_note + "".join(line + "\n" for line in split.note.splitlines() if "w0 " in line))
    verified, why = split.both(split.forged, *demand(running, 1))
    assert not verified and "witness.example/w0" in why
    split.show(split.forged_note)


def test_a_witness_does_not_sign_it_and_keeps_it(running, split):
    """Shown as the next one after what it signed: the same size, and a larger one."""
    each = running.witnesses[0]
    pid, = running.running.pids("exporter")
    os.kill(pid, signal.SIGSTOP)  # the honest log stands still
    try:
        size, text = each.signed()
        lines = text.split("\n")
        lines[2] = base64.b64encode(split.root).decode()
        forged = sign_note(running, "\n".join(lines[:-1]) + "\n")
        code, body = each.submit(size, [], forged)
        assert (code, body) == (409, f"{size}\n")
        name, = each.evidence()
        assert name.startswith(f"{size}-") and (each.folder / "evidence" / name).read_text() == forged
        assert "split-view" in each.told()
        lines[1] = str(size + 1)
        longer = sign_note(running, "\n".join(lines[:-1]) + "\n")
        assert each.submit(size, [split.root], longer)[0] == 422
        assert each.signed() == (size, text)
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_published(running)


def test_two_notes_of_one_size_prove_it(split):
    """What the witness kept and what everybody has: anybody can hold them together."""
    other = split.honest.parent / "other.checkpoint"
    other.write_text(split.forged_note)
    verified, why = split.both(split.honest, "--since", str(other))
    assert not verified and "split view" in why


# ---- Impostors ----

class Impostor:
    """Answers each submission with what make(text of the checkpoint) says."""

    def __init__(self, make):
        outer, self.count = self, 0

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                outer.count += 1
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                code, answer = make(body.split("\n\n")[1] + "\n")
                self.send_response(code)
                self.send_header("Content-Length", str(len(answer.encode())))
                self.end_headers()
                self.wfile.write(answer.encode())

            def log_message(self, *unused):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def signed_by(key, name, key_id, text):
    now = int(time.time())
    signature = key.sign(f"cosignature/v1\ntime {now}\n{text}".encode())
    return witness.line_of(name, key_id, now.to_bytes(8, "big") + signature)


def test_a_wrong_signature_is_refused_and_recorded():
    thief, whose = witness.ed25519.Ed25519PrivateKey.generate(), []
    impostor = Impostor(lambda text: (200, signed_by(thief, *whose[0][:2], text)))

    def urls(witnesses):
        whose.append(witness.read_vkey(witnesses[0].vkey))
        return [impostor.url]
    with watched(urls, count=1, quorum=1) as running:
        record = running.wait_audit(action="log.cosign", decision="denied")
        assert "witness.example/w0" in record["reason"] and record["actor"]["id"] == "exporter"
        wait_trouble(running, "no checkpoint is published")
        assert published(running) == (0, "") and len(running.audit(action="log.cosign")) == 1
        assert impostor.count > 1
        assert any("witness=witness-1 " in line for line in running.running.events("exporter.witness-fails"))
        assert not running.running.events("exporter.witness-up")


def test_waiting_costs_nothing_and_each_checkpoint_is_carried():
    """The exporter asks when it is told that the log grew, not each second."""
    with watched() as made:
        def wait_signed():
            records = status(made)["audit_records"]
            place.wait_for("both", lambda: all(each.signed()[0] >= records for each in made.witnesses), 30)
        wait_signed()
        sinks.assert_it_rests(made, most=24)  # it hears of the log and looks at its checkpoint, each 10 s
        took = []
        for number in range(5):
            begun = time.monotonic()
            made.add_device(f"carried-{number}")
            wait_signed()
            took.append(time.monotonic() - begun)
        print(f"from the question to both signatures, in s: {[round(each, 2) for each in took]}")
        assert sorted(took)[len(took) // 2] < 5  # a checkpoint a second; this may be a slow machine


def test_one_whom_the_settings_do_not_name_is_of_no_use():
    other = witness.ed25519.Ed25519PrivateKey.generate()
    typed = b"\4" + other.public_key().public_bytes_raw() if hasattr(other.public_key(), "public_bytes_raw") else \
        b"\4" + other.public_key().public_bytes(trail.serialization.Encoding.Raw, trail.serialization.PublicFormat.Raw)
    name = "witness.example/other"
    key_id = hashlib.sha256(name.encode() + b"\n" + typed).digest()[:4]
    impostor = Impostor(lambda text: (200, signed_by(other, name, key_id, text)))
    with watched(lambda witnesses: [impostor.url], count=1, quorum=1) as running:
        failed = running.wait_audit(action="log.export", decision="failed")
        assert failed["target"] == "witness-1" and f"{name} is none of authority.witnesses" in failed["reason"]
        assert published(running) == (0, "")


@pytest.mark.parametrize("code, answer, said", [
    (404, "no log of this origin\x1b[31m\n", "answers 404: no log of this origin"),
    (200, "", "signed nothing"), (200, "x" * 5000, "more than 2048 octets"), (200, "rubbish\n", "the authority says: "),
    (409, "7\n", "answers 409"),
], ids=["another-log", "nothing", "too-long", "no-line", "no-size"])
def test_rubbish_from_a_witness_is_told(code, answer, said):
    impostor = Impostor(lambda text: (code, answer))
    with watched(lambda witnesses: [impostor.url], count=1, quorum=1) as running:
        failed = running.wait_audit(action="log.export", decision="failed")
        assert failed["target"] == "witness-1" and "\x1b" not in failed["reason"]
        assert said in failed["reason"]
        assert published(running) == (0, "") and len(running.running.pids("exporter")) == 1


@pytest.mark.parametrize("rows, said", [
    ({"witness1": "https://127.0.0.1:8070"}, "[exporter] witness1_authorities: must be given for an https URL"),
    ({"witness1": "ftp://127.0.0.1:8070"}, "[exporter] witness1: an URL that begins with https:// or http://"),
    ({"witness1": "http://127.0.0.1:8070", "witness1_name": "a"}, "witness1_name: are for an https URL"),
    ({"witness2_authorities": "/etc/ca.pem"}, "[exporter] witness2_authorities, witness2_name: are for an https URL"),
    ({"witness1": "https://127.0.0.1:8443", "witness1_authorities": "/etc/ca.pem", "witness1_name": "a:b"},
     "[exporter] witness1_name: a host name of letters"),
    ({"witness1": "http://witness.example:8070"}, "[exporter] witness1: address: "),
    ({"witness1": "http://127.0.0.1"}, "[exporter] witness1: address: "),
    ({"witness1": "http://127.0.0.1:8070/a b"}, "[exporter] witness1: an URL's path"),
    ({"witness1": "http://127.0.0.1:8070", "witness3": "http://127.0.0.1:8070"}, "[exporter] witness3: is witness1, too"),
])
def test_wrong_settings_are_refused_by_name(tmp_path, rows, said):
    with place.work_folder() as work:
        place.init(work / "place")
        place.merge_settings(work / "place", "exporter", rows)
        done = subprocess.run([place.BIN / "touchmarkd", "--config", work / "place/touchmark.conf"], capture_output=True,
                              text=True, timeout=30)
        assert done.returncode == 78 and said in done.stdout + done.stderr
