"""How a command ends: signals, errors, exit codes. In processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

HEAD = """
import asyncio, sys
from haulier import errors
from haulier.cli.running import exit_code_of, run
def main(work, **options):
    try:
        print(run(work, **options))
    except Exception as error:
        sys.exit(exit_code_of(error))
"""

STUBBORN = """
async def work():
    print("ready", flush=True)
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            print("not yet", flush=True)
main(work)
"""

PATIENT = """
async def work():
    try:
        print("ready", flush=True)
        await asyncio.sleep(60)
    finally:
        await asyncio.sleep(0.01)
        print("put away", flush=True)
main(work, hint="go on like this")
"""


def start(script, **options):
    return subprocess.Popen(
        [sys.executable, "-c", HEAD + script],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
    )  # fmt: skip


def run_script(script, **env):
    process = start(script, env={**os.environ, **env})
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_waits_for_the_clean_up(number):
    with start(PATIENT) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "put away\n")
    assert err == "stopping; once more ends it at once\ninterrupted; go on like this\n"


def test_the_second_signal_ends_at_once():
    with start(STUBBORN) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "not yet\n"
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")


def test_a_signal_that_is_ignored_stays_ignored():
    script = f"""
import os, signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
async def work():
    os.kill(os.getpid(), signal.SIGINT)
    await asyncio.sleep(0.01)
    return signal.getsignal(signal.{signal.SIGINT.name}) is signal.SIG_IGN
main(work)
"""
    assert run_script(script) == (0, "True\n", "")


@pytest.mark.parametrize(
    ("raised", "code", "told"),
    [
        (
            "errors.TargetMissing('a\\nb is gone')",
            1,
            "error: a\\nb is gone\n  Check the spelling",
        ),
        ("errors.UsageError('no', hint='yes')", 2, "error: no\n  yes\n"),
        ("errors.StoreError('no', hint='')", 1, "error: no\n"),
        ("errors.CatalogError('old')", 2, "haulier db upgrade"),
        ("BrokenPipeError()", 1, ""),
        ("KeyError('x')", 1, "error: KeyError: 'x'\n  This is a bug in haulier. Set HAULIER_DEBUG"),
    ],
)
def test_errors_become_a_message_and_an_exit_code(raised, code, told):
    ended, out, err = run_script(f"async def work(): raise {raised}\nmain(work)")
    assert (ended, out) == (code, "")
    assert told in err
    assert "Traceback" not in err


def test_debugging_shows_where():
    _, _, err = run_script("async def work(): raise KeyError('x')\nmain(work)", HAULIER_DEBUG="1")
    assert "Traceback" in err
