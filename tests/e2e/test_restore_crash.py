"""kill -9 of `restore` at random moments: nothing half-written has a final name, and a second
restore brings everything back."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from e2e.test_crash import s3_environment
from journeys.snapshots import snapshot

HAULIER = str(Path(sys.executable).with_name("haulier"))
ROUNDS = 6
SEED = int(os.environ.get("RESTORE_SEED", "0")) or random.randrange(1, 1 << 32)


class Yard:
    """An archive of a folder, uploaded from `root`."""

    def __init__(self, root: Path, env: dict[str, str]) -> None:
        self.source = root / "media" / "trip"
        self.out = root / "out"
        self.env = {
            **os.environ, "HAULIER_DATA": str(root / "data"),
            "MGMT_LOCAL_DIR": str(root / "media"), **env,
        }  # fmt: skip
        dice = random.Random(7)
        days = self.source / "days"
        days.mkdir(parents=True)
        for number in range(60):
            (days / f"{number:03}.jpg").write_bytes(dice.randbytes(dice.randrange(1, 200_000)))
        (self.source / "long.mp4").write_bytes(dice.randbytes(24 << 20))
        (days / "cover").symlink_to("000.jpg")
        os.link(self.source / "long.mp4", days / "again.mp4")
        (self.source / "notes.txt").write_text("words " * 10_000)
        days.chmod(0o555)
        self.env["NO_COLOR"] = "1"
        done = self.run("upload", "trip", "--no-complete")
        assert done.returncode == 0, done.stderr

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [HAULIER, *args], env=self.env, capture_output=True, text=True, timeout=60
        )

    def restore_and_kill(self, *args: str, within_s: float, dice: random.Random) -> None:
        """Kill a restore at a random moment after it made its first file."""
        process = subprocess.Popen(
            [HAULIER, "restore", "trip.tar.gz", "--out", self.out, *args],
            env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            while process.poll() is None and not (self.out.exists() and os.listdir(self.out)):
                time.sleep(0.002)
            time.sleep(dice.uniform(0, within_s))
        finally:
            process.kill()
            process.wait()

    def seconds_to_restore(self, *args: str) -> float:
        """Restore once and return how long that took from its first file on."""
        process = subprocess.Popen(
            [HAULIER, "restore", "trip.tar.gz", "--out", self.out, *args],
            env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            while process.poll() is None and not (self.out.exists() and os.listdir(self.out)):
                time.sleep(0.002)
            began = time.monotonic()
            assert process.wait(60) == 0
            return time.monotonic() - began
        finally:
            process.kill()
            process.wait()

    def clear(self) -> None:
        subprocess.run(["chmod", "-R", "u+w", self.out], check=True)
        subprocess.run(["rm", "-rf", self.out], check=True)


def visible(directory: Path) -> dict[bytes, object]:
    """Return what lies in `directory` under a final name."""
    return {
        path: what
        for path, what in snapshot(directory).items()
        if not path.split(b"/")[0].startswith(b".haulier-")
    }


def kill_again_and_again(yard: Yard, *args: str, expected: dict[bytes, object]) -> None:
    print(f"RESTORE_SEED={SEED}")
    dice = random.Random(SEED)
    within_s = yard.seconds_to_restore(*args)
    assert snapshot(yard.out) == expected
    for number in range(ROUNDS):
        yard.clear()
        yard.restore_and_kill(*args, within_s=within_s if number else 0.0, dice=dice)
        left = visible(yard.out)
        assert left in ([{}, expected] if number else [{}])  # the first is killed at once
        if not left:
            done = yard.run("restore", "trip.tar.gz", "--out", str(yard.out), *args)
            assert done.returncode == 0, done.stderr
            assert os.listdir(yard.out) == ["trip"]  # the killed run's remains are gone too
        assert visible(yard.out) == expected


def test_a_local_archive(tmp_path):
    yard = Yard(tmp_path, {})
    kill_again_and_again(yard, expected=snapshot(tmp_path / "media"))


def test_one_directory_of_a_local_archive(tmp_path):
    yard = Yard(tmp_path, {})
    member = ["--member", "trip/days"]
    days = snapshot(tmp_path / "media" / "trip" / "days")
    within_s = yard.seconds_to_restore(*member)
    assert snapshot(yard.out / "trip" / "days") == days
    yard.clear()
    yard.restore_and_kill(*member, within_s=within_s / 2, dice=random.Random(SEED))
    done = yard.run("restore", "trip.tar.gz", "--out", str(yard.out), "--overwrite", *member)
    assert done.returncode == 0, done.stderr
    assert snapshot(yard.out / "trip" / "days") == days
    assert os.listdir(yard.out) == ["trip"]


@pytest.mark.servers
def test_an_archive_in_a_bucket(tmp_path, s3_server):
    yard = Yard(tmp_path, s3_environment(s3_server, s3_server.make_bucket()))
    kill_again_and_again(yard, expected=snapshot(tmp_path / "media"))
