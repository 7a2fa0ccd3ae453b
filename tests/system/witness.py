"""The witness program, as somebody else runs it; and C2SP tlog-cosignature, read by nothing of ours."""
import base64
import hashlib
import http.client
import signal
import subprocess

from cryptography.hazmat.primitives.asymmetric import ed25519

import place

ORIGIN = "touchmark.invalid/log"
PROGRAM = place.BIN / "touchmark-witness"


def run(*words, check=True):
    done = subprocess.run([PROGRAM, *map(str, words)], capture_output=True, text=True)
    if check and done.returncode != 0:
        raise AssertionError(f"touchmark-witness {words}: {done.returncode}: {done.stderr}")
    return done


class Witness:
    """A folder, a verifier key, and a process on a port that it keeps when it is started again."""

    def __init__(self, folder, name):
        self.folder, self.name, self.port, self.process = folder, name, place.free_port(), None
        self.vkey = run("init", folder, name).stdout.strip()

    def watch(self, key):
        run("add-log", self.folder, ORIGIN, key)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        self.log = open(f"{self.folder}.log", "ab")
        self.process = subprocess.Popen([PROGRAM, "serve", self.folder, f"127.0.0.1:{self.port}"],
                                        stdout=subprocess.PIPE, stderr=self.log, stdin=subprocess.DEVNULL, text=True)
        line = self.process.stdout.readline()
        assert line.startswith("listening "), open(f"{self.folder}.log").read()
        self.port = int(line.split()[1])

    def send(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.end(signal.SIGKILL)

    def end(self, number=signal.SIGTERM):
        if self.process is None:
            return
        self.send(number)
        self.send(signal.SIGCONT)
        self.process.wait(10)
        self.process.stdout.close()
        self.log.close()
        self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *unused):
        self.end()

    def told(self):
        return open(f"{self.folder}.log").read()

    def signed(self):
        """The size and the text of what it signed last; (0, "") before that."""
        notes = [note for note in (self.folder / "states").glob("*") if note.suffix != ".new"]  # being written
        if not notes:
            return 0, ""
        text = notes[0].read_text().partition("\n\n")[0] + "\n"
        return int(text.split("\n")[1]), text

    def evidence(self):
        folder = self.folder / "evidence"
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []

    def submit(self, old, proof, note):
        """POST /add-checkpoint: (status, body)."""
        lines = "".join(base64.b64encode(node).decode() + "\n" for node in proof)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("POST", "/add-checkpoint", f"old {old}\n{lines}\n{note}".encode())
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()


def read_vkey(vkey):
    """(name, key id, public key)"""
    name, told, coded = vkey.split("+", 2)
    typed = base64.b64decode(coded)
    key_id = hashlib.sha256(name.encode() + b"\n" + typed).digest()[:4]
    assert typed[0] == 4 and key_id.hex() == told
    return name, key_id, typed[1:]


def line_of(name, key_id, octets):
    return f"— {name} {base64.b64encode(key_id + octets).decode()}\n"


def signers(note, vkeys):
    """The names of those whose right signature stands under the note; raises if one of theirs is wrong."""
    text, _, lines = note.partition("\n\n")
    found = set()
    for vkey in vkeys:
        name, key_id, key = read_vkey(vkey)
        for line in lines.splitlines():
            _, signer, coded = line.split(" ")
            octets = base64.b64decode(coded)
            if (signer, octets[:4]) == (name, key_id):
                message = f"cosignature/v1\ntime {int.from_bytes(octets[4:12], 'big')}\n{text}\n".encode()
                ed25519.Ed25519PublicKey.from_public_bytes(key).verify(octets[12:], message)
                found.add(name)
    return found
