"""The committed OpenAPI document is one: its references resolve, its parameters are in its paths, nothing is named twice."""
import json
import os
import pathlib
import re

import pytest

SOURCE = pathlib.Path(os.environ.get("TOUCHMARK_SOURCE", pathlib.Path(__file__).parents[2]))
DOCUMENT = json.loads((SOURCE / "tests/golden/api/openapi.json").read_text())
OPERATIONS = [(path, method, operation) for path, methods in DOCUMENT["paths"].items()
              for method, operation in methods.items()]
TYPES = {"string", "integer", "boolean", "array", "object", "null"}


def nodes(at):
    yield at
    for below in (at.values() if isinstance(at, dict) else at if isinstance(at, list) else ()):
        yield from nodes(below)


def test_says_what_it_is():
    assert DOCUMENT["openapi"] == "3.1.0"
    assert DOCUMENT["info"]["title"] and DOCUMENT["info"]["version"]
    assert set(DOCUMENT["components"]["securitySchemes"]) == {"certificate", "token"}


def test_every_reference_resolves():
    references = [node["$ref"] for node in nodes(DOCUMENT) if isinstance(node, dict) and "$ref" in node]
    assert references
    for reference in references:
        place, name = reference.rsplit("/", 1)
        assert place == "#/components/schemas" and name in DOCUMENT["components"]["schemas"]


def test_every_schema_is_used():
    used = {node["$ref"].rsplit("/", 1)[1] for node in nodes(DOCUMENT) if isinstance(node, dict) and "$ref" in node}
    assert used == set(DOCUMENT["components"]["schemas"])


def test_operations_have_names_of_their_own():
    names = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(names) == len(set(names)) and all(re.fullmatch("[a-zA-Z]+", name) for name in names)


@pytest.mark.parametrize("path,method,operation", OPERATIONS, ids=lambda x: x if isinstance(x, str) else "")
def test_operation_is_whole(path, method, operation):
    assert method in ("get", "post") and operation["summary"].endswith(".") or operation["summary"].endswith("?")
    parameters = operation.get("parameters", [])
    in_path = [p["name"] for p in parameters if p["in"] == "path"]
    assert sorted(in_path) == sorted(re.findall(r"\{([a-z_]+)\}", path))
    assert all(p["required"] for p in parameters if p["in"] == "path")
    assert len({(p["in"], p["name"]) for p in parameters}) == len(parameters)
    assert any(200 <= int(status) < 300 for status in operation["responses"] if status != "default")
    assert all(answer["description"] for answer in operation["responses"].values())
    tagged = [name for name, answer in operation["responses"].items() if "ETag" in answer.get("headers", {})]
    assert tagged == (["200", "304"] if ("header", "If-None-Match") in {(p["in"], p["name"]) for p in parameters} else [])
    assert "requestBody" not in operation or method == "post"
    assert bool(operation["security"]) == (operation["x-right"] != "none")


def test_patterns_and_types_are_good():
    for node in nodes(DOCUMENT["components"]["schemas"]):
        if isinstance(node, dict) and isinstance(node.get("type"), str):
            assert node["type"] in TYPES
    for node in nodes(DOCUMENT):
        if isinstance(node, dict) and isinstance(node.get("pattern"), str):
            re.compile(node["pattern"])
