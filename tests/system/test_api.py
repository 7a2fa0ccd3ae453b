"""The HTTP API as curl and Python see it: the operator door of a running Touchmark."""
import json

import pytest

import world as worlds


@pytest.fixture(scope="module")
def world():
    with worlds.world() as made:
        yield made


def curl(world, path, *words, who="admin", door="operator"):
    """curl's own view: (status, headers, body)."""
    who = world.admin if who == "admin" else who
    identity = ["--cert", who.certificate, "--key", who.key] if who else []
    done = worlds.run("curl", "--silent", "--show-error", "--include", "--cacert", world.root, *identity, *words,
                      f"https://127.0.0.1:{world.ports[door]}{path}")
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    return int(first.split()[1]), headers, body


def test_health_and_description(world):
    status, headers, body = curl(world, "/v1/health", who=None)
    assert (status, json.loads(body)) == (200, {"status": "ok"})
    assert headers["cache-control"] == "no-store" and len(headers["x-request-id"]) == 32
    status, _, body = curl(world, "/v1/openapi.json", who=None)
    assert status == 200
    assert body == (worlds.place.SOURCE / "tests/golden/api/openapi.json").read_bytes()


def test_a_devices_life(world):
    status, _, body = curl(world, "/v1/devices", "--json", '{"id":"life-1","label":"pump","groups":["pumps"]}')
    assert status == 201 and json.loads(body)["device"]["state"] == "registered"
    status, _, body = curl(world, "/v1/devices", "--json", '{"id":"life-1"}')
    assert status == 409 and json.loads(body)["error"]["code"] == "exists"
    credential = world.enrol("life-1", add=False)
    shown = world.api("GET", "/v1/devices/life-1")
    assert shown["device"]["state"] == "active" and shown["device"]["groups"] == ["pumps"]
    assert [c["fingerprint"] for c in shown["certificates"]] == [credential.fingerprint]
    assert shown["certificates"][0]["serial"] == credential.serial
    for path, state in (("suspend", "suspended"), ("resume", "active"), ("revoke", "revoked")):
        told = world.api("POST", f"/v1/devices/life-1/{path}?wait=1", {})
        assert told["applied"] and told["sequence"] > 0
        assert world.api("GET", "/v1/devices/life-1")["device"]["state"] == state
    assert curl(world, "/v1/devices/life-1/resume", "--request", "POST")[0] == 403
    assert [d["id"] for d in world.pages("/v1/devices", "devices", group="pumps")] == ["life-1"]


def test_pages(world):
    for number in range(7):
        world.add_device(f"page-{number}", "paged")
    found = [d["id"] for d in world.pages("/v1/devices", "devices", group="paged", limit=3)]
    assert found == [f"page-{n}" for n in range(7)]


def test_an_auditor_reads_and_changes_nothing(world):
    key, _ = worlds.make_request("otto")
    request = worlds.x509.CertificateSigningRequestBuilder().subject_name(
        worlds.x509.Name([worlds.x509.NameAttribute(worlds.NameOID.COMMON_NAME, "otto")])).sign(
            key, worlds.hashes.SHA256())
    pem = request.public_bytes(worlds.serialization.Encoding.PEM).decode()
    answer = world.api("POST", "/v1/operators", {"kind": "operator", "id": "otto", "role": "auditor", "csr": pem})
    otto = world.keep("otto", worlds.x509.load_pem_x509_certificate(answer["certificate"].encode()), key)
    assert {o["id"]: o["role"] for o in world.api("GET", "/v1/operators")["operators"]}["otto"] == "auditor"
    assert world.call("GET", "/v1/devices", who=otto).status == 200
    assert world.call("GET", "/metrics", who=otto).status == 200
    for path in ("/v1/devices", "/v1/operators", "/v1/policies", "/v1/backups"):
        refused = world.call("POST", path, {}, who=otto)
        assert refused.status == 403 and "detail" not in refused.json()["error"]
        record = world.wait_audit(correlation=refused.json()["error"]["request"])
        assert record["decision"] == "denied" and record["actor"]["id"] == "otto" and record["target"] == f"POST {path}"
    kept = world.kept("operator", otto)
    assert world.ask(kept, "GET", "/v1/devices").status == 200
    world.api("POST", "/v1/operators/otto/revoke?wait=1", {"reason": "keyCompromise"})
    assert world.wait_audit(action="operator.revoke")["reason"] == "reason keyCompromise"
    try:
        assert world.ask(kept, "GET", "/v1/devices").status == 403
    except (OSError, worlds.http.client.HTTPException):
        pass  # cut before it could ask


def test_strangers_get_nothing(world):
    status, headers, body = curl(world, "/v1/devices", who=None)
    assert status == 401 and "www-authenticate" in headers and set(json.loads(body)["error"]) == {"code", "request"}
    record = world.wait_audit(correlation=json.loads(body)["error"]["request"])
    assert record["decision"] == "denied" and record["actor"]["kind"] == "nobody"
    assert curl(world, "/metrics", who=None)[0] == 401
    assert curl(world, "/v1/devices", door="https", who=None)[0] == 404


def test_policies(world):
    active = world.api("GET", "/v1/policies/active")
    answer = world.call("POST", "/v1/policies", {"text": "allow nonsense\n", "replaces": active["version"], "why": "to see"})
    assert answer.status == 422 and answer.json()["errors"][0].startswith("line 1 column ")
    checked = world.api("POST", "/v1/policies/check", {"text": worlds.EVERYTHING_OWN})
    assert checked == {"accepted": True, "errors": []}
    version = world.apply_policy(worlds.EVERYTHING_OWN)
    assert world.api("GET", f"/v1/policies/{version}")["text"] == worlds.EVERYTHING_OWN
    stale = world.call("POST", "/v1/policies", {"text": worlds.EVERYTHING_OWN, "replaces": active["version"], "why": "to see"})
    assert stale.status == 409
    assert any(p["version"] == version and p["active"] for p in world.api("GET", "/v1/policies")["policies"])


def test_metrics_and_status(world):
    status = world.api("GET", "/v1/status")
    assert status["signer"] is True and status["operators"] >= 1
    text = world.call("GET", "/metrics").body.decode()
    assert "touchmark_authority_up 1\n" in text and "# TYPE touchmark_devices gauge\n" in text
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        assert line.startswith("# ") or (name and float(value) >= 0)


def test_public_files(world):
    chain = curl(world, "/ca/chain.pem", who=None)[2]
    root = curl(world, "/ca/root.crt", who=None)[2]
    assert worlds.x509.load_der_x509_certificate(root) == worlds.x509.load_pem_x509_certificate(chain)
    for key in ("devices", "operators", "doors"):
        status, headers, body = curl(world, f"/crl/{key}.crl", who=None)
        assert status == 200 and headers["content-type"] == "application/pkix-crl"
        number = worlds.x509.load_der_x509_crl(body).extensions.get_extension_for_class(worlds.x509.CRLNumber)
        assert headers["etag"] == f'"{number.value.crl_number}"'
    plain = worlds.run("curl", "--silent", "--include",
                       f"http://127.0.0.1:{world.ports['http']}/crl/devices.crl").stdout
    assert plain.startswith(b"HTTP/1.1 200") and b"application/pkix-crl" in plain
    assert b"HTTP/1.1 304" in worlds.run("curl", "--silent", "--include", "--header", "If-None-Match: *",
                                         f"http://127.0.0.1:{world.ports['http']}/crl/devices.crl").stdout
    refused = worlds.run("curl", "--silent", "--include", f"http://127.0.0.1:{world.ports['http']}/v1/health").stdout
    assert refused.startswith(b"HTTP/1.1 404")


def test_audit_reading(world):
    record = world.wait_audit(action="device.add")
    assert record["actor"]["id"] == "admin" and record["decision"] == "allowed"
    entries = world.call("GET", "/v1/audit/entries?from=0")
    assert entries.status == 200 and entries.headers["content-type"] == "application/octet-stream"
    assert int.from_bytes(entries.body[:8], "big") == 0
    assert world.call("GET", "/v1/audit?limit=0").status == 400


def test_large_and_slow_and_pipelined(world):
    assert curl(world, "/v1/devices", "--json", "x" * 5000)[0] == 413
    assert curl(world, "/v1/devices?group=" + "x" * 5000)[0] == 414
    assert curl(world, "/v1/devices", "--request", "DELETE")[0] == 405
    assert curl(world, "/v1/devices/%2e%2e%2fpolicies")[0] == 404
    connection = world.connection()
    for _ in range(50):
        assert world.ask(connection, "GET", "/v1/health").status == 200
    connection.close()
