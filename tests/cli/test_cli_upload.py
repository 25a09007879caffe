"""upload, resume, retry, watch as a user types them."""

from __future__ import annotations

import os
import signal
import subprocess
import tarfile

import pytest


def wait_for(stream, text):
    """Read lines until one holds `text`; returns what was read."""
    read = ""
    for line in stream:
        read += line.decode()
        if text in read:
            return read
    raise AssertionError(f"{text!r} did not come:\n{read}")


def test_a_file_goes_all_the_way(haulier):
    haulier.make("clip.mp4", b"x" * 100_000)
    printed = haulier("upload", "clip.mp4")
    operation_id, rest = printed.out.split("  ", 1)
    assert len(operation_id) == 36
    assert rest.startswith("clip.mp4  98 KiB -> ")
    assert rest.endswith(f"{haulier.store.as_uri()}/clip.mp4.tar.gz\n")
    assert "clip.mp4  finished" in printed.err
    assert (haulier.media / "completed" / "clip.mp4").is_file()
    with tarfile.open(haulier.store / "clip.mp4.tar.gz") as tar:
        assert tar.getnames() == ["clip.mp4"]


def test_json_is_one_array_and_nothing_else(haulier):
    haulier.make("a.txt")
    printed = haulier("upload", "all", "--json")
    (record,) = haulier.json("history")
    assert printed.err == ""
    assert printed.out.startswith("[")
    assert (record["target_name"], record["status"]) == ("a.txt", "success")
    assert record["command_args"] == ["upload", "all", "--json"]


def test_one_target_fails_and_the_other_goes_on(haulier):
    haulier.make("here.txt")
    missing, here = haulier.json("upload", "gone.txt", "here.txt", code=1)
    assert (missing["status"], here["status"]) == ("failed", "success")
    assert "gone.txt does not exist" in missing["error_message"]


def test_a_failure_names_the_thing_and_the_way_out(haulier):
    printed = haulier("upload", "gone.txt", code=1)
    assert printed.out == ""
    assert f"failed: gone.txt: {haulier.media}/gone.txt does not exist\n" in printed.err
    assert "MGMT_LOCAL_DIR" in printed.err


def test_a_failure_before_any_record_is_a_record_for_each_target(haulier):
    haulier.store.parent.mkdir()
    haulier.store.write_text("a file where the store should be")
    (record,) = haulier.json("upload", "all", code=1)
    assert record["status"] == "failed"
    assert record["operation_type"] == "upload"
    assert record["metadata"]["error"]["code"] == "nothing-selected"
    assert "s3_object_key" in record


@pytest.mark.parametrize(
    "args",
    [
        ["upload", "x", "--to", "discord:1"],
        ["upload", "x", "--limit-rate", "fast"],
        ["upload", "x", "--jobs", "0"],
        ["upload"],
        ["retry"],
        ["verify"],
        ["delete", "x"],
    ],
)
def test_wrong_usage_prints_nothing_on_stdout_for_programs_either(haulier, args):
    printed = haulier(*args, "--json", code=2)
    assert printed.out == ""
    assert printed.err != ""


def test_skipping_is_said_beside_the_json_and_force_uploads_again(haulier):
    haulier.make("one.txt", b"same")
    haulier("upload", "one.txt")
    haulier.make("two.txt", b"same")
    printed = haulier("upload", "two.txt", "--json")
    assert printed.err.startswith("skipped two.txt: equal content is stored as file:///")
    assert (haulier.media / "two.txt").exists()
    (forced,) = haulier.json("upload", "two.txt", "--force")
    assert "skipped" not in forced["metadata"]
    assert not (haulier.media / "two.txt").exists()


def test_options_reach_the_journey(haulier, tmp_path):
    tree = haulier.media / "tree"
    tree.mkdir()
    (tree / "a.txt").write_bytes(b"a" * 5000)
    (tree / "b.log").write_bytes(b"b")
    key = tmp_path / "key"
    key.write_bytes(os.urandom(32))
    (record,) = haulier.json(
        "upload", "tree", "--compression", "zstd", "--exclude", "*.log", "--no-complete",
        "--sha256", "--jobs", "2", "--limit-rate", "10M", "--to", f"file://{tmp_path}/elsewhere",
        "--encrypt", os.path.relpath(key, haulier.here),
    )  # fmt: skip
    assert record["status"] == "success"
    assert record["result_path"] == f"file://{tmp_path}/elsewhere/tree.tar.zst"
    assert record["original_size"] == 5000
    assert record["metadata"]["sha256"].startswith("sha256:")
    assert record["s3_storage_class"] is None
    assert (tree / "a.txt").exists()
    assert not (tmp_path / "elsewhere" / "tree.tar.zst").read_bytes().startswith(b"\x28\xb5")


def test_a_storage_class_is_refused_where_there_is_none(haulier):
    haulier.make("a.txt")
    for to in ("file:///nowhere", "https://files.example/in"):
        printed = haulier("upload", "a.txt", "--to", to, "--storage-class", "GLACIER", code=2)
        assert "has no storage classes" in printed.err
    assert (haulier.media / "a.txt").exists()


def test_the_class_of_the_settings_is_not_recorded_where_there_is_none(haulier):
    haulier.make("a.txt")
    haulier("upload", "a.txt", env={"AWS_S3_STORAGE_CLASS": "STANDARD_IA"})
    (record,) = haulier.json("history")
    assert record["s3_storage_class"] is None


def test_keep_archive_leaves_a_copy(haulier):
    haulier.make("a.txt")
    (record,) = haulier.json("upload", "a.txt", "--keep-archive")
    assert (haulier.media / "a.txt.tar.gz").read_bytes() == (
        haulier.store / "a.txt.tar.gz"
    ).read_bytes()
    assert record["compressed_file_path"] == str(haulier.media / "a.txt.tar.gz")


def test_data_goes_before_the_environment(haulier, tmp_path):
    haulier.make("a.txt")
    haulier("upload", "a.txt", "--data", tmp_path / "other")
    assert (tmp_path / "other" / "store" / "a.txt.tar.gz").is_file()
    assert haulier.json("history") == []
    assert len(haulier.json("history", "--data", str(tmp_path / "other"))) == 1


def test_a_termination_leaves_a_state_that_resume_ends(haulier):
    content = os.urandom(20 << 20)
    haulier.make("big.bin", content)
    process = haulier.start("upload", "big.bin", "--limit-rate", "1M")
    with process:
        read = wait_for(process.stderr, "big.bin  uploading")
        process.terminate()
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == b""
    assert (read + err.decode()).endswith('interrupted; run "haulier resume" to go on\n')
    (record,) = haulier.json("history")
    assert record["status"] == "cancelled"
    assert (haulier.media / "big.bin").read_bytes() == content

    (resumed,) = haulier.json("resume")
    assert resumed["operation_id"] == record["operation_id"]
    assert resumed["status"] == "success"
    assert (haulier.media / "completed" / "big.bin").read_bytes() == content
    assert haulier("resume").err == "nothing was left to do\n"
    assert haulier.json("resume") == []


def test_retry_finishes_a_move_that_failed(haulier):
    haulier.make("a.txt")
    (haulier.media / "completed").write_text("in the way")
    (partial,) = haulier.json("upload", "a.txt", code=1)
    assert partial["status"] == "partial"
    assert haulier("resume").err == (
        "nothing was interrupted; 1 failed: mend that and run `haulier retry --failed`\n"
    )
    printed = haulier("retry", "--failed", code=1)
    assert f"haulier retry {partial['operation_id']}" in printed.err or "partial" in printed.err
    (haulier.media / "completed").unlink()
    (done,) = haulier.json("retry", partial["operation_id"][:8])
    assert done["status"] == "success"
    assert (haulier.media / "completed" / "a.txt").is_file()
    assert haulier.json("retry", "--failed") == []


def test_retry_of_what_is_done_is_a_failure(haulier):
    haulier.make("a.txt")
    (done,) = haulier.json("upload", "a.txt")
    printed = haulier("retry", done["operation_id"], code=1)
    assert "nothing left to do" in printed.err
    (record,) = haulier.json("retry", done["operation_id"], code=1)
    assert record["status"] == "failed"


def test_watch_uploads_what_is_there_and_what_comes(haulier):
    haulier.make("first.txt", b"first")
    process = haulier.start("watch", str(haulier.media), "--settle", "0s")
    with process:
        wait_for(process.stdout, "first.txt")
        haulier.make("second.txt", b"second")
        wait_for(process.stdout, "second.txt")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"watching" in err
    assert sorted(os.listdir(haulier.media / "completed")) == ["first.txt", "second.txt"]


def test_watch_of_nothing_is_an_error(haulier):
    printed = haulier("watch", "/nonexistent", code=1)
    assert "/nonexistent does not exist" in printed.err


def test_a_reader_that_left_is_no_traceback(haulier):
    haulier.make("a.txt")
    read, write = os.pipe()
    os.close(read)
    process = haulier.start("upload", "a.txt", stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    with process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert b"Broken" not in err
    assert b"Traceback" not in err
    assert (haulier.media / "completed" / "a.txt").is_file()
