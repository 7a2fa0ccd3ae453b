#!/usr/bin/env python3
"""Verifies an exported audit log of Touchmark with none of Touchmark's code: Python's standard library and openssl.

    verify_audit.py DIR --key checkpoints.pub.pem [--since FILE] [--witness VKEYS] [--quorum N]

DIR is what `touchmark audit export DIR` made: the files "records" and "checkpoint" (docs/protocol/audit-record.md,
checkpoint.md). Every commitment and every leaf is computed anew (HMAC-SHA-256; RFC 9162 2.1.1), the tree of all leaves is
held against the signed checkpoint, and with --since the log must begin with all that this older checkpoint covers.
--witness: verifier keys of those who must have signed the checkpoint as well (C2SP tlog-cosignature), or a file of such.
Exit status: 0 verified, 1 not, 2 the command line.
"""
import argparse
import base64
import hashlib
import hmac
import pathlib
import struct
import subprocess
import sys
import tempfile

MAGIC = b"touchmark audit 1\n"
LEAF, SALT, ENTRY_MAX = 80, 16, 2560 + 32 + 16
ED25519_SPKI = bytes.fromhex("302a300506032b6570032100")  # RFC 8410 4: what stands before the 32 octets


class Wrong(Exception):
    """What is wrong, in words."""


class Tree:
    """RFC 9162 2.1.1 as a stack of whole subtrees."""
    def __init__(self):
        self.size, self.stack = 0, []

    def add(self, leaf_hash):
        size, self.size = self.size, self.size + 1
        while size & 1:
            leaf_hash, size = sha256(b"\1", self.stack.pop(), leaf_hash), size >> 1
        self.stack.append(leaf_hash)

    def root(self):
        at = self.stack[-1] if self.stack else sha256()
        for left in reversed(self.stack[:-1]):
            at = sha256(b"\1", left, at)
        return at


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


# ---- Signed notes: C2SP signed-note, tlog-checkpoint, tlog-cosignature ----

def openssl(words, *files):
    """Runs openssl on these octets, each in a file whose name takes the place of a {} in words."""
    with tempfile.TemporaryDirectory() as folder:
        names = [pathlib.Path(folder, str(place)) for place in range(len(files))]
        for name, octets in zip(names, files):
            name.write_bytes(octets)
        command = ["openssl"] + [names.pop(0) if word == "{}" else word for word in words]
        return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0


def decode(text, what):
    octets = base64.b64decode(text)  # a ValueError, or what is no base64 is passed over: so it is compared
    if base64.b64encode(octets).decode() != text:
        raise Wrong(f"{what} is not base64")
    return octets


def split_note(note):
    """(text, [(name, key id, signature)])"""
    (text, _, lines), signatures = note.rpartition("\n\n"), []
    for line in lines.split("\n")[:-1]:
        parts = line.split(" ")
        if len(parts) != 3 or parts[0] != "—" or not lines.endswith("\n"):
            raise Wrong("a signature line is not \"— <name> <base64>\"")
        octets = decode(parts[2], "a signature")
        signatures.append((parts[1], octets[:4], octets[4:]))
    return text + "\n", signatures


def read_checkpoint(note, key_pem):
    """(origin, size, root) of a note that this key signed."""
    text, signatures = split_note(note)
    lines = text.split("\n")
    if len(lines) < 4 or str(int(lines[1])) != lines[1]:
        raise Wrong("a checkpoint has no origin, size and root")
    origin, size, root = lines[0], int(lines[1]), decode(lines[2], "the root")
    body = "".join(line for line in key_pem.splitlines() if not line.startswith("-----"))
    key_id, found = sha256(base64.b64decode(body))[:4], False
    for name, signer, signature in signatures:
        if (name, signer) != (origin, key_id):
            continue
        if not openssl(["dgst", "-sha256", "-verify", "{}", "-signature", "{}", "{}"],
                       key_pem.encode(), signature, text.encode()):
            raise Wrong("the checkpoint key's signature is wrong")
        found = True
    if not found:
        raise Wrong("the checkpoint is not signed by this key")
    return origin, size, root


def count_witnesses(note, vkeys):
    text, signatures = split_note(note)
    seen = set()
    for vkey in vkeys:
        name, told_id, coded = vkey.split("+", 2)
        typed = decode(coded, "a verifier key")
        key_id = sha256(name.encode(), b"\n", typed)[:4]
        if typed[0] != 4 or len(typed) != 33 or key_id.hex() != told_id.lower():
            raise Wrong(f"{vkey}: no verifier key of a witness")
        for signer, signer_id, octets in signatures:
            if (signer, signer_id) != (name, key_id):
                continue
            message = f"cosignature/v1\ntime {int.from_bytes(octets[:8], 'big')}\n{text}".encode()
            if len(octets) != 72 or not openssl(
                    ["pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", "{}", "-rawin", "-in", "{}",
                     "-sigfile", "{}"], ED25519_SPKI + typed[1:], message, octets[8:]):
                raise Wrong(f"the signature of {name} is wrong")
            seen.add(typed)
    return len(seen)


# ---- Records ----

def read_records(path):
    """(told leaf hash, entry), one by one."""
    with open(path, "rb") as records:
        if records.read(len(MAGIC)) != MAGIC:
            raise Wrong("records: does not begin as an export does")
        while head := records.read(36):
            length, = struct.unpack(">I", head[:4]) if len(head) == 36 else (ENTRY_MAX + 1,)
            entry = records.read(length) if length <= ENTRY_MAX else b""
            if len(entry) != length:
                raise Wrong("records: cut short, or a record of a length that none has")
            yield head[4:], entry


def leaf_of(told, entry):
    """The leaf's hash; erased entries have nothing but the leaf."""
    leaf, salt, body = entry[:LEAF], entry[LEAF:LEAF + SALT], entry[LEAF + SALT:]
    if len(entry) != LEAF and len(entry) < LEAF + SALT:
        raise Wrong("an entry of that length is none")
    if len(entry) > LEAF and hmac.new(salt, body, hashlib.sha256).digest() != leaf[48:]:
        raise Wrong("its body is not what its leaf committed to")
    if sha256(b"\0", leaf) != told:
        raise Wrong("its leaf hash is another's")
    return told


def verify(args):
    folder, key_pem = pathlib.Path(args.folder), pathlib.Path(args.key).read_text("utf-8")
    note = (folder / "checkpoint").read_text("utf-8")
    origin, size, root = read_checkpoint(note, key_pem)
    older = read_checkpoint(pathlib.Path(args.since).read_text("utf-8"), key_pem) if args.since else None
    if older and older[0] != origin:
        raise Wrong("the older checkpoint is another log's")
    if older and older[1] == size and older[2] != root:
        raise Wrong(f"a split view: two signed checkpoints of {size} records with different roots")
    if args.witness:
        given = args.witness if "+" in args.witness else pathlib.Path(args.witness).read_text("utf-8")
        seen, demanded = count_witnesses(note, given.split()), args.quorum or len(given.split())
        if seen < demanded:
            raise Wrong(f"{seen} witnesses signed this checkpoint, {demanded} are demanded")
    tree, erased, met = Tree(), 0, not older or older[1] == 0
    for told, entry in read_records(folder / "records"):
        try:
            tree.add(leaf_of(told, entry))
        except Wrong as wrong:
            raise Wrong(f"record {tree.size}: {wrong}") from None
        erased += len(entry) == LEAF
        met = met or tree.size == older[1]
        if older and tree.size == older[1] and tree.root() != older[2]:
            raise Wrong(f"the first {tree.size} records are not those of the older checkpoint")
    if (tree.size, tree.root()) != (size, root):
        raise Wrong(f"these {tree.size} records are not the {size} that the checkpoint is over")
    if not met:
        raise Wrong(f"the log ends before the {older[1]} records of the older checkpoint")
    return size, erased, root.hex()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="DIR")
    parser.add_argument("--key", required=True)
    parser.add_argument("--since")
    parser.add_argument("--witness")
    parser.add_argument("--quorum", type=int)
    try:
        print("Verified: {} records ({} erased), all under the signed root {}".format(*verify(parser.parse_args())))
    except (Wrong, OSError, ValueError) as wrong:
        sys.exit(f"not verified: {wrong}")


if __name__ == "__main__":
    main()
