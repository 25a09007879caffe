"""Who may work on a data directory: one at a time, and nobody older than what made it."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import ExitStack

import pytest

from haulier.errors import ConfigurationError, OperationBusy
from haulier.files.data_directory import RESTORING, VERSION, VERSION_FILE, held_directory

HOLD = """
import sys, time
from pathlib import Path
from haulier.files.data_directory import held_directory
with held_directory(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""

MARK = """
import sys
from pathlib import Path
from haulier.files.data_directory import VERSION_FILE, write_version
data = Path(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for _ in range(200):
    write_version(data)
"""


def refuse(data, **how):
    with pytest.raises(OperationBusy, match="works on"), held_directory(data, **how):
        pass


def test_a_new_directory_is_marked_and_private(tmp_path):
    data = tmp_path / "a" / "data"
    with held_directory(data):
        assert (data / VERSION_FILE).read_text() == f"{VERSION}\n"
    assert data.stat().st_mode & 0o077 == 0
    with held_directory(data):
        pass


def test_only_one_at_a_time_unless_all_share(tmp_path):
    with held_directory(tmp_path):
        refuse(tmp_path)
        refuse(tmp_path, shared=True)
    with held_directory(tmp_path, shared=True), held_directory(tmp_path, shared=True):
        refuse(tmp_path)
    with held_directory(tmp_path):
        pass


@pytest.mark.processes
def test_processes_that_begin_together_all_mark_a_new_directory(tmp_path):
    with ExitStack() as stack:
        several = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", MARK, tmp_path],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                )
            )
            for _ in range(4)
        ]  # fmt: skip
        for process in several:
            assert process.stdout.readline() == "ready\n"
        for process in several:
            process.stdin.write("go\n")
            process.stdin.flush()
        assert [process.wait(60) for process in several] == [0] * len(several)
    assert [each.name for each in tmp_path.iterdir()] == [VERSION_FILE]


def test_a_killed_process_leaves_no_lock(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"
        refuse(tmp_path)
        other.send_signal(signal.SIGKILL)
        other.wait()
        with held_directory(tmp_path):
            pass


@pytest.mark.parametrize(
    ("content", "words"), [(f"{VERSION + 1}\n", "upgrade haulier"), ("soon\n", "backup")]
)
def test_what_another_version_made_is_refused(tmp_path, content, words):
    (tmp_path / VERSION_FILE).write_text(content)
    with pytest.raises(ConfigurationError) as refused, held_directory(tmp_path):
        pass
    assert words in refused.value.hint
    assert (tmp_path / VERSION_FILE).read_text() == content


def test_half_a_restore_is_refused(tmp_path):
    (tmp_path / RESTORING).touch()
    with pytest.raises(ConfigurationError, match="did not end"), held_directory(tmp_path):
        pass


def test_a_directory_that_can_t_be_is_told(tmp_path):
    (tmp_path / "file").touch()
    refused = pytest.raises(ConfigurationError, match="can't be used")
    with refused, held_directory(tmp_path / "file"):
        pass
