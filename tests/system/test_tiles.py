"""The audit log as C2SP tlog-tiles files over HTTP: read by nothing of ours but the specification."""
import base64
import hashlib
import os
import shutil
import signal
import struct

import pytest

import place
import trail
import world

LOG = "/v1/audit/log"


@pytest.fixture(scope="module")
def running():
    with world.world() as made:
        yield made


def spell(index):
    """C2SP tlog-tiles: 1234067 is x001/x234/067."""
    parts = [f"{index % 1000:03}"]
    while index >= 1000:
        index //= 1000
        parts.insert(0, f"x{index % 1000:03}")
    return "/".join(parts)


def fetch(running, path, **more):
    return running.call("GET", f"{LOG}/{path}", **more)


def checkpoint(running):
    answer = fetch(running, "checkpoint")
    if answer.status != 200:
        return None
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert "no-store" in answer.headers["cache-control"]
    return trail.read_checkpoint(answer.body.decode(), trail.checkpoint_key(running.folder))[:2]


def wait_checkpoint(running, least=1):
    def found():
        told = checkpoint(running)
        return told if told and told[0] >= least else None
    return place.wait_for(f"a published checkpoint of {least}", found)


def tile(running, level, index, width):
    """Of a partial one that is gone, the full one (a client MAY fetch that as a fallback)."""
    name = f"tile/{level}/{spell(index)}"
    answer = fetch(running, name + (f".p/{width}" if width < 256 else ""))
    if answer.status == 404 and width < 256:
        answer = fetch(running, name)
    assert answer.status == 200, (name, width, answer)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert "immutable" in answer.headers["cache-control"] and "private" in answer.headers["cache-control"]
    return answer.body


def leaves_of(running, size):
    """From the bundles; each is held against the tile of level 0."""
    leaves = []
    for index in range((size + 255) // 256):
        width = min(256, size - 256 * index)
        bundle, at = tile(running, "entries", index, width), 0
        hashes = tile(running, 0, index, width)
        for number in range(width):
            length, = struct.unpack_from(">H", bundle, at)
            assert length == 80
            leaf = hashlib.sha256(b"\0" + bundle[at + 2:at + 2 + length]).digest()
            assert hashes[32 * number:32 * number + 32] == leaf
            at += 2 + length
            leaves.append(leaf)
    return leaves


def verify(running):
    size, root = wait_checkpoint(running)
    leaves = leaves_of(running, size)
    assert trail.tree_root(leaves) == root
    if size >= 256:
        above = tile(running, 1, 0, size // 256)
        for index in range(size // 256):
            assert above[32 * index:32 * index + 32] == trail.tree_root(leaves[256 * index:256 * index + 256])
    return size


def test_the_files_alone_give_the_signed_root(running):
    for number in range(140):  # each is recorded, and so is the reading of it
        running.add_device(f"pump-{number}")
        running.api("GET", f"/v1/devices/pump-{number}")
    size = running.api("GET", "/v1/status")["audit_records"]
    assert size > 256
    wait_checkpoint(running, size)
    verify(running)


def test_what_is_published_is_what_v1_publishes(running):
    def same():
        one, other = fetch(running, "checkpoint").body, running.call("GET", "/v1/audit/checkpoint").body
        return one == other
    place.wait_for("both to say the same", same)


def test_other_spellings_are_not_served(running):
    wait_checkpoint(running)
    good = fetch(running, "tile/entries/000")
    assert good.status == 200
    for path in ("tile/entries/0", "tile/entries/000/", "tile/0/x000/000", "tile/00/000", "tile/0/%30%30%30",
                 "tile/entries/../../checkpoint", "tile/0/..%2f..%2fcheckpoint", "tile/0/000.p/0", "tile/0/000.p/256",
                 "tile/0/000.p/01", "tile/64/000", "tile/0/000.new", "tile", "tile/", "tile//0/000",
                 "tile/0/x018/x446/x744/x073/x709/x551/616"):
        answer = fetch(running, path)
        assert answer.status in (400, 404), (path, answer.status)
    assert fetch(running, "tile/0/x999/999").status == 404
    assert fetch(running, "tile/7/000").status == 404
    assert running.call("HEAD", f"{LOG}/tile/entries/000").headers["content-length"] == str(len(good.body))
    assert running.call("POST", f"{LOG}/tile/entries/000", b"x").status == 405


def test_nobody_reads_them_without_the_right(running):
    stranger, device = None, running.enrol("reader-1")
    for who, door in ((stranger, "operator"), (device, "operator"), (device, "https"), (stranger, "https")):
        for path in ("checkpoint", "tile/entries/000"):
            try:
                assert running.call("GET", f"{LOG}/{path}", who=who, door=door).status in (401, 403, 404)
            except (OSError, ConnectionError):
                pass  # turned away at the handshake


def test_readings_are_recorded_and_counted(running):
    connection = running.connection()
    for _ in range(5):
        assert running.ask(connection, "GET", f"{LOG}/tile/entries/000").status == 200
    connection.close()
    first = running.wait_audit(action="log.read", target="log/tile/entries/000",
                               want=lambda record: "aggregate" not in record)
    more = running.wait_audit(action="log.read", target="log/tile/entries/000",
                              want=lambda record: record.get("aggregate", {}).get("count") == 4)
    assert first["actor"]["id"] == "admin" and first["source"] == "operator-door"
    assert more["correlation"] == first["correlation"]


def test_they_are_served_while_the_authority_is_away(running):
    pid, = running.running.pids("authority")
    os.kill(pid, signal.SIGSTOP)
    try:
        assert verify(running) > 256
    finally:
        os.kill(pid, signal.SIGCONT)
    running.wait_healthy()


def test_a_copy_of_the_folder_is_verified_with_the_key_alone(running, tmp_path):
    size, _ = wait_checkpoint(running, 257)
    copy, key = tmp_path / "copy", running.folder / "operator/checkpoints.pub.pem"
    older = tmp_path / "older"
    older.write_bytes(fetch(running, "checkpoint").body)
    running.add_device("one-more")
    wait_checkpoint(running, size + 1)
    running.running.stop()
    shutil.copytree(running.folder / "tiles", copy)
    running.start()
    told = place.touchmark("audit", "verify", copy, "--key", key, "--since", older).stdout
    assert " leaves in tiles (no bodies), all under the signed root " in told and "continues" in told
    for name in ("tile/entries/000", "tile/0/000", "tile/1/000.p/1"):
        octets = (copy / name).read_bytes()
        changed = bytearray(octets)
        changed[31] ^= 4
        (copy / name).write_bytes(changed)
        refused = place.touchmark("audit", "verify", copy, "--key", key, check=False)
        assert refused.returncode in (3, 7) and name in refused.stderr
        (copy / name).write_bytes(octets)
    (copy / "tile/0/000").unlink()
    assert "tile/0/000: is missing" in place.touchmark("audit", "verify", copy, "--key", key, check=False).stderr


def test_missing_and_damaged_ones_are_made_again_at_the_next_start(running):
    wait_checkpoint(running)
    running.running.stop()
    size = int((running.folder / "tiles/checkpoint").read_text().split("\n")[1])  # the last one: it is shown at once again
    tiles = running.folder / "tiles/tile"
    damaged = tiles / "entries/000"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"\0")
    (tiles / "0/000").unlink()
    running.start()
    assert place.wait_for("the log to grow", lambda: wait_checkpoint(running, size + 1))
    verify(running)
    told = altered(running)  # what is missing was never written, for all that anybody knows
    assert (told["target"], told["decision"], told["actor"]["id"]) == ("tile/entries/000", "failed", "authority")
    assert told["reason"] == "it was not what this log has"


def altered(running, **more):
    return running.wait_audit(action="log.publish", **more)


def test_a_checkpoint_that_somebody_put_there_is_told_and_does_not_stay(running):
    wait_checkpoint(running)
    (running.folder / "tiles/checkpoint").write_text("touchmark\n1000000\nAAAA\n\n")
    running.add_device("somebody")
    assert altered(running, target="checkpoint")["decision"] == "failed"
    wait_checkpoint(running)
    verify(running)


def test_a_checkpoint_of_another_log_is_not_shown(running):
    running.running.stop()
    note = running.folder / "tiles/checkpoint"
    lines = note.read_text().split("\n")
    lines[1] = str(int(lines[1]) + 1000)
    note.write_text("\n".join(lines))
    running.start()
    assert wait_checkpoint(running)[0] < int(lines[1])
    verify(running)
    place.wait_for("it to be told", lambda: len(running.audit(action="log.publish", target="checkpoint")) == 2)


def test_all_of_it_is_derived(running):
    running.running.stop()
    world.run("rm", "-rf", running.folder / "tiles/tile", running.folder / "tiles/checkpoint")
    running.start()
    assert verify(running) > 256


def test_nothing_in_them_tells_what_a_record_says(running):
    """A leaf is the head and a commitment: who has the tiles has no body."""
    for path in (running.folder / "tiles").rglob("*"):
        if path.is_file() and path.name != "checkpoint":
            octets = path.read_bytes()
            assert b"pump-1" not in octets and b"admin" not in octets
            assert base64.b64encode(b"pump-1") not in octets
