"""A whole running Touchmark of a test's own, and what one can do to it from outside.

Nothing here knows our code: HTTPS by http.client, enrolment by openssl and curl, ports from the log.
"""
import base64
import contextlib
import dataclasses
import hashlib
import http.client
import json
import os
import pathlib
import re
import select
import shlex
import ssl
import subprocess
import threading
import urllib.parse

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import place

DOORS = ("device-door", "operator-door")
QUICK = {"restart_least": "20ms", "restart_most": "300ms", "calm": "10s", "log_level": "info"}
EVERYTHING_OWN = ('allow device connect\n'
                  'allow device publish, subscribe, receive, retain, will "devices/${device.id}/#"\n')


@dataclasses.dataclass(frozen=True)
class Credential:
    """A certificate and its key, as files, and what the registry calls the certificate."""
    id: str
    certificate: pathlib.Path
    key: pathlib.Path
    fingerprint: str
    serial: str

    @staticmethod
    def read(name, certificate, key):
        read = x509.load_pem_x509_certificate(certificate.read_bytes())
        return Credential(name, certificate, key, read.fingerprint(hashes.SHA256()).hex(), serial_text(read))


def serial_text(certificate):
    number = certificate.serial_number
    return number.to_bytes((number.bit_length() + 7) // 8 or 1, "big").hex()


@dataclasses.dataclass(frozen=True)
class Answer:
    status: int
    headers: dict
    body: bytes

    def json(self):
        return json.loads(self.body)


class Refused(AssertionError):
    """An answer that a test did not expect."""


def run(*words, input=None, ok=True):
    """A program that is not ours; bytes in, bytes out."""
    done = subprocess.run([str(word) for word in words], input=input, capture_output=True)
    if ok and done.returncode != 0:
        raise AssertionError(f"{shlex.join(map(str, words))}: {done.returncode}: {done.stderr.decode(errors='replace')}")
    return done


def tls_context(root, credential=None, *, least=None, most=None, ciphers=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(root)
    if ciphers:
        context.set_ciphers(ciphers)
    if least:
        context.minimum_version = least
    if most:
        context.maximum_version = most
    if credential:
        context.load_cert_chain(credential.certificate, credential.key)
    return context


def fields_of(line):
    """key=value pairs of a logfmt line."""
    return {key: text.strip('"') for key, text in re.findall(r'(\S+?)=("(?:[^"\\]|\\.)*"|\S*)', line)}


class World:
    """Use as a context: it is made, runs when entered, and is gone afterwards."""

    def __init__(self, work, *, settings=None, folder=None, policy=None, prepare=None, files=None):
        self.work = work
        self.files = files
        self.folder = folder or work / "place"
        self.local = threading.local()
        if folder is None:
            place.init(self.folder)
        settings = dict(settings or {})
        settings.setdefault("supervisor", QUICK)
        place.add_settings(self.folder, **settings)
        self.root = self.folder / "ca/root.pem"
        self.admin = Credential.read("admin", self.folder / "operator/admin.pem", self.folder / "operator/admin.key")
        (work / "credentials").mkdir(exist_ok=True)
        if prepare:
            prepare(self)
        self.running = self.make_supervisor()
        self.first_policy = policy
        self.ports, self.starts, self.began = {}, 0, 0

    def make_supervisor(self):
        return place.Supervisor(self.folder, files=self.files)

    def __enter__(self):
        self.start()
        if self.first_policy:
            self.apply_policy(self.first_policy)
        return self

    def __exit__(self, *unused):
        self.running.__exit__(*unused)
        if os.environ.get("TOUCHMARK_KEEP_LOG"):  # a file, for who looks for what the daemons said
            with open(os.environ["TOUCHMARK_KEEP_LOG"], "a") as kept:
                kept.write(self.running.log())

    def start(self):
        """touchmarkd, also again after its end; returns when all serve."""
        self.starts += 1
        self.began = len(self.running.log())
        self.running.start()
        self.settle()

    # ---- where it listens ----

    def read_ports(self):
        """{"mqtts", "https", "http", "operator"}: port, of the latest touchmarkd."""
        found = {}
        for line in self.running.log()[self.began:].splitlines():
            if " event=door.listening " not in line:
                continue
            told = fields_of(line)
            name = "operator" if told["process"] == "operator-door" else told["listener"]
            found[name] = int(told["address"].rpartition(":")[2])
        return found

    def settle(self, seconds=90):
        """All processes serve, and the doors can ask."""
        self.running.wait_event("supervisor.ready", self.starts, seconds)
        place.wait_for("listeners", lambda: {"mqtts", "https", "operator"} <= set(self.read_ports()), seconds)
        self.ports = self.read_ports()
        self.wait_healthy(seconds)

    def wait_healthy(self, seconds=60):
        """Both doors serve, the authority answers them, and the signer answers it."""
        def healthy():
            try:
                return self.call("GET", "/v1/status").json()["signer"] and \
                    self.call("GET", "/.well-known/est/cacerts", door="https", who=None).status == 200
            except (OSError, http.client.HTTPException, ValueError, KeyError):
                return False
        try:
            place.wait_for("health", healthy, seconds)
        except AssertionError as vain:
            raise AssertionError(f"{vain}\n{self.running.log()[-4000:]}") from None

    # ---- HTTPS ----

    def connection(self, door="operator", who="admin", *, timeout=60, context=None, source=""):
        """A new HTTPS connection; who: a Credential, None, or "admin"; source: an address of ours."""
        who = self.admin if who == "admin" else who
        context = context or tls_context(self.root, who)
        return http.client.HTTPSConnection("127.0.0.1", self.ports[door], context=context, timeout=timeout,
                                           source_address=(source, 0))

    def kept(self, door, who):
        """This thread's own connection of that credential, kept alive."""
        kept = self.local.__dict__.setdefault("kept", {})
        key = (door, self.ports[door], who if isinstance(who, str) or who is None else who.fingerprint)
        if key not in kept:
            kept[key] = self.connection(door, who)
        sock = kept[key].sock
        if sock is not None and select.select([sock], [], [], 0)[0]:
            kept[key].close()  # the door has ended it meanwhile
        return kept[key]

    def call(self, method, path, body=None, *, door="operator", who="admin", headers=None):
        """One request, over a connection that is kept as long as the door keeps it."""
        headers = dict(headers or {})
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        return self.ask(self.kept(door, who), method, path, body, headers)

    @staticmethod
    def ask(connection, method, path, body=None, headers=None):
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        except (OSError, http.client.HTTPException):
            connection.close()
            raise

    def api(self, method, path, body=None, **more):
        """The JSON of an answer that must be a yes."""
        answer = self.call(method, path, body, **more)
        if answer.status // 100 != 2:
            raise Refused(f"{method} {path}: {answer.status} {answer.body[:500]}")
        return answer.json() if answer.body else {}

    def pages(self, path, name, **filters):
        """All items of a list, page by page."""
        items, cursor = [], None
        while True:
            query = dict(filters, limit=filters.get("limit", 500), **({"cursor": cursor} if cursor else {}))
            page = self.api("GET", f"{path}?{urllib.parse.urlencode(query)}")
            items += page[name]
            cursor = page["next"]
            if not cursor:
                return items

    # ---- devices ----

    def add_device(self, name, *groups):
        return self.api("POST", "/v1/devices", {"id": name, "groups": list(groups)})

    def new_token(self, name):
        return self.api("POST", f"/v1/devices/{name}/tokens", {})

    def enrol(self, name, *groups, add=True):
        """A device's way in with nothing but openssl and curl."""
        if add:
            self.add_device(name, *groups)
        token = self.new_token(name)
        stem = self.work / "credentials" / name
        key, request, answer = (stem.with_name(name + end) for end in (".key", ".csr", ".p7"))
        run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", key, "-outform", "DER", "-out", stem.with_name(name + ".der"), "-subj", f"/serialNumber={name}")
        run("openssl", "base64", "-in", stem.with_name(name + ".der"), "-out", request)
        run("curl", "--silent", "--show-error", "--fail", "--cacert", self.root,
            "--user", f"{token['id']}:{token['secret']}", "--header", "Content-Type: application/pkcs10",
            "--data-binary", f"@{request}", "--output", answer,
            f"https://127.0.0.1:{self.ports['https']}/.well-known/est/simpleenroll")
        der = run("openssl", "base64", "-d", "-in", answer).stdout
        pem = run("openssl", "pkcs7", "-inform", "DER", "-print_certs", input=der).stdout
        certificate = stem.with_name(name + ".pem")
        certificate.write_bytes(run("openssl", "x509", input=pem).stdout)
        return Credential.read(name, certificate, key)

    def enrol_quickly(self, name, *groups, add=True):
        """The same by the operator's certificate, in this process: for hundreds."""
        if add:
            self.add_device(name, *groups)
        key, request = make_request(name)
        answer = self.call("POST", "/.well-known/est/simpleenroll", base64.encodebytes(request),
                           headers={"Content-Type": "application/pkcs10"})
        if answer.status != 200:
            raise Refused(f"simpleenroll {name}: {answer.status} {answer.body[:300]}")
        return self.keep(name, certificate_of_answer(answer.body), key)

    def keep(self, name, certificate, key):
        """Write a credential's two files."""
        stem = self.work / "credentials" / name
        files = stem.with_name(name + ".pem"), stem.with_name(name + ".key")
        files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        files[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                               serialization.NoEncryption()))
        return Credential.read(name, *files)

    def revoke(self, name, *, wait=False):
        return self.api("POST", f"/v1/devices/{name}/revoke" + ("?wait=1" if wait else ""), {})

    # ---- policies ----

    def active_policy(self):
        return self.api("GET", "/v1/policies/active")

    def apply_policy(self, text, *, wait=True):
        """Its version; with wait, every door has it."""
        applied = self.api("POST", "/v1/policies", {"text": text, "replaces": self.active_policy()["version"],
                                                  "why": "for this test"})
        if wait:
            self.wait_applied()
        return applied["version"]

    def wait_applied(self):
        """All doors follow up to now: asked with a change that waits and touches nobody."""
        place.wait_for("doors to follow", lambda: self.api("GET", "/v1/status")["doors_behind"] == 0, 30)

    # ---- the audit log ----

    def audit(self, **filters):
        """Records, newest first."""
        records, before = [], None
        while True:
            query = dict(filters, limit=500, **({"before": before} if before else {}))
            page = self.api("GET", f"/v1/audit?{urllib.parse.urlencode(query)}")
            records += page["records"]
            before = page["next"]
            if not before:
                return records

    def wait_audit(self, want=lambda record: True, seconds=30, **filters):
        """The newest record that these filters and want() find; spools are pushed each second."""
        def found():
            return next((record for record in self.audit(**filters) if want(record)), None)
        try:
            return place.wait_for(f"audit record {filters}", found, seconds)
        except AssertionError as vain:
            latest = [json.dumps(record) for record in self.audit()[:8]]
            raise AssertionError("\n".join([str(vain), *latest])) from None

    # ---- the command line ----

    def touchmark(self, *words, check=True):
        """As the first operator."""
        return place.touchmark(*words, "--profile", self.folder / "operator/operator.conf",
                               "--server", f"https://127.0.0.1:{self.ports['operator']}", check=check)


def make_request(name):
    """A fresh key and a DER certificate request for that device."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.SERIAL_NUMBER, name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return key, request.public_bytes(serialization.Encoding.DER)


def certificate_of_answer(body):
    """RFC 7030 4.2.3: a certs-only message in base64."""
    from cryptography.hazmat.primitives.serialization import pkcs7
    return pkcs7.load_der_pkcs7_certificates(base64.b64decode(body))[0]


def fingerprint(der):
    return hashlib.sha256(der).hexdigest()


@contextlib.contextmanager
def world(**options):
    """One that runs while the block does."""
    with place.work_folder() as work, World(work, **options) as made:
        yield made
