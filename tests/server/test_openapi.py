"""The OpenAPI page tells the truth: complete by itself, and held against the running server."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from haulier.server.app import create_app
from haulier.settings import Settings

# It can't send bytes of these types by itself.
HOOKS = """
import schemathesis
for kind in ("application/offset+octet-stream", "application/partial-upload"):
    schemathesis.serializer.alias(kind, "application/octet-stream")
"""


@pytest.fixture(scope="module")
def page():
    return create_app(Settings.load()).openapi()


def operations(page):
    return [
        (method, path, one) for path, ones in page["paths"].items() for method, one in ones.items()
    ]


def test_every_operation_tells_its_answers_and_errors_with_examples(page):
    assert page["openapi"].startswith("3.1")
    found = operations(page)
    assert len(found) > 30
    for method, path, operation in found:
        where = f"{method} {path}: what it answers is told in server/openapi.py"
        assert operation["summary"], where
        answers = operation["responses"]
        assert any(status < "400" for status in answers), where
        if "security" in operation:
            assert {"401", "403", "429", "503"} <= set(answers), where
        if "{" in path and "security" in operation:
            assert "404" in answers, where
        for status, answer in answers.items():
            assert answer["description"], where
            for kind, content in answer.get("content", {}).items():
                assert content["schema"], where
                if kind.endswith("json"):
                    assert content["example"], f"{where} {status}"
                # Links are opened by people: theirs are pages.
                if status >= "400" and path not in {"/s/{token}", "/u/{token}"}:
                    assert kind == "application/problem+json", where
                    assert content["schema"]["$ref"].endswith("/Problem"), where
        body = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if body is not None:
            model = page["components"]["schemas"][body["schema"]["$ref"].rsplit("/", 1)[-1]]
            required = [model["properties"][name] for name in model.get("required", [])]
            assert all(one.get("examples") for one in required), where


def test_every_reference_leads_somewhere(page):
    def references(part):
        if isinstance(part, dict):
            yield from ([part["$ref"]] if isinstance(part.get("$ref"), str) else [])
            part = list(part.values())
        for one in part if isinstance(part, list) else []:
            yield from references(one)

    known = page["components"]["schemas"]
    named = {one.removeprefix("#/components/schemas/") for one in references(page)}
    assert named <= set(known)


@pytest.mark.processes
@pytest.mark.timeout(600)
def test_schemathesis_finds_nothing(server, tmp_path):
    program = Path(sys.executable).with_name("schemathesis")
    (tmp_path / "hooks.py").write_text(HOOKS)
    done = subprocess.run(
        [program, "run", f"{server.url}/openapi.json",
         "--header", f"Authorization: {server.headers()['Authorization']}",
         "--phases", "examples,coverage,fuzzing,stateful",
         "--max-examples", "10", "--generation-deterministic", "--request-timeout", "20",
         # What is sound by its form may still be refused: a quota, a name, an offset.
         "--exclude-checks", "positive_data_acceptance",
         # Signing out would make the token void that everything else is asked with, and a
         # stream of events has no end.
         "--exclude-path-regex", "^/(auth/(logout|password)|api/events)"],
        env={**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(tmp_path)},
        cwd=tmp_path, capture_output=True, text=True, timeout=110,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:]
    assert re.search(r"(\d{3,}) generated, \1 passed", done.stdout), done.stdout[-2000:]
