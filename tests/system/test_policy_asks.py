"""What the active policy denies of acts and certificates, at the running doors: each route by its own rule, and what
no policy takes from an administrator."""
import re

import pytest

import world
from test_roles import certify

FILLED = {"version": "1", "fingerprint": "d1" * 32, "number": "1", "id": "dev-1"}
KEPT = {"policy.read", "policy.write", "proposal.read", "proposal.write", "audit.read", "renew"}
# What the door answers by itself: no act, or a copy of what is public.
OF_THE_DOOR = {"/v1/health", "/v1/openapi.json", "/metrics"}
BODIES = {"/v1/operators": {"kind": "line", "id": "hall"}, "/v1/devices": {"id": "dev-9"},
          "/v1/devices/revoke": {"devices": ["dev-1"]},
          "/v1/audit/erasures": {"kind": "device", "id": "dev-1", "reason": "asked"},
          "/v1/audit/holds": {"reason": "asked"}, "/v1/audit/holds/1/release": {"reason": "asked"}}
NOTHING = "# nothing is said\n"


@pytest.fixture(scope="module")
def running():
    with world.world() as made:
        made.add_device("dev-1")
        yield made


@pytest.fixture
def csr(running):
    key, request = (running.work / f"new{end}" for end in (".key", ".csr"))
    world.run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
              key, "-out", request, "-subj", "/CN=new")
    return request.read_text()


def judged_routes(running):
    """(method, path, right), as the door describes them, parameters filled in."""
    paths = running.api("GET", "/v1/openapi.json")["paths"]
    routes = [(method.upper(), re.sub(r"\{(\w+)\}", lambda found: FILLED.get(found[1], "x"), path),
               operation["x-right"]) for path, operations in paths.items() for method, operation in operations.items()]
    return [route for route in routes if route[1].startswith("/v1") and route[1] not in OF_THE_DOOR]


def denied(answer, line, version):
    assert answer.status == 403, (answer.status, answer.body)
    assert answer.json()["error"]["detail"] == f"policy: denied by line {line} of version {version}"


def test_each_route_is_denied_by_its_own_name_and_nothing_is_done(running, csr):
    """So a route that is added and that the authority has no name for is found here."""
    routes = [route for route in judged_routes(running) if route[2] not in KEPT]
    assert len(routes) > 15, routes
    version = running.apply_policy("\n".join(f'deny operator "admin" call "{method} {path}"'
                                             for method, path, _ in routes) + "\n", wait=False)
    before = [running.api("GET", path) for path in ("/v1/policies", "/v1/proposals")]
    for line, (method, path, _) in enumerate(routes, 1):
        body = None if method == "GET" else BODIES.get(path, {})
        body = dict(body, csr=csr) if path == "/v1/operators" and body else body
        denied(running.call(method, path, body), line, version)
    records = [record for record in running.audit(actor="admin", decision="denied") if record.get("policy") == version]
    assert {record["rule"] for record in records} >= {line for line, route in enumerate(routes, 1) if route[0] == "POST"}
    assert before == [running.api("GET", path) for path in ("/v1/policies", "/v1/proposals")]
    running.apply_policy(NOTHING)
    assert [device["id"] for device in running.pages("/v1/devices", "devices")] == ["dev-1"]
    assert {record["action"] for record in records} >= {"device.add", "device.suspend", "operator.add",
                                                        "system.backup", "log.erase", "token.new"}


def test_no_policy_locks_an_administrator_out_and_an_auditor_it_does(running):
    otto = certify(running, "operator", "otto", "auditor")
    text = 'deny anyone call "+/#"\ndeny anyone enroll, renew\ndeny anyone revoke\n'
    version = running.apply_policy(text, wait=False)
    assert running.call("GET", "/v1/devices").status == 403
    for method, path, right in judged_routes(running):
        if right not in KEPT:
            continue
        answer = running.call(method, path, None if method == "GET" else {})
        assert answer.status != 403, (method, path, answer.body)
        if method == "GET" and right == "audit.read" and path in ("/v1/audit", "/v1/audit/erasures", "/v1/audit/holds"):
            denied(running.call("GET", path, who=otto), 1, version)
    assert running.active_policy()["text"] == text
    running.apply_policy(NOTHING)
    assert running.call("GET", "/v1/devices").status == 200
    assert running.call("GET", "/v1/audit", who=otto).status == 200


def est(running, work, token=None, who=None, door="https", path="simpleenroll", name="dev-2"):
    """The status, and what the door says, of one EST request with a fresh key."""
    import base64
    key, request = world.make_request(name)
    headers = {"Content-Type": "application/pkcs10"}
    if token:
        pair = f"{token['id']}:{token['secret']}".encode()
        headers["Authorization"] = "Basic " + base64.b64encode(pair).decode()
    return running.call("POST", f"/.well-known/est/{path}", base64.encodebytes(request), door=door, who=who,
                        headers=headers)


def test_a_denied_enrolment_leaves_the_token_as_it_was(running, tmp_path):
    running.add_device("dev-2", "late")
    token = running.new_token("dev-2")
    version = running.apply_policy('\ndeny group "late" enroll\ndeny line "hall-2" enroll "device"\n')
    denied(est(running, tmp_path, token), 2, version)
    record = running.wait_audit(action="certificate.issue", decision="denied")
    assert (record["policy"], record["rule"], record["device"]) == (version, 2, "dev-2")
    assert running.wait_audit(action="token.use", decision="denied")["rule"] == 2
    hall = certify(running, "line", "hall-2")
    denied(est(running, tmp_path, who=hall, door="operator"), 3, version)
    record = running.wait_audit(action="certificate.issue", decision="denied", actor="hall-2")
    assert (record["policy"], record["rule"]) == (version, 3)
    assert running.api("GET", "/v1/devices/dev-2")["certificates"] == []
    running.apply_policy(NOTHING)
    assert est(running, tmp_path, token).status == 200
    assert est(running, tmp_path, token).status == 401


def test_a_denied_renewal_is_told_with_its_rule(running):
    device = running.enrol("dev-3")
    version = running.apply_policy('deny device "dev-3" renew "device" when certificate.left > 1d\n')
    request = running.work / "renew.der"
    world.run("openssl", "req", "-new", "-key", device.key, "-outform", "DER", "-out", request, "-subj",
              "/serialNumber=dev-3")
    body = world.run("openssl", "base64", "-in", request).stdout
    headers = {"Content-Type": "application/pkcs10"}
    again = "/.well-known/est/simplereenroll"
    denied(running.call("POST", again, body, door="https", who=device, headers=headers), 1, version)
    record = running.wait_audit(action="certificate.renew", decision="denied")
    assert (record["policy"], record["rule"], record["actor"]["id"]) == (version, 1, "dev-3")
    assert len(running.api("GET", "/v1/devices/dev-3")["certificates"]) == 1
    running.apply_policy(NOTHING)
    assert running.call("POST", again, body, door="https", who=device, headers=headers).status == 200


def test_a_device_that_may_not_be_revoked_stays(running):
    version = running.apply_policy('deny role "admin" revoke "dev-1"\n')
    denied(running.call("POST", "/v1/devices/dev-1/revoke", {}), 1, version)
    denied(running.call("POST", "/v1/devices/revoke", {"devices": ["dev-1", "dev-2"]}), 1, version)
    states = {name: running.api("GET", f"/v1/devices/{name}")["device"]["state"] for name in ("dev-1", "dev-2")}
    assert "revoked" not in states.values(), states
    version = running.apply_policy(NOTHING)
    assert running.revoke("dev-1")
    record = running.wait_audit(action="device.revoke", decision="allowed")
    assert record["policy"] == version and not record.get("rule")
    assert "No rule of it decided: the role or the token did." in running.touchmark("audit", "explain", record["index"]).stdout


def test_where_a_rule_is_demanded_the_first_policy_has_what_roles_do_and_none_has_nothing():
    """With the setting, by the policy that init writes; and what no policy takes, under one that allows nothing."""
    with world.world(settings={"authority": {"acts": "policy"}}) as strict:
        device = strict.enrol("dev-1")
        assert device.id == "dev-1"
        assert "acts: policy" in strict.wait_audit(action="process.start", actor="authority")["reason"]
        version = strict.apply_policy(NOTHING, wait=False)
        for method, path, body in (("GET", "/v1/devices", None), ("POST", "/v1/devices/dev-1/revoke", {})):
            answer = strict.call(method, path, body)
            assert answer.status == 403, (path, answer.body)
            assert answer.json()["error"]["detail"] == f"policy: no rule of version {version} allows it"
        record = strict.wait_audit(action="device.revoke", decision="denied")
        assert record["policy"] == version and not record.get("rule")
        version = strict.apply_policy('allow operator call "+/#"\nallow role "admin" revoke\n')
        assert strict.revoke("dev-1")
        record = strict.wait_audit(action="device.revoke", decision="allowed")
        assert (record["policy"], record["rule"]) == (version, 2)
