"""The matrix of bad certificates, at each way in: each is refused, and the audit log names it by its fingerprint.

What is signed by our own CA here was signed behind the registry's back, with the token's PIN: a stolen CA key.
"""
import base64
import http.client
import itertools
import ssl
import subprocess
import time

import pytest
from cryptography import x509

import forge
import mqtt
import place
import world

DAY = 86400
TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
VERSIONS = [TLS12, TLS13]

# name of the credential: what the audit log says of it
BAD = {
    "self-signed": ("foreign",),
    "other CA": ("foreign",),
    "unregistered, by our CA": ("foreign",),
    "unregistered and expired": ("foreign", "expired"),
    "unregistered and not yet valid": ("foreign", "not-yet-valid"),
    "unregistered, for servers": ("foreign",),
    "a registered device's name, by our CA": ("foreign",),
    "expired": ("expired",),
    "not yet valid": ("not-yet-valid", "not yet valid"),
    "revoked": ("revoked",),
    "device revoked": ("revoked",),
    "device suspended": ("suspended",),
    "revoked, with s turned into n - s": ("altered",),
    "active, with s turned into n - s": ("altered",),
}


def make_stolen(place_):
    """Before anything runs: the token has no other user yet."""
    now = forge.datetime.datetime.utcnow()
    made = {
        "unregistered, by our CA": forge.stolen(place_, "ghost"),
        "unregistered and expired": forge.stolen(place_, "late", begin=now - 9 * forge.DAY, end=now - forge.DAY),
        "unregistered and not yet valid": forge.stolen(place_, "early", begin=now + forge.DAY),
        "unregistered, for servers": forge.stolen(place_, "server", usage=forge.ExtendedKeyUsageOID.SERVER_AUTH),
        "a registered device's name, by our CA": forge.stolen(place_, "good"),
        "operator, by our CA": forge.stolen(place_, "admin", ca="operators", kind="operator"),
    }
    place_.bad = made


@pytest.fixture(scope="module")
def system():
    with world.world(policy=world.EVERYTHING_OWN, prepare=make_stolen) as made:
        enrolled = {name: made.enrol(name) for name in
                    ("good", "expired", "early-bird", "revoked", "device-revoked", "suspended", "twin", "twin-revoked")}
        made.good = enrolled["good"]
        made.bad.update({
            "self-signed": forge.self_signed(made, "self"), "other CA": forge.other_ca(made, "other"),
            "expired": enrolled["expired"], "not yet valid": enrolled["early-bird"],
            "revoked": enrolled["revoked"], "device revoked": enrolled["device-revoked"],
            "device suspended": enrolled["suspended"],
            "revoked, with s turned into n - s": forge.altered(made, enrolled["twin-revoked"]),
            "active, with s turned into n - s": forge.altered(made, enrolled["twin"]),
        })
        made.api("POST", f"/v1/certificates/{enrolled['revoked'].fingerprint}/revoke", {"reason": "keyCompromise"})
        made.api("POST", f"/v1/certificates/{enrolled['twin-revoked'].fingerprint}/revoke", {})
        made.revoke("device-revoked")
        made.api("POST", "/v1/devices/suspended/suspend?wait=1", {})
        move_dates(made, enrolled)
        yield made


def move_dates(made, enrolled):
    assert made.running.stop() == 0
    now = time.time()
    forge.redate(made, enrolled["expired"], end=now - DAY)
    forge.redate(made, enrolled["early-bird"], begin=now + DAY)
    made.start()


def stranger(_counter=itertools.count(256)):
    """An address of its own on the loopback: a flood from one address is told in aggregate."""
    number = next(_counter)
    return f"127.0.{number >> 8}.{number & 255 or 1}"


def try_mqtt(system, context, name="someone", source=None):
    """CONNACK's code, or the name of what ended it."""
    with mqtt.Client(system.ports["mqtts"], context, name, source=source or stranger()) as client:
        try:
            return client.connect()
        except (ssl.SSLError, mqtt.Closed, ConnectionError) as end:
            return f"{type(end).__name__}: {end}"


def try_https(system, door, context, method, path, body=None, headers=None):
    """HTTP's status, or the name of what ended it."""
    connection = system.connection(door, None, context=context, timeout=20, source=stranger())
    try:
        return system.ask(connection, method, path, body, headers).status
    except (OSError, http.client.HTTPException) as end:
        return f"{type(end).__name__}: {end}"
    finally:
        connection.close()


def refused_by_http(outcome):
    return outcome in (401, 403) or isinstance(outcome, str)


def renew(system, context, name, door="https"):
    """Simple re-enrolment is what a certificate is good for at HTTPS."""
    _, request = world.make_request(name)
    return try_https(system, door, context, "POST", "/.well-known/est/simplereenroll", base64.encodebytes(request),
                     {"Content-Type": "application/pkcs10"})


def in_log(record):
    return record["action"] in ("handshake", "certificate.look_up", "session.open", "api.request",
                                "certificate.renew", "status.read") and record["decision"] in ("denied", "failed")


def named(system, credential, reasons):
    """The log has a refusal of that very certificate, with the right reason."""
    def right(record):
        return in_log(record) and any(word in record.get("reason", "") for word in reasons)
    record = system.wait_audit(right, certificate=credential.fingerprint)
    shown = [record.get(name) or {} for name in ("certificate", "actor_certificate")]
    assert credential.fingerprint in [one.get("fingerprint") if isinstance(one, dict) else one for one in shown], record
    assert record["peer"].startswith("127.0.")
    return record


@pytest.mark.parametrize("version", VERSIONS, ids=["1.2", "1.3"])
@pytest.mark.parametrize("name", BAD)
def test_is_refused_at_mqtt_and_named(system, name, version):
    credential = system.bad[name]
    context = world.tls_context(system.root, credential, least=version, most=version)
    outcome = try_mqtt(system, context, credential.id)
    assert isinstance(outcome, str), outcome
    record = named(system, credential, BAD[name])
    assert record["tls"].startswith("TLSv1.")


@pytest.mark.parametrize("version", VERSIONS, ids=["1.2", "1.3"])
@pytest.mark.parametrize("name", BAD)
def test_is_refused_at_https_of_both_doors_and_named(system, name, version):
    credential = system.bad[name]
    context = world.tls_context(system.root, credential, least=version, most=version)
    before = len(system.audit(certificate=credential.fingerprint))
    assert refused_by_http(renew(system, context, credential.id))
    assert refused_by_http(renew(system, context, credential.id, door="operator"))
    assert refused_by_http(try_https(system, "operator", context, "GET", "/v1/status"))
    named(system, credential, BAD[name])
    place.wait_for("records of both doors",
                   lambda: len(system.audit(certificate=credential.fingerprint)) > before, 30)


def test_a_strangers_certificate_is_told_in_words(system):
    """His CA can be named, not only counted."""
    credential = system.bad["other CA"]
    shown = x509.load_pem_x509_certificate(credential.certificate.read_bytes())
    try_mqtt(system, world.tls_context(system.root, credential), credential.id)
    reason = named(system, credential, BAD["other CA"])["reason"]
    assert f"until {shown.not_valid_after:%Y-%m-%dT%H:%M:%SZ}" in reason
    assert f"issuer {shown.issuer.rfc4514_string()}" in reason
    assert reason.endswith("subject serialNumber=other")


def test_a_certificate_that_is_shown_makes_nobody_its_holder(system):
    """A certificate is no secret. Who is refused over it has not proven yet that he has its key."""
    credential = system.bad["device revoked"]
    try_mqtt(system, world.tls_context(system.root, credential), credential.id)
    record = named(system, credential, BAD["device revoked"])
    assert record["action"] == "handshake" and record["device"] == credential.id and record["actor"] == {"kind": "nobody"}
    admin = system.admin
    try_mqtt(system, world.tls_context(system.root, admin))
    record = named(system, admin, ("foreign",))
    assert record["actor"] == {"kind": "nobody"} and "device" not in record
    assert record["reason"] == "foreign; shown, not proven: operator admin"


def test_a_flood_of_strangers_is_counted_to_the_last(system):
    """From one address: the first of each worker's window are told one by one, the rest in aggregate, and none is
    missing. On a slow machine one lot may be spread over windows; then another follows."""
    context, source, sent = world.tls_context(system.root, system.bad["self-signed"]), stranger(), 0
    def counted():
        records = system.audit(peer=source, action="handshake", decision="denied")
        return sum(record.get("aggregate", {}).get("count", 1) for record in records) == sent and len(records)
    for _ in range(5):
        for _ in range(60):
            assert isinstance(try_mqtt(system, context, source=source), str)
        sent += 60
        if place.wait_for(f"all {sent} in the log", counted, 60) < sent:
            return
    raise AssertionError(f"{sent} refusals, each a record of its own")


def test_none_is_refused_at_mqtt_and_told(system):
    outcome = try_mqtt(system, world.tls_context(system.root), "good")
    assert isinstance(outcome, str), outcome
    system.wait_audit(lambda record: "certificate" in record.get("reason", ""), action="handshake", decision="denied")


def test_none_is_refused_at_https_but_for_what_is_public(system):
    context = world.tls_context(system.root)
    assert renew(system, context, "good") == 401
    assert try_https(system, "operator", context, "GET", "/v1/status") == 401
    assert try_https(system, "operator", context, "GET", "/v1/devices") == 401
    assert try_https(system, "https", context, "GET", "/.well-known/est/cacerts") == 200


def test_a_stolen_operators_ca_makes_no_operator(system):
    credential = system.bad["operator, by our CA"]
    context = world.tls_context(system.root, credential)
    assert refused_by_http(try_https(system, "operator", context, "GET", "/v1/status"))
    named(system, credential, ("foreign",))


def test_a_device_is_no_operator(system):
    context = world.tls_context(system.root, system.good)
    for method, path, body in (("GET", "/v1/status", None), ("GET", "/v1/devices", None), ("GET", "/v1/audit", None),
                               ("POST", "/v1/devices", b'{"id":"mine"}'), ("POST", "/v1/devices/twin/revoke", b"{}")):
        outcome = try_https(system, "operator", context, method, path, body, {"Content-Type": "application/json"})
        assert refused_by_http(outcome), (path, outcome)
    record = system.wait_audit(in_log, certificate=system.good.fingerprint)
    assert record["decision"] == "denied"
    assert {"mine"}.isdisjoint(device["id"] for device in system.pages("/v1/devices", "devices"))


def test_an_operator_is_no_device(system):
    outcome = try_mqtt(system, world.tls_context(system.root, system.admin), "admin")
    assert outcome != 0
    system.wait_audit(lambda record: record["decision"] == "denied" and record["source"] == "device-door",
                      certificate=system.admin.fingerprint)


def test_the_operators_routes_are_not_at_the_device_door(system):
    context = world.tls_context(system.root, system.admin)
    for path in ("/v1/status", "/v1/devices", "/metrics"):
        outcome = try_https(system, "https", context, "GET", path)
        assert outcome in (403, 404) or isinstance(outcome, str), (path, outcome)


@pytest.mark.parametrize("listener", ["mqtts", "https", "operator"])
def test_tls_1_1_is_refused_and_told(system, listener):
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{system.ports[listener]}", "-tls1_1",
                           "-cipher", "DEFAULT@SECLEVEL=0", "-cert", system.good.certificate, "-key", system.good.key],
                          input=b"", capture_output=True, timeout=30)
    told = done.stdout + done.stderr
    assert done.returncode != 0 and (b"protocol version" in told or b"alert" in told), told
    source = "operator-door" if listener == "operator" else "device-door"
    system.wait_audit(lambda record: record["source"] == source and "unsupported protocol" in record["reason"] and
                      record["tls"].startswith("TLSv1.1"), action="handshake", decision="denied")


@pytest.mark.parametrize("version", VERSIONS, ids=["1.2", "1.3"])
def test_a_good_one_is_let_in_everywhere(system, version):
    """The control: by the same code, what is right passes."""
    context = world.tls_context(system.root, system.good, least=version, most=version)
    assert try_mqtt(system, context, "good") == 0
    admin = world.tls_context(system.root, system.admin, least=version, most=version)
    assert try_https(system, "operator", admin, "GET", "/v1/status") == 200


@pytest.mark.parametrize("listener, version", [("mqtts", "1_3"), ("https", "1_2"), ("operator", "1_3")])
def test_openssl_verifies_the_doors(system, listener, version):
    done = world.run("openssl", "s_client", "-connect", f"127.0.0.1:{system.ports[listener]}", f"-tls{version}",
                     "-CAfile", system.root, "-verify_return_error", "-verify_ip", "127.0.0.1", "-x509_strict",
                     "-cert", system.good.certificate, "-key", system.good.key, input=b"", ok=False)
    told = done.stdout.decode(errors="replace")
    assert "Verify return code: 0 (ok)" in told, told
