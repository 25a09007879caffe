"""tus-js-client of npm against the real server, case by case.

Its own specs, which its package does not carry, speak of: uploads with and without
creation-with-upload, whole and in part; metadata in any letters; empty files; chunks and progress;
relative and absolute places; callbacks of requests, answers, chunks, places and success; ids of
requests; errors with request and answer; unknown, finished and interrupted uploads that are resumed
by address or from a storage of fingerprints; the overridden method; locked uploads; sources that
are Buffers, file streams, other streams, too short, or of unknown length; retries, who decides on
them, when they end and when they are counted anew; giving up before, during and between requests;
parallel uploads with boundaries, failures and resumption; termination and its retries; the HTTP
agent; the drafts of resumable HTTP. Each has its case here, with a proxy that fails on cue where a
failure is what it is about. Checksums are added as an application would.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes

SPECS = Path(__file__).parents[1] / "clients" / "tus_specs.mjs"


def cases():
    """Return the names of the cases as the file has them: nothing of npm is needed for that."""
    lines = SPECS.read_text(encoding="utf-8").splitlines()
    return [line.split("'")[1] for line in lines if line.startswith("  async '")]


@pytest.fixture(scope="module")
def outcomes(server):
    """What each case met, by name."""
    assert (SPECS.parent / "node_modules").is_dir(), "`make test-programs` installs the clients"
    done = subprocess.run(
        ["node", SPECS, server.url, server.headers("bob")["Authorization"]],
        capture_output=True,
        text=True,
        timeout=300,
    )
    told = [json.loads(line) for line in done.stdout.splitlines()]
    return {one["name"]: one["met"] for one in told}, done.stderr


@pytest.mark.parametrize("case", cases())
def test_tus_js_client_as_its_specs_want(outcomes, case):
    met, stderr = outcomes
    assert case in met, stderr
    assert met[case] is None, met[case]
