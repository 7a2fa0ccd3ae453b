"""EST with clients that are not ours: curl and openssl, and strongSwan's pki."""
import base64
import concurrent.futures
import itertools
import os
import subprocess

import pytest

import world as worlds

EST = "/.well-known/est"
ADDRESSES = itertools.count(2)  # failing tokens are counted by address: each test fails from one of its own


@pytest.fixture(scope="module")
def world():
    with worlds.world(policy=worlds.EVERYTHING_OWN) as made:
        yield made


def make_request(world, name, *options, subject=None):
    """(key file, DER file), by openssl."""
    stem = world.work / "credentials" / name
    key, request = stem.with_suffix(".key"), stem.with_suffix(".der")
    worlds.run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
               "-outform", "DER", "-out", request, "-subj", subject or f"/serialNumber={name}", *options)
    return key, request


@pytest.fixture
def source():
    return f"127.0.0.{next(ADDRESSES)}"


def post(world, operation, body, *, door="https", who=None, basic=None, type="application/pkcs10", source="127.0.0.1"):
    headers = {"Content-Type": type}
    if basic:
        headers["Authorization"] = "Basic " + base64.b64encode(basic.encode()).decode()
    connection = world.connection(door, who)
    connection.source_address = (source, 0)
    try:
        return world.ask(connection, "POST", f"{EST}/{operation}", body, headers)
    finally:
        connection.close()


def token_of(world, name):
    world.add_device(name)
    token = world.new_token(name)
    return f"{token['id']}:{token['secret']}"


def test_cacerts_is_anybodys(world):
    answer = world.call("GET", f"{EST}/cacerts", door="https", who=None)
    assert answer.status == 200 and answer.headers["content-type"] == "application/pkcs7-mime"
    assert answer.headers["content-transfer-encoding"] == "base64"
    text = worlds.run("openssl", "pkcs7", "-inform", "DER", "-print_certs", input=base64.b64decode(answer.body)).stdout
    assert text.count(b"BEGIN CERTIFICATE") >= 3 and (world.root.read_bytes().strip() in text)


def test_a_token_is_good_once_and_for_its_device(world, source):
    basic = token_of(world, "once-1")
    body = base64.b64encode(make_request(world, "once-1", subject="/CN=somebody else")[1].read_bytes())
    first = post(world, "simpleenroll", body, basic=basic, source=source)
    assert first.status == 200 and first.headers["content-type"] == "application/pkcs7-mime; smime-type=certs-only"
    certificate = worlds.certificate_of_answer(first.body)
    assert certificate.subject.get_attributes_for_oid(worlds.NameOID.SERIAL_NUMBER)[0].value == "once-1"
    again = post(world, "simpleenroll", body, basic=basic, source=source)
    assert again.status == 401 and again.headers["www-authenticate"].startswith("Basic ")
    record = world.wait_audit(correlation=again.json()["error"]["request"])
    assert record["decision"] == "denied" and record["action"] == "certificate.issue"


def test_a_token_is_used_once_under_concurrency(world, source):
    basic = token_of(world, "race-1")
    bodies = [base64.b64encode(worlds.make_request("race-1")[1]) for _ in range(8)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda body: post(world, "simpleenroll", body, basic=basic, source=source).status, bodies))
    assert statuses.count(200) == 1 and set(statuses) <= {200, 401, 503}, statuses


@pytest.mark.parametrize("form", ["one line", "64 columns", "CRLF", "PEM", "NEW PEM", "blanks"])
def test_every_spelling_of_a_request(world, form):
    name = "form-" + form.replace(" ", "-").lower()
    basic, (_, request) = token_of(world, name), make_request(world, name)
    der = request.read_bytes()
    plain, lines = base64.b64encode(der), base64.encodebytes(der)
    pem = worlds.run("openssl", "req", "-inform", "DER", "-in", request).stdout
    body = {"one line": plain, "64 columns": lines, "CRLF": lines.replace(b"\n", b"\r\n"), "PEM": pem,
            "NEW PEM": pem.replace(b"CERTIFICATE REQUEST", b"NEW CERTIFICATE REQUEST"),
            "blanks": b" \t" + b" ".join(plain[i:i + 7] for i in range(0, len(plain), 7)) + b"\n\n"}[form]
    assert post(world, "simpleenroll", body, basic=basic).status == 200


def test_refusals(world, source):
    basic = token_of(world, "bad-1")
    _, request = make_request(world, "bad-1")
    good = base64.b64encode(request.read_bytes())
    broken = bytearray(request.read_bytes())
    broken[-1] ^= 1
    assert post(world, "simpleenroll", good, source=source).status == 401
    assert post(world, "simplereenroll", good).status == 401
    assert post(world, "simpleenroll", good, basic=basic, type="text/plain", source=source).status == 415
    assert post(world, "simpleenroll", b"", basic=basic, source=source).status == 400
    assert post(world, "simpleenroll", b"A" * 40000, basic=basic, source=source).status == 413
    assert post(world, "simpleenroll", base64.b64encode(broken), basic=basic, source=source).status in (400, 401, 403)
    rsa = worlds.run("openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", os.devnull, "-outform", "DER",
                     "-subj", "/serialNumber=bad-1").stdout
    assert post(world, "simpleenroll", base64.b64encode(rsa), basic=basic, source=source).status in (401, 403)
    assert world.call("GET", f"{EST}/label/cacerts", door="https", who=None).status == 404
    assert world.call("GET", f"{EST}/simpleenroll", door="https", who=None).status == 405
    # Nothing of that has spent the token.
    assert post(world, "simpleenroll", good, basic=basic, source=source).status == 200


def test_a_device_renews_and_only_with_its_key(world):
    device = world.enrol("renew-1")
    request = worlds.run("openssl", "req", "-new", "-key", device.key, "-outform", "DER", "-subj",
                         "/serialNumber=renew-1").stdout
    answer = post(world, "simplereenroll", base64.b64encode(request), who=device)
    assert answer.status == 200
    renewed = world.keep("renew-1b", worlds.certificate_of_answer(answer.body),
                         worlds.serialization.load_pem_private_key(device.key.read_bytes(), None))
    assert renewed.fingerprint != device.fingerprint
    assert world.call("GET", f"{EST}/cacerts", door="https", who=renewed).status == 200
    other = base64.b64encode(make_request(world, "renew-other", subject="/serialNumber=renew-1")[1].read_bytes())
    assert post(world, "simplereenroll", other, who=device).status == 403
    assert post(world, "simpleenroll", other, who=device).status == 401


def test_an_operator_enrols_for_a_device(world):
    world.enrol_quickly("by-operator-1")
    other = base64.b64encode(worlds.make_request("by-operator-2")[1])
    assert post(world, "simpleenroll", other, door="operator", who=world.admin).status == 404  # no such device


def bound_request(device, name, binding):
    """A request whose challengePassword is this channel's tls-unique (RFC 7030 3.5)."""
    key = worlds.serialization.load_pem_private_key(device.key.read_bytes(), None)
    subject = worlds.x509.Name([worlds.x509.NameAttribute(worlds.NameOID.SERIAL_NUMBER, name)])
    request = worlds.x509.CertificateSigningRequestBuilder().subject_name(subject).add_attribute(
        worlds.x509.oid.AttributeOID.CHALLENGE_PASSWORD, base64.b64encode(binding)).sign(key, worlds.hashes.SHA256())
    return base64.b64encode(request.public_bytes(worlds.serialization.Encoding.DER))


def test_a_request_is_bound_to_its_channel(world):
    device = world.enrol("bound-1")
    context = worlds.tls_context(world.root, device, most=worlds.ssl.TLSVersion.TLSv1_2)
    connections = [world.connection("https", device, context=context) for _ in range(2)]
    headers = {"Content-Type": "application/pkcs10"}
    for connection in connections:
        connection.connect()
    bodies = [bound_request(device, "bound-1", c.sock.get_channel_binding("tls-unique")) for c in connections]
    assert world.ask(connections[0], "POST", f"{EST}/simplereenroll", bodies[1], headers).status == 403
    assert world.ask(connections[0], "POST", f"{EST}/simplereenroll", bodies[0], headers).status == 200
    assert world.ask(connections[1], "POST", f"{EST}/simplereenroll", bodies[1], headers).status == 200
    for connection in connections:
        connection.close()
    # TLS 1.3 has no tls-unique.
    assert post(world, "simplereenroll", bodies[0], who=device).status == 403


def test_guessing_is_throttled(world, source):
    _, request = make_request(world, "guess-1")
    body = base64.b64encode(request.read_bytes())
    statuses = [post(world, "simpleenroll", body, basic=f"abcdefghijkl:{'a' * 32}", source=source).status for _ in range(12)]
    assert set(statuses) == {401, 429} and statuses[-1] == 429


# ---- strongSwan: TLS 1.2, Basic unasked, one line of base64, a CRL fetched from the certificate ----

def pki(*words, input=None):
    """What strongSwan's pki says; its plugins complain on stderr of hardware that is not there."""
    return subprocess.run(["pki", *map(str, words)], input=input, capture_output=True)


def test_strongswan_fetches_the_cas(world):
    out = world.work / "swan-ca"
    done = pki("--estca", "--url", f"https://127.0.0.1:{world.ports['operator']}", "--cacert", world.root,
               "--caout", out, "--outform", "pem")
    assert done.returncode == 0, done.stderr.decode()
    written = b"".join(path.read_bytes() for path in world.work.glob("swan-ca*"))
    assert written.count(b"BEGIN CERTIFICATE") >= 1


def test_strongswan_enrols_and_renews(world):
    url = f"https://127.0.0.1:{world.ports['https']}"
    basic, (key, request) = token_of(world, "swan-1"), make_request(world, "swan-1")
    done = pki("--est", "--url", url, "--in", request, "--cacert", world.root, "--userpass", basic, "--outform", "pem")
    assert done.returncode == 0, done.stderr.decode()
    first = worlds.x509.load_pem_x509_certificate(done.stdout)
    assert first.subject.get_attributes_for_oid(worlds.NameOID.SERIAL_NUMBER)[0].value == "swan-1"
    old = world.work / "credentials" / "swan-1.old"
    old.write_bytes(done.stdout)
    done = pki("--est", "--url", url, "--in", request, "--cacert", world.root, "--cert", old, "--key", key,
               "--outform", "pem")
    assert done.returncode == 0, done.stderr.decode()
    second = worlds.x509.load_pem_x509_certificate(done.stdout)
    assert second.serial_number != first.serial_number and second.public_key().public_numbers() == \
        first.public_key().public_numbers()
    shown = world.api("GET", "/v1/devices/swan-1")
    assert shown["device"]["state"] == "active" and len(shown["certificates"]) == 2
