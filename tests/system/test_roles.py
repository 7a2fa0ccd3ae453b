"""What an auditor and a line cannot do: every route that changes something, as the door itself describes it."""
import re

import pytest

import world

FILLED = {"version": "1", "fingerprint": "d1" * 32, "number": "1"}


@pytest.fixture(scope="module")
def running():
    with world.world() as made:
        made.add_device("dev-1")
        yield made


def certify(running, kind, name, role=None):
    """A holder whose key is made here."""
    key, request = (running.work / f"{name}{end}" for end in (".key", ".csr"))
    world.run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
              key, "-out", request, "-subj", f"/CN={name}")
    answer = running.api("POST", "/v1/operators", {"kind": kind, "id": name, "csr": request.read_text(),
                                                   **({"role": role} if role else {})})
    (running.work / f"{name}.pem").write_text(answer["certificate"])
    return world.Credential.read(name, running.work / f"{name}.pem", key)


def changing_routes(running):
    """(path, right) of each that is no GET, with its parameters filled in."""
    paths = running.api("GET", "/v1/openapi.json")["paths"]
    routes = [(path, method, operation["x-right"]) for path, operations in paths.items()
              for method, operation in operations.items()]
    assert {method for _, method, _ in routes} == {"get", "post"}
    return [(re.sub(r"\{(\w+)\}", lambda found: FILLED.get(found[1], "dev-1"), path), right)
            for path, method, right in routes if method == "post"]


def everything(running):
    """What a change would show in."""
    return [running.pages("/v1/devices", "devices"), running.pages("/v1/certificates", "certificates"),
            running.pages("/v1/operators", "operators"), running.pages("/v1/policies", "policies"),
            running.pages("/v1/proposals", "proposals")]


def acts_of(records):
    return sum(record.get("aggregate", {"count": 1})["count"] for record in records)


@pytest.mark.parametrize("kind, name, role, own", [("operator", "otto", "auditor", {"renew"}),
                                                   ("line", "hall", None, {"renew", "enrol"})])
def test_no_changing_route_is_theirs_and_each_try_is_in_the_log(running, kind, name, role, own):
    who = certify(running, kind, name, role)
    before = everything(running)
    routes = [(path, right) for path, right in changing_routes(running) if right not in own]
    assert len(routes) > 14 and not any(right == "none" for _, right in routes)
    for path, right in routes:
        answer = running.call("POST", path, {}, who=who)
        assert answer.status == (401 if right == "enrol" else 403), (path, answer.status, answer.body)
    assert everything(running) == before
    running.wait_audit(lambda record: acts_of(running.audit(actor=name, decision="denied")) >= len(routes), actor=name,
                       decision="denied")
    denied = running.audit(actor=name, decision="denied")
    assert acts_of(denied) == len(routes)
    assert {record["actor_certificate"]["fingerprint"] for record in denied} == {who.fingerprint}


def test_the_log_has_nothing_that_could_be_changed(running):
    """Nor has an administrator: of the log there is reading, and no method that deletes or replaces; erasing and
    holds leave a trace for ever (docs/audit-retention.md)."""
    paths = running.api("GET", "/v1/openapi.json")["paths"]
    of_the_log = {path: operations for path, operations in paths.items() if path.startswith("/v1/audit")}
    posts = {path for path, operations in of_the_log.items() if set(operations) != {"get"}}
    assert posts == {"/v1/audit/erasures", "/v1/audit/holds", "/v1/audit/holds/{number}/release"}
    assert len(of_the_log) > 8
    size = running.audit()[0]["index"]
    for path in of_the_log:
        methods = ("DELETE", "PUT", "PATCH") if path in posts else ("DELETE", "PUT", "PATCH", "POST")
        path = re.sub(r"\{\w+\}", "0", path).replace("tile/0", "tile/0/000")
        for method in methods:
            answer = running.call(method, path, {})
            assert answer.status == 405, (method, path, answer.status)
    assert running.audit()[-1]["index"] == 0 and running.audit()[0]["index"] >= size
