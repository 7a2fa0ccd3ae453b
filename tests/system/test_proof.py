"""Proofs of single records as files, and the log index of what was issued."""
import base64
import hashlib
import json
import os

import pytest

import place
import trail
import world


@pytest.fixture(scope="module")
def running():
    with world.world() as made:
        yield made


@pytest.fixture(scope="module")
def device(running):
    return running.enrol("dev-1")


def certificate_of(running, credential):
    shown = running.api("GET", "/v1/devices/dev-1")["certificates"]
    return next(one for one in shown if one["fingerprint"] == credential.fingerprint)


def proof_of(running, path):
    """When a published checkpoint covers the record."""
    def found():
        answer = running.call("GET", path)
        return answer if answer.status == 200 else None
    answer = place.wait_for(f"GET {path}", found)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    return answer.body


def climb(index, size, leaf, nodes):
    """RFC 9162 2.1.3.2, step by step: the root that the proof leads to."""
    fn, sn, at = index, size - 1, leaf
    for node in nodes:
        assert sn != 0
        if fn & 1 or fn == sn:
            at = hashlib.sha256(b"\1" + node + at).digest()
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            at = hashlib.sha256(b"\1" + at + node).digest()
        fn, sn = fn >> 1, sn >> 1
    assert sn == 0
    return at


def read_proof(running, octets):
    """C2SP tlog-proof with nothing of ours: (index, entry)."""
    head, _, note = octets.decode().partition("\n\n")
    lines = head.split("\n")
    assert lines[0] == "c2sp.org/tlog-proof@v1" and lines[1].startswith("extra ") and lines[2].startswith("index ")
    entry, index = base64.b64decode(lines[1][6:]), int(lines[2][6:])
    size, root, _ = trail.read_checkpoint(note, trail.checkpoint_key(running.folder))
    leaf = trail.leaf_hash(entry[:80])
    assert climb(index, size, leaf, [base64.b64decode(line) for line in lines[3:]]) == root
    return index, entry


def test_an_issued_certificate_knows_its_record(running, device):
    index = certificate_of(running, device)["log_index"]
    record = next(r for r in running.audit(certificate=device.fingerprint) if r["index"] == index)
    assert record["action"] == "certificate.issue" and record["device"] == "dev-1"
    listed = running.pages("/v1/certificates", "certificates", kind="device", subject="dev-1")
    assert [one["log_index"] for one in listed] == [index]
    operator = running.pages("/v1/certificates", "certificates", kind="operator", subject="admin")[0]
    record = next(r for r in running.audit(action="operator.add") if r["index"] == operator["log_index"])
    assert record["certificate"]["fingerprint"] == operator["fingerprint"]  # of the ceremony, and yet in the log
    assert record["actor"] == {"kind": "process", "id": "authority"}


def test_enrolment_answers_with_the_index(running):
    key, request = world.make_request("dev-2")
    running.add_device("dev-2")
    answer = running.call("POST", "/.well-known/est/simpleenroll", base64.encodebytes(request),
                          headers={"Content-Type": "application/pkcs10"})
    assert answer.status == 200
    made = world.certificate_of_answer(answer.body)
    credential = running.keep("dev-2", made, key)
    shown = running.api("GET", "/v1/devices/dev-2")["certificates"][0]
    assert int(answer.headers["log-index"]) == shown["log_index"]
    again = running.call("POST", "/.well-known/est/simplereenroll", base64.encodebytes(request), who=credential,
                         door="https", headers={"Content-Type": "application/pkcs10"})
    assert again.status == 200 and int(again.headers["log-index"]) > shown["log_index"]


def test_a_proof_is_read_by_others(running, device):
    index = certificate_of(running, device)["log_index"]
    by_index = read_proof(running, proof_of(running, f"/v1/audit/proof?index={index}"))
    by_fingerprint = read_proof(running, proof_of(running, f"/v1/certificates/{device.fingerprint}/proof"))
    assert by_index[0] == by_fingerprint[0] == index
    record = trail.read_entry(index, by_index[1])
    assert record.action == "certificate.issue" and record.hex("fingerprint") == device.fingerprint


def test_getting_a_proof_is_a_reading_of_the_log(running, device):
    proof_of(running, f"/v1/certificates/{device.fingerprint}/proof")
    running.wait_audit(action="log.read",
                       want=lambda record: record["target"] == f"proof certificate={device.fingerprint}")


def test_what_no_checkpoint_covers_cannot_be_proven(running):
    far = running.api("GET", "/v1/status")["audit_records"] + 100000
    assert running.call("GET", f"/v1/audit/proof?index={far}").status == 404
    assert running.call("GET", f"/v1/certificates/{'00' * 32}/proof").status == 404
    for query in ("", "?index=", "?index=-1", "?index=1&index=2", "?certificate=00"):
        assert running.call("GET", f"/v1/audit/proof{query}").status == 400


def test_the_command_line_proves_and_verifies_offline(running, device, tmp_path):
    proof, record, whole = tmp_path / "it.tlog-proof", tmp_path / "it.record", tmp_path / "whole.tlog-proof"
    key = running.folder / "operator/checkpoints.pub.pem"
    proof_of(running, f"/v1/certificates/{device.fingerprint}/proof")
    running.touchmark("audit", "prove", "--certificate", device.fingerprint, "--save", whole)
    running.touchmark("audit", "prove", "--certificate", device.fingerprint, "--save", proof, "--record", record)
    told = json.loads(place.touchmark("audit", "verify", "--proof", whole, "--key", key, "--json").stdout)
    assert told["verified"] and told["certificate"]["fingerprint"] == device.fingerprint
    apart = place.touchmark("audit", "verify", "--proof", proof, "--record", record, "--key", key)
    assert "certificate.issue" in apart.stdout
    alone = place.touchmark("audit", "verify", "--proof", proof, "--key", key, check=False)
    assert alone.returncode == 7 and "--record" in alone.stderr
    leaf = tmp_path / "it.leaf"
    leaf.write_bytes(record.read_bytes()[:80])
    bare = place.touchmark("audit", "verify", "--proof", proof, "--record", leaf, "--key", key)
    assert "dev-1" not in bare.stdout and "certificate.issue" in bare.stdout
    octets = bytearray(record.read_bytes())
    octets[-1] ^= 1
    record.write_bytes(octets)
    assert place.touchmark("audit", "verify", "--proof", proof, "--record", record, "--key", key,
                           check=False).returncode == 3
    assert os.stat(whole).st_mode & 0o777 == 0o600
    kept = running.touchmark("audit", "prove", "0", "--save", whole, check=False)
    assert kept.returncode == 5  # what is there is not written over


@pytest.mark.parametrize("words, status", [
    (["audit", "prove"], 7), (["audit", "prove", "1", "--certificate", "00"], 7), (["audit", "prove", "x"], 7),
    (["audit", "verify", "--record", "x"], 7), (["audit", "verify", "--proof", "/nowhere"], 4),
    (["audit", "verify", "x", "--proof", "y"], 7), (["audit", "verify", "/tmp", "--quorum", "1"], 7),
])
def test_the_command_line_says_what_is_wrong(running, words, status):
    done = running.touchmark(*words, check=False)
    assert done.returncode == status, done.stderr
    assert done.stdout == "" and done.stderr.startswith("touchmark: ")
