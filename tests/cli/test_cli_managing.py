"""user list, set, disable, as typed."""

from __future__ import annotations

import json
import subprocess

import pytest

from running_server import HAULIER, environment, run

pytestmark = pytest.mark.processes


def attempt(data, *arguments, typed=None):
    return subprocess.run(
        [*HAULIER, *arguments, "--data", data],
        capture_output=True,
        text=True,
        input=typed,
        env=environment(),
        cwd=data,
    )


def listed(data):
    return json.loads(attempt(data, "user", "list", "--json").stdout)


def test_users_are_listed_and_changed(tmp_path):
    run(tmp_path, "user", "add", "ann", "--quota", "1G")
    run(tmp_path, "user", "add", "bob", "--role", "viewer")
    text = attempt(tmp_path, "user", "list")
    assert [line.split()[:2] for line in text.stdout.splitlines()] == [
        ["ann", "user"],
        ["bob", "viewer"],
    ]
    assert (
        attempt(tmp_path, "user", "set", "bob", "--role", "user", "--quota", "2G").returncode == 0
    )
    assert attempt(tmp_path, "user", "set", "ann", "--quota", "none").returncode == 0
    told = [(one["name"], one["role"], one["quota"]) for one in listed(tmp_path)]
    assert told == [("ann", "user", None), ("bob", "user", 2 << 30)]


def test_who_is_disabled_signs_in_no_more_until_enabled(tmp_path):
    run(tmp_path, "user", "add", "ann")
    done = attempt(tmp_path, "user", "disable", "ann")
    assert (done.returncode, "--enable" in done.stderr) == (0, True)
    assert [one["disabled"] for one in listed(tmp_path)] == [True]
    arguments = ("user", "set", "ann", "--enable", "--password-stdin")
    assert attempt(tmp_path, *arguments, typed="correct horse battery\n").returncode == 0
    assert [one["disabled"] for one in listed(tmp_path)] == [False]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("set", "ann"), 2, "nothing is to be changed"),
        (("set", "ann", "--role", "king"), 2, "admin, user or viewer"),
        (("set", "ann", "--quota", "much"), 2, "much"),
        (("set", "nobody", "--role", "user"), 1, "no user nobody"),
        (("disable", "nobody"), 1, "no user nobody"),
    ],
    ids=range(5),
)
def test_what_can_not_be_is_told(tmp_path, arguments, code, words):
    run(tmp_path, "user", "add", "ann")
    done = attempt(tmp_path, "user", *arguments)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
