"""A process that ended is known by its name, and nobody else is taken for it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from haulier.jobs.processes import has_ended, this_process

_TELL = (
    "from haulier.jobs.processes import this_process; print(this_process(), flush=True); input()"
)


@pytest.fixture
def other():
    process = subprocess.Popen(
        [sys.executable, "-c", _TELL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    yield process
    process.kill()
    process.communicate()


def test_one_that_lives_has_not_ended():
    assert not has_ended(this_process())


@pytest.mark.processes
def test_one_that_was_killed_has_ended_while_its_parent_has_not_heard(other):
    name = other.stdout.readline().strip()
    assert name != this_process()
    assert not has_ended(name)
    other.kill()
    # Wait for its end without taking note of it: it stays a zombie.
    subprocess.run(
        [
            sys.executable,
            "-c",
            f"import os,select\nselect.select([os.pidfd_open({other.pid})],[],[])",
        ],
        check=True,
    )
    assert has_ended(name)
    other.wait()
    assert has_ended(name)


def test_another_process_that_was_given_its_number_is_not_it():
    machine, namespace, pid, began = this_process().split("/")
    assert has_ended(f"{machine}/{namespace}/{pid}/{int(began) - 1}")


@pytest.mark.parametrize("part", [0, 1], ids=["machine", "namespace"])
def test_of_another_machine_nothing_is_known(part):
    name = this_process().split("/")
    name[part] = "1" + name[part]
    name[3] = "1"
    assert not has_ended("/".join(name))


@pytest.fixture
def listed(tmp_path):
    """A list of processes that can be written to, and how names of processes in it begin."""
    (tmp_path / "sys/kernel/random").mkdir(parents=True)
    (tmp_path / "sys/kernel/random/boot_id").write_text("b\n")
    (tmp_path / "self/ns").mkdir(parents=True)
    (tmp_path / "self/ns/pid").touch()
    return tmp_path, f"b/{(tmp_path / 'self/ns/pid').stat().st_ino}"


def test_a_name_with_brackets_and_spaces_is_read(listed):
    """The program of a process may be called anything; proc(5)."""
    proc, here = listed
    (proc / "7").mkdir()
    fields = " ".join(str(number) for number in range(4, 30))
    (proc / "7/stat").write_text(f"7 (a) Z (b) S {fields}\n")
    assert not has_ended(f"{here}/7/22", proc)
    assert has_ended(f"{here}/7/23", proc)


def test_one_that_is_hidden_has_not_ended(listed):
    proc, here = listed
    assert not has_ended(f"{here}/{os.getpid()}/1", proc)


def test_without_a_list_of_processes_none_has_a_name(tmp_path):
    assert this_process(tmp_path) is None
    assert not has_ended("b/1/1/1", tmp_path)
