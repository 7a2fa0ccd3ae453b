#!/usr/bin/env python3
"""Verifies an exported audit log of Touchmark with none of Touchmark's code: Python's standard library and openssl.

    verify_audit.py DIR --key checkpoints.pub.pem [--since FILE] [--witness VKEYS] [--quorum N]

DIR is what `touchmark audit export DIR` made, "records" and "checkpoint" (docs/protocol/audit-record.md, checkpoint.md).
Every commitment and leaf is computed anew (HMAC-SHA-256; RFC 9162 2.1.1), the tree of all leaves is held against the signed
checkpoint. No more records may lack their bodies than the log itself says were erased or pruned.
--since: an older checkpoint; the log must begin with all that it covers.
--witness: verifier keys of those who must have signed the checkpoint as well (C2SP tlog-cosignature), or a file of such.
Exit status: 0 verified, 1 not, 2 the command line.
"""
import argparse
import base64
import hashlib
import hmac
import pathlib
import re
import struct
import subprocess
import sys
import tempfile

MAGIC = b"touchmark audit 1\n"
LEAF, SALT, ENTRY_MAX = 80, 16, 2560 + 32 + 16
ED25519_SPKI = bytes.fromhex("302a300506032b6570032100")  # RFC 8410 4: what stands before the 32 octets
ERASE, HOLD, PRUNE = 10, 11, 12  # actions
# A body whose actor (field 1) is a process, kind 4, and whose reason (field 14, the last) tells of erasing or pruning.
TOLD = re.compile(rb"\x01..\x04.*\x0e..(?:begins|(?:done: )?([0-9]+) records)", re.DOTALL)


def demand(is_so, otherwise):
    if not is_so:
        raise ValueError(otherwise)


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


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


class Bare:
    """Records without bodies, and how many the log says there are (audit-record.md, "What may be bare")."""
    def __init__(self):
        self.count = self.explained = self.excused = 0
        self.under_way = {ERASE: 0, PRUNE: 0}

    def add(self, index, entry):
        (decision, action, source), body = struct.unpack(">xBHI", entry[:8]), entry[LEAF + SALT:]
        demand(len(entry) > LEAF or action not in (ERASE, HOLD, PRUNE), f"record {index}: its action is never without a body")
        self.count += len(entry) == LEAF
        if len(entry) == LEAF or (decision, source) != (1, 1) or action not in self.under_way:
            return  # of those two only what was allowed, and what the authority itself says, counts
        told = TOLD.fullmatch(body)
        if told and told[1]:
            self.explained += int(told[1])
            self.under_way[action] = max(self.under_way[action] - 1, 0)
        elif told or body[3:4] != b"\4":  # pruning begins, or an operator has something erased
            self.under_way[action], self.excused = self.under_way[action] + 1, self.count

    def check(self):
        more = any(self.under_way.values())
        counted = self.count - (self.excused if more else 0)
        demand(counted <= self.explained, f"{counted} records have no body, and the log says of {self.explained} that they "
               "were erased or pruned: bodies were taken out of this copy, or after its checkpoint; export it anew")
        return f"{self.count} erased" + (", more under way" if more else "")


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
    demand(base64.b64encode(octets).decode() == text, f"{what} is not base64")
    return octets


def split_note(note):
    """(text, [(name, key id, signature)])"""
    (text, _, lines), signatures = note.rpartition("\n\n"), []
    for line in lines.split("\n")[:-1]:
        parts = line.split(" ")
        demand(len(parts) == 3 and parts[0] == "—" and lines[-1:] == "\n", "a signature line is not: — <name> <base64>")
        octets = decode(parts[2], "a signature")
        signatures.append((parts[1], octets[:4], octets[4:]))
    return text + "\n", signatures


def read_checkpoint(note, key_pem):
    """(origin, size, root) of a note that this key signed."""
    text, signatures = split_note(note)
    lines = text.split("\n")
    demand(len(lines) >= 4 and str(int(lines[1])) == lines[1], "a checkpoint has no origin, size and root")
    origin, size, root = lines[0], int(lines[1]), decode(lines[2], "the root")
    spki = base64.b64decode("".join(line for line in key_pem.splitlines() if not line.startswith("-----")))
    ours = [octets for name, key_id, octets in signatures if (name, key_id) == (origin, sha256(spki)[:4])]
    demand(ours, "the checkpoint is not signed by this key")
    for octets in ours:
        demand(openssl(["dgst", "-sha256", "-verify", "{}", "-signature", "{}", "{}"], key_pem.encode(), octets,
                       text.encode()), "the checkpoint key's signature is wrong")
    return origin, size, root


def demand_witnesses(note, vkeys, quorum):
    (text, signatures), seen = split_note(note), set()
    demand(0 < quorum <= len(vkeys), f"--quorum {quorum} of {len(vkeys)} witnesses' keys (--witness)")
    for vkey in vkeys:
        name, told_id, coded = vkey.split("+", 2)
        typed = decode(coded, "a verifier key")
        key_id = sha256(name.encode(), b"\n", typed)[:4]
        demand(typed[:1] == b"\4" and len(typed) == 33 and key_id.hex() == told_id.lower(),
               f"{vkey}: no witness's verifier key")
        for octets in [octets for signer, signer_id, octets in signatures if (signer, signer_id) == (name, key_id)]:
            message = f"cosignature/v1\ntime {int.from_bytes(octets[:8], 'big')}\n{text}".encode()
            demand(len(octets) == 72 and openssl(
                ["pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", "{}", "-rawin", "-in", "{}", "-sigfile", "{}"],
                ED25519_SPKI + typed[1:], message, octets[8:]), f"the signature of {name} is wrong")
            seen.add(typed)
    demand(len(seen) >= quorum, f"{len(seen)} witnesses signed this checkpoint, {quorum} are demanded")


# ---- Records ----
def read_records(path):
    """(index, leaf hash, entry), one by one, each as its leaf says it; of an erased one the entry is the leaf."""
    with open(path, "rb") as records:
        demand(records.read(len(MAGIC)) == MAGIC, "records: does not begin as an export does")
        for index, head in enumerate(iter(lambda: records.read(36), b"")):
            length, = struct.unpack(">I", head[:4]) if len(head) == 36 else (ENTRY_MAX + 1,)
            entry = records.read(length) if length <= ENTRY_MAX else b""
            demand(len(entry) == length and (length == LEAF or length >= LEAF + SALT),
                   f"record {index}: cut short, or of a length that none has")
            leaf, salt, body = entry[:LEAF], entry[LEAF:LEAF + SALT], entry[LEAF + SALT:]
            demand(length == LEAF or hmac.digest(salt, body, "sha256") == leaf[48:],
                   f"record {index}: its body is not what its leaf committed to")
            demand(sha256(b"\0", leaf) == head[4:], f"record {index}: its leaf hash is another's")
            yield index, head[4:], entry


def verify(args):
    def read(*path):  # the octets as they are: read_text() takes other ends of lines for newlines
        return pathlib.Path(*path).read_bytes().decode()
    key_pem, note, tree, bare = read(args.key), read(args.folder, "checkpoint"), Tree(), Bare()
    origin, size, root = read_checkpoint(note, key_pem)
    older = read_checkpoint(read(args.since), key_pem) if args.since else None
    demand(not older or older[0] == origin, "the older checkpoint is another log's")
    demand(not older or older[1] != size or older[2] == root,
           f"a split view: two signed checkpoints of {size} records with different roots")
    if (args.witness, args.quorum) != (None, None):
        vkeys = (read(args.witness) if args.witness and "+" not in args.witness else args.witness or "").split()
        demand_witnesses(note, vkeys, len(vkeys) if args.quorum is None else args.quorum)
    for index, leaf_hash, entry in read_records(pathlib.Path(args.folder, "records")):
        bare.add(index, entry)
        tree.add(leaf_hash)
        demand(not older or older[1] != tree.size or older[2] == tree.root(),
               f"the first {tree.size} records are not those of the older checkpoint")
    demand((tree.size, tree.root()) == (size, root),
           f"these {tree.size} records are not the {size} that the checkpoint is over")
    demand(not older or older[1] <= size, f"the log ends before the {older and older[1]} records of the older checkpoint")
    return size, bare.check(), root.hex()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="DIR")
    for option, how in {"--key": {"required": True}, "--since": {}, "--witness": {}, "--quorum": {"type": int}}.items():
        parser.add_argument(option, **how)
    try:
        print("Verified: {} records ({}), all under the signed root {}".format(*verify(parser.parse_args())))
    except (OSError, ValueError) as wrong:
        sys.exit(f"not verified: {wrong}")


if __name__ == "__main__":
    main()
