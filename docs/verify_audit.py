#!/usr/bin/env python3
"""Verifies an exported audit log of Touchmark with none of Touchmark's code: Python's standard library and openssl.

    verify_audit.py DIR --key checkpoints.pub.pem [--since FILE] [--witness VKEYS] [--quorum N]

DIR is what `touchmark audit export DIR` made, "records" and "checkpoint" (docs/protocol/audit-record.md, checkpoint.md).
Every record is read, every commitment and leaf computed anew (HMAC-SHA-256; RFC 9162 2.1.1), the tree of all leaves held
against the signed checkpoint. No more records may lack their bodies than the log itself says were erased or pruned.
--since: an older checkpoint; the log must begin with all that it covers. --witness: verifier keys of those who must have
signed the checkpoint, too (C2SP tlog-cosignature), or a file of such. Exit status: 0 verified, 1 not, 2 the command line.
"""
import argparse, base64, functools, hashlib, hmac, os, pathlib, re, struct, subprocess, sys, tempfile

MAGIC = b"touchmark audit 1\n"
LEAF, SALT, ENTRY_MAX, NOTE_MAX, I64_MAX, U64_MAX = 80, 16, 2560 + 32 + 16, 4096, 2**63 - 1, 2**64 - 1
P256 = bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107")  # RFC 5480 2: from a key's third octet on
ED25519_SPKI = bytes.fromhex("302a300506032b6570032100")  # RFC 8410 4: what stands before the 32 octets
NAME, NUMBER, HASH = "[!-*,-~]{1,128}", "(0|[1-9][0-9]{0,19})", "([0-9A-Za-z+/]{43}=)"
SIGNATURE = "— ([^ \n+]+) ([^ \n]+)\n"
PROCESS, ERASE, HOLD, PRUNE = 4, 10, 11, 12  # a kind of actor; actions, and what is said of those that are done
DONE = {ERASE: re.compile(f"done: {NUMBER} records".encode()), PRUNE: re.compile(f"{NUMBER} records".encode())}
# audit-record.md, "Actions": all of them, by what else they may have: C fields 7 to 10, P 15, A 16
ACTIONS = {int(action): may for may, actions in {
    "C": "5 8 43", "CA": "44 47 48 100", "CP": "103", "CPA": "20 24 40 41 42 45 60 61 64 101", "": "1 2 3 4 7 9 12 13 14 15 46 89",
    "PA": "6 10 11 22 23 25 26 62 63 80 81 82 83 84 85 86 87 88 102 104 105 106 107 108 109 110"
}.items() for action in actions.split()}
# "Body": of each tag, from 0, the least and greatest length, and t: text, b: octets, C, P, A: only of such actions
LEAST = [0, 2, 32, 1, 32, 32, 1, 32, 1, 32, 32, 1, 1, 1, 1, 12, 33]
MOST = [0, 65, 32, 20, 32, 32, 64, 32, 20, 32, 32, 1024, 64, 128, 256, 12, 33]
KINDS = "-tbbbbtCCCCttttPA"

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
        return functools.reduce(lambda right, left: sha256(b"\1", left, right), self.stack[::-1]) if self.size else sha256()

class Bare:
    """Records without bodies, and how many the log says there are (audit-record.md, "What may be bare")."""
    def __init__(self):
        self.count = self.explained = self.excused = 0
        self.under_way = {ERASE: 0, PRUNE: 0}

    def add(self, decision, action, source, fields):
        demand(fields is not None or action not in (ERASE, HOLD, PRUNE), "its action is never without a body")
        self.count += fields is None
        if fields is None or (decision, source) != (1, 1) or action not in DONE:
            return  # of those two only what was allowed, and what the authority itself says, counts
        kind, reason, now = fields.get(1, b"\0")[0], fields.get(14, b""), self.under_way[action]
        done = DONE[action].fullmatch(reason) if kind == PROCESS else None
        if done and int(done[1]) <= U64_MAX:
            self.explained, self.under_way[action] = self.explained + int(done[1]), max(now - 1, 0)
        elif kind != PROCESS if action == ERASE else (kind, reason) == (PROCESS, b"begins"):
            self.excused, self.under_way[action] = self.count, now + 1 if action == ERASE else 1  # there is one pruning

    def check(self):
        more = any(self.under_way.values())
        counted = self.count - (self.excused if more else 0)
        demand(counted <= self.explained, f"{counted} records have no body, and the log says of {self.explained} that they "
               "were erased or pruned: bodies were taken out of this copy, or after its checkpoint; export it anew")
        return f"{self.count} erased" + (", more under way" if more else "")

# ---- Signed notes: C2SP signed-note, tlog-checkpoint, tlog-cosignature ----
def openssl(words, *files):
    """Whether it says yes; the files are these octets, and named 0, 1 and so on."""
    with tempfile.TemporaryDirectory() as folder:
        for name, octets in enumerate(files):
            pathlib.Path(folder, str(name)).write_bytes(octets)
        return not subprocess.run(["openssl", *words.split()], cwd=folder, capture_output=True, check=False).returncode

def decode(text, what):
    octets = base64.b64decode(text)  # a ValueError, or what is no base64 is passed over: so it is compared
    demand(base64.b64encode(octets).decode() == text, f"{what} is not base64")
    return octets

def split_note(note):
    """(text, [(name, key id and signature)])"""
    text, _, lines = note.rpartition("\n\n")
    demand(re.fullmatch(f"({SIGNATURE})*", lines) and not re.search("[\0-\t\v-\x1f]", note), "this is no signed note")
    signatures = [(name, decode(octets, "a signature")) for name, octets in re.findall(SIGNATURE, lines)]
    demand(all(len(octets) > 4 for _, octets in signatures), "a signature is only a key id")
    return text + "\n", signatures

def read_checkpoint(note, key_pem):
    """(origin, size, root) of a note that this key signed."""
    text, signatures = split_note(note)
    parts = re.fullmatch(f"({NAME})\n{NUMBER}\n{HASH}\njournal {NUMBER} {HASH}\n", text)
    demand(parts and max(int(parts[2]), int(parts[4])) <= I64_MAX and decode(parts[5], "a hash"), "this is no checkpoint")
    spki = base64.b64decode("".join(re.findall("-----BEGIN PUBLIC KEY-----([^-]*)-----END", key_pem)[:1]))
    demand(spki[2:23] == P256, "the key is no public key on P-256 as PEM")
    ours = [octets[4:] for name, octets in signatures if (name, octets[:4]) == (parts[1], sha256(spki)[:4])]
    demand(ours and all(openssl("dgst -sha256 -verify 0 -signature 1 2", key_pem.encode(), octets, text.encode())
                        for octets in ours), "the checkpoint has no signature by this key, or a wrong one")
    return parts[1], int(parts[2]), decode(parts[3], "the root")

def demand_witnesses(note, vkeys, quorum):
    (text, signatures), signed, seen = split_note(note), 0, set()
    demand(0 < quorum <= len(vkeys) <= 8, f"--quorum {quorum} of {len(vkeys)} witnesses' keys (--witness)")
    for name, told_id, coded in [vkey.split("+", 2) for vkey in vkeys]:
        typed = decode(coded, "a verifier key")
        key_id = sha256(name.encode(), b"\n", typed)[:4]
        demand(typed[:1] == b"\4" and len(typed) == 33 and key_id.hex() == told_id.lower() and re.fullmatch(NAME, name),
               f"{name}: no witness's verifier key")
        demand(not {(name,), typed} & seen, f"{name}: its name or key stands twice")
        ours = [octets[4:] for signer, octets in signatures if (signer, octets[:4]) == (name, key_id)]
        for octets in ours:
            message = f"cosignature/v1\ntime {int.from_bytes(octets[:8], 'big')}\n{text}".encode()
            demand(len(octets) == 72 and octets[0] < 128 and openssl(
                "pkeyutl -verify -pubin -keyform DER -inkey 0 -rawin -in 1 -sigfile 2", ED25519_SPKI + typed[1:], message,
                octets[8:]), f"the signature of {name} is wrong")
        signed, seen = signed + bool(ours), seen | {(name,), typed}
    demand(signed >= quorum, f"{signed} witnesses signed this checkpoint, {quorum} are demanded")

# ---- Records ----
def read_body(action, body):
    """{tag: value}"""
    found, tag = {}, 0
    while body:
        last, tag, length = tag, body[0], int.from_bytes(body[1:3], "big")
        value, body = body[3:3 + length], body[3 + length:]
        demand(last < tag < len(KINDS) and KINDS[tag] in "tb" + ACTIONS[action] and len(value) == length and
               LEAST[tag] <= length <= MOST[tag], f"its field {tag} is none, cut short, too long or not in order")
        demand(KINDS[tag] != "t" or not re.search("[\0-\x1f\x7f]", value[tag == 1:].decode()), f"its field {tag} is no text")
        found[tag] = value
    demand(1 <= found.get(1, b"\1")[0] <= 4 and any(found.get(15, b"\1")), "its actor or policy is none")
    count, first, last, targets, capped = struct.unpack(">4QB", found.get(16, b"\1" * 33))
    demand(0 < count >= targets and max(first, last) <= I64_MAX and capped <= 1, "its aggregate is none")
    return found

def read_entry(told, entry):
    """(decision, action, source, fields); of an erased record the fields are None."""
    leaf, salt, body = entry[:LEAF], entry[LEAF:LEAF + SALT], entry[LEAF + SALT:]
    demand(len(entry) == LEAF or hmac.digest(salt, body, "sha256") == leaf[48:], "its body is not what its leaf committed to")
    demand(sha256(b"\0", leaf) == told, "its leaf hash is another's")
    version, decision, action, source, sequence, wall, monotonic = struct.unpack(">BBHIQQQ", leaf[:32])
    demand(version == 1 and 1 <= decision <= 3 and action in ACTIONS and source <= 4 and (source or not sequence) and
           max(wall, monotonic) <= I64_MAX, "its head is none: version, decision, action, source, sequence or a time")
    return decision, action, source, read_body(action, body) if len(entry) > LEAF else None

def open_file(*path):  # neither through a symbolic link, nor waiting at a pipe
    return open(pathlib.Path(*path), "rb", opener=lambda name, how: os.open(name, how | os.O_NOFOLLOW | os.O_NONBLOCK))

def read_text(most, *path):  # the octets as they are: other ends of lines are no newlines
    octets = open_file(*path).read(most + 1)
    demand(len(octets) <= most, f"{path[-1]}: more than {most} octets")
    return octets.decode()

def verify(args):
    key_pem, note, tree, bare = read_text(16384, args.key), read_text(NOTE_MAX, args.folder, "checkpoint"), Tree(), Bare()
    origin, size, root = read_checkpoint(note, key_pem)
    older = read_checkpoint(read_text(NOTE_MAX, args.since), key_pem) if args.since is not None else (origin, 0, sha256())
    demand(older[0] == origin, "the older checkpoint is another log's")
    demand(older[1] <= size, f"the log ends before the {older[1]} records of the older checkpoint")
    demand(older[1] < size or older[2] == root, f"a split view: two signed checkpoints of {size} records, two roots")
    if (args.witness, args.quorum) != (None, None):
        vkeys = (read_text(8192, args.witness) if args.witness and "+" not in args.witness else args.witness or "").split()
        demand_witnesses(note, vkeys, len(vkeys) if args.quorum is None else args.quorum)
    with open_file(args.folder, "records") as records:
        demand(records.read(len(MAGIC)) == MAGIC, "records: does not begin as an export does")
        while True:
            demand(tree.size != older[1] or tree.root() == older[2], "it does not begin with the older checkpoint's records")
            if not (row := records.read(36)):
                break
            length = int.from_bytes(row[:4], "big")
            entry = records.read(min(length, ENTRY_MAX))
            try:
                demand(len(row) == 36 and len(entry) == length and (length == LEAF or length >= LEAF + SALT),
                       "it is cut short, or of a length that none has")
                bare.add(*read_entry(row[4:], entry))
            except ValueError as wrong:
                raise ValueError(f"record {tree.size}: {wrong}") from None
            tree.add(row[4:])
    demand((tree.size, tree.root()) == (size, root), f"its {tree.size} records are not the {size} of the checkpoint")
    return size, bare.check(), root.hex()

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="DIR")
    for option, how in {"--key": {"required": True}, "--since": {}, "--witness": {}, "--quorum": {"type": int}}.items():
        parser.add_argument(option, **how)
    try:
        print("Verified: {} records ({}), all under the signed root {}".format(*verify(parser.parse_args())))
    except (OSError, ValueError) as wrong:
        sys.exit(f"not verified: {wrong}")
