"""A second reader of what Touchmark writes down: the audit log by RFC 9162 and docs/protocol/audit-record.md, its
checkpoints by checkpoint.md, the signer's journal by journal.md and signer.md. Shares no code with ours.
"""
import base64
import dataclasses
import hashlib
import hmac
import re
import struct

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import place

DECISIONS = {1: "allowed", 2: "denied", 3: "failed"}
# audit/action.h, those that tests ask for
ACTIONS = {9: "log.spool", 20: "device.add", 22: "device.suspend", 24: "device.revoke", 40: "certificate.issue",
           43: "certificate.orphan", 47: "door.certify", 63: "token.new", 81: "policy.apply", 103: "session.cut",
           104: "publish"}
TAGS = {1: "actor", 2: "actor_fingerprint", 3: "actor_serial", 4: "actor_issuer", 5: "actor_key", 6: "device",
        7: "fingerprint", 8: "serial", 9: "issuer", 10: "key", 11: "target", 12: "peer", 13: "tls", 14: "reason",
        15: "policy", 16: "aggregate"}
TEXTS = {"device", "target", "peer", "tls", "reason"}


# audit/action.h, enum audit_source
SOURCES = {1: "authority", 2: "device-door", 3: "operator-door", 4: "signer"}
AUTHORITY, SIGNER = 1, 4


class Broken(AssertionError):
    """The log is not what it says it is."""


def leaf_hash(leaf):
    return hashlib.sha256(b"\0" + leaf).digest()


def tree_root(leaves):
    """RFC 9162 2.1.1, as a stack of whole subtrees."""
    stack = []  # (size, hash), sizes fall
    for each in leaves:
        stack.append((1, each))
        while len(stack) > 1 and stack[-1][0] == stack[-2][0]:
            (size, right), (_, left) = stack.pop(), stack.pop()
            stack.append((2 * size, hashlib.sha256(b"\1" + left + right).digest()))
    if not stack:
        return hashlib.sha256(b"").digest()
    root = stack.pop()[1]
    while stack:
        root = hashlib.sha256(b"\1" + stack.pop()[1] + root).digest()
    return root


def read_body(body):
    fields, at, last = {}, 0, 0
    while at < len(body):
        tag, length = struct.unpack_from(">BH", body, at)
        value = body[at + 3:at + 3 + length]
        at += 3 + length
        if tag <= last or tag not in TAGS or at > len(body) or not value:
            raise Broken(f"field {tag} after {last}")
        last, name = tag, TAGS[tag]
        fields[name] = value.decode() if name in TEXTS else value
    if "actor" in fields:
        fields["actor"] = fields["actor"][1:].decode()
    if "policy" in fields:
        fields["policy"], fields["rule"] = struct.unpack(">QI", fields["policy"])
    return fields


@dataclasses.dataclass
class Record:
    index: int
    action: str
    decision: str
    source: int
    sequence: int
    wall_ms: int
    fields: dict

    @property
    def count(self):
        """The acts that it tells of."""
        return struct.unpack_from(">Q", self.fields["aggregate"])[0] if "aggregate" in self.fields else 1

    def hex(self, name):
        return self.fields.get(name, b"").hex()


def read_entry(index, entry):
    head, commitment, salt, body = entry[:48], entry[48:80], entry[80:96], entry[96:]
    if hmac.new(salt, body, hashlib.sha256).digest() != commitment:
        raise Broken(f"record {index} is not what its leaf commits to")
    version, decision, action, source, sequence, wall, _ = struct.unpack_from(">BBHIQQQ", head)
    if version != 1:
        raise Broken(f"record {index}: version {version}")
    return Record(index, ACTIONS.get(action, str(action)), DECISIONS[decision], source, sequence, wall, read_body(body))


def read_entries(octets):
    """Of one answer of GET /v1/audit/entries."""
    at = 0
    while at < len(octets):
        index, length = struct.unpack_from(">QI", octets, at)
        hash_told, entry = octets[at + 12:at + 44], octets[at + 44:at + 44 + length]
        at += 44 + length
        if len(entry) != length or leaf_hash(entry[:80]) != hash_told:
            raise Broken(f"entry {index}: its hash is another's")
        yield index, hash_told, entry


def checkpoint_key(folder):
    """From the rules that the root signed."""
    rules = (folder / "keys/rules").read_text()
    told = re.search(r"^key checkpoints\n(?:.+\n)*?public-key (\S+)$", rules, re.M)[1]
    return serialization.load_der_public_key(base64.b64decode(told))


def read_checkpoint(note, key):
    """(size, root, journal's sequence), after its signature was verified."""
    text, _, signatures = note.partition("\n\n")
    text += "\n"
    origin, size, root, journal = text.split("\n")[:4]
    spki = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    for line in signatures.splitlines():
        name, _, blob = line.removeprefix("— ").rpartition(" ")
        octets = base64.b64decode(blob)
        if name == origin and octets[:4] == hashlib.sha256(spki).digest()[:4]:
            try:
                key.verify(octets[4:], text.encode(), ec.ECDSA(hashes.SHA256()))
            except InvalidSignature:
                raise Broken(f"the signature of the checkpoint of {size}") from None
            return int(size), base64.b64decode(root), int(journal.split()[1])
    raise Broken("no signature of ours under the checkpoint")


def verify(world):
    """All records until now, under a checkpoint over at least these, and its size; raises Broken. Entries are told only
    until the newest checkpoint, which is some time behind (after a process was killed, more), so it is waited for."""
    until = world.api("GET", "/v1/status")["audit_records"]
    def covering():
        note = world.call("GET", "/v1/audit/checkpoint")
        told = read_checkpoint(note.body.decode(), checkpoint_key(world.folder)) if note.status == 200 else (0, None, 0)
        return told if told[0] >= until else None
    size, root, _ = place.wait_for(f"a checkpoint over {until} records", covering, 60)
    records, leaves = [], []
    while len(leaves) < size:
        octets = world.call("GET", f"/v1/audit/entries?from={len(leaves)}").body
        if not octets:
            break
        for index, leaf, entry in read_entries(octets):
            if index != len(leaves):
                raise Broken(f"entry {index} where {len(leaves)} was due")
            leaves.append(leaf)
            records.append(read_entry(index, entry))
    if len(leaves) < size:
        raise Broken(f"{len(leaves)} entries, and a checkpoint over {size}")
    if tree_root(leaves[:size]) != root:
        raise Broken(f"the tree over {size} entries has another root than the checkpoint says")
    check_sequences(records)
    return records, size


def begins(records, place, spools):
    """Whether this first record of a spool has behind it the authority's word that one begins which was not there before:
    the same transaction writes both."""
    if place + 1 == len(records):
        return True  # it is not under this checkpoint
    told = records[place + 1]
    spool = (records[place].source, told.fields.get("target"))
    known = spool in spools
    spools.add(spool)
    return told.action == "log.spool" and told.source == AUTHORITY and told.decision == "allowed" and not known and \
        told.fields.get("reason") == "a door's spool begins"


def check_sequences(records):
    """
    A spool's records are there once each, in order, without a hole: (source, sequence) by one, and it begins once. Of the
    signer's journal only the refusals come to the log: those ascend.
    """
    last, spools = {}, set()
    for place, record in enumerate(records):
        if record.sequence == 0:
            continue
        before = last.get(record.source, 0)
        if record.source == SIGNER and record.sequence > before:
            last[record.source] = record.sequence
            print(f"the signer refused: {record.fields}")
            continue
        new = record.source != SIGNER and record.sequence == 1 and begins(records, place, spools)
        if not new and (record.sequence != before + 1 or record.sequence == 1):
            raise Broken(f"record {record.index}: source {record.source} goes from {before} to {record.sequence}")
        last[record.source] = record.sequence


# ---- the signer's journal ----

def journal_entries(folder):
    """(kind, body) of every entry; only committed groups."""
    for path in sorted(folder.glob("*.segment")):
        octets, at = path.read_bytes(), 100
        if octets[:8] != b"TMJOURNL":
            raise Broken(f"{path}: no segment")
        while at + 72 <= len(octets) and octets[at:at + 4] == b"TMgr":
            count, size = struct.unpack_from(">II", octets, at + 4)
            end = at + 36 + size
            if octets[end + 32:end + 36] != b"TMge":
                break  # torn: never committed
            at += 36
            for _ in range(count):
                length, kind = struct.unpack_from(">IH", octets, at)
                yield kind, octets[at + 22:at + 22 + length]
                at += 22 + length
            at = end + 36


@dataclasses.dataclass
class Signed:
    key: str          # the signing key's name
    correlation: str  # hexadecimal
    of: int           # 1 certificate, 2 CRL, 3 checkpoint
    serial: str       # of a certificate, hexadecimal


def signatures(folder):
    """Of all that was ever signed."""
    for kind, body in journal_entries(folder / "signer/journal"):
        if kind != 1:
            continue
        size = body[0]
        key, at = body[1:1 + size].decode(), 1 + size + 16
        correlation, of, at = body[at - 16:at].hex(), body[at], at + 1 + 32 + 32
        serial = body[at + 1:at + 1 + body[at]]
        yield Signed(key, correlation, of, serial.lstrip(b"\0").hex())


def signed_serials(folder):
    """{issuing key's name: [serial in hexadecimal]} of every certificate that was ever signed."""
    found = {}
    for signed in signatures(folder):
        if signed.of == 1:
            found.setdefault(signed.key, []).append(signed.serial)
    return found
