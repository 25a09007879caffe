"""inspect: rows for people, pipes and programs."""

from __future__ import annotations

import io
import os
import zipfile

import pytest
from PIL import Image
from test_render import on_a_terminal


def png(size=(90, 60)):
    buffer = io.BytesIO()
    Image.new("RGB", size).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def files(haulier):
    """A directory with one of each, and what is left out of it."""
    root = haulier.here / "files"
    (root / "inner").mkdir(parents=True)
    (root / "inner" / "photo.png").write_bytes(png())
    (root / "letter.txt").write_text("hello\n")
    (root / "wrong.mp4").write_bytes(png())
    (root / ".hidden.png").write_bytes(png())
    (root / "movie.mp4.part").write_bytes(png())
    (root / "link.png").symlink_to("inner/photo.png")
    with zipfile.ZipFile(root / "all.zip", "w") as archive:
        archive.writestr("a.txt", "hello")
    return root


def test_a_directory_is_shown_row_by_row(haulier, files):
    printed = haulier("inspect", "files")
    assert printed.rows == [
        ["files/all.zip", "113 B", "archive", "application/zip", "1 entry, 5 B unpacked", ""],
        ["files/inner/photo.png", f"{len(png())} B", "image", "image/png", "90 x 60", ""],
        ["files/letter.txt", "6 B", "text", "text/plain", "", ""],
        ["files/wrong.mp4", f"{len(png())} B", "image", "image/png", "90 x 60",
         "its name says video/mp4, its content is image/png"],
    ]  # fmt: skip
    assert printed.err == ""


def test_a_program_gets_every_field(haulier, files):
    photo, gone = haulier.json("inspect", "files/inner/photo.png", "gone.png", code=1)
    assert {name: photo[name] for name in ("path", "mime_type", "size", "kind", "warnings")} == {
        "path": "files/inner/photo.png", "mime_type": "image/png", "size": len(png()),
        "kind": "image", "warnings": [],
    }  # fmt: skip
    assert (photo["metadata"]["width"], photo["status"]) == (90, "success")
    assert (gone["path"], gone["mime_type"], gone["size"]) == ("gone.png", None, None)
    assert (gone["status"], gone["error_message"]) == (
        "failed",
        "gone.png: No such file or directory",
    )


def test_what_can_not_be_read_costs_no_other_and_the_exit_code(haulier, files):
    (files / "cut.png").write_bytes(png()[:30])
    os.mkfifo(files / "pipe.png")
    printed = haulier("inspect", "files", "gone/", code=1)
    assert len(printed.rows) == 7
    assert "failed: files/cut.png: is damaged" in printed.err
    assert "failed: files/pipe.png: is no regular file\n  Name a file.\n" in printed.err
    assert "failed: gone: No such file or directory\n  Check the spelling" in printed.err


def test_names_can_not_steer_the_terminal(haulier):
    path = os.fsencode(haulier.here) + b"/a\x1b[2J\xe9.png"
    with open(path, "wb") as file:
        file.write(png())
    assert haulier("inspect", ".").rows[0][0] == r"a\x1b[2J\xe9.png"
    (row,) = haulier.json("inspect", ".")
    assert os.fsencode(row["path"]) == b"a\x1b[2J\xe9.png"


def test_nothing_below_is_an_empty_array(haulier):
    (haulier.here / "empty").mkdir()
    assert haulier.json("inspect", "empty") == []
    assert haulier("inspect", "empty").out == ""
    assert "Usage" in haulier("inspect", code=2).err


def drawn_for(haulier, *paths):
    script = f"import sys; sys.argv = {['haulier', 'inspect', *map(str, paths)]!r}\nfrom haulier.cli.main import main\nmain()"
    return on_a_terminal(script, env={"HOME": haulier.env["HOME"]}, columns=120)


def test_a_person_gets_a_table_and_all_of_a_single_file(haulier, files):
    table = drawn_for(haulier, files / "wrong.mp4", files / "letter.txt")
    assert "mime type" in table
    assert "90 x 60" in table
    assert f"warning: {files}/wrong.mp4: its name says video/mp4" in table
    single = drawn_for(haulier, files / "all.zip")
    for line in ("total_size_bytes", "entries 1", "a.txt  file  5"):
        assert line in single


def test_many_files_are_counted_while_they_are_inspected(haulier):
    folder = haulier.here / "many"
    folder.mkdir()
    for number in range(20):
        (folder / f"{number}.png").write_bytes(png())
    drawn = drawn_for(haulier, folder)
    assert "20/20" in drawn
    assert drawn.count("image/png") == 20
