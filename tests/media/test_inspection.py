"""What is told of files of every kind."""

from __future__ import annotations

import json
import shutil

import image_samples
import pytest
from type_samples import samples  # noqa: F401 - pytest finds fixtures by name

from haulier.core.mime import FileKind, kind_of
from haulier.core.records import OperationStatus
from haulier.errors import TargetMissing
from haulier.media.inspection import inspect_file, inspect_files
from haulier.media.isolation import Workers

# Formats of these kinds that nothing looks into.
SILENT = {
    ".svg", ".dds", ".exr", ".icns", ".jp2", ".jxl", ".ppm", ".psd", ".qoi", ".mid", ".7z", ".rar", ".a", ".deb",
    ".doc", ".xls", ".msg", ".rtf", ".eps", ".epub",
}  # fmt: skip


async def test_every_sample_is_told_of_without_a_failure(samples):  # noqa: F811
    paths = [samples.folder / name for name in samples.of]
    async with Workers() as workers:
        told = {each.path: each async for each in inspect_files(paths, workers=workers)}
    assert list(told) == [str(path) for path in paths]
    failed = {path: each.error_message for path, each in told.items() if each.error_message}
    assert failed == {}
    for path in paths:
        each = told[str(path)]
        assert (each.size, each.warnings) == (path.stat().st_size, ())
        assert each.kind is kind_of(samples.of[path.name]), path.name
        speaks = each.kind not in {FileKind.TEXT, FileKind.UNKNOWN} and path.suffix not in SILENT
        assert bool(each.metadata) == speaks, path.name
        json.dumps(each.to_json())


async def test_each_kind_has_its_own_to_say(samples):  # noqa: F811
    async with Workers(count=1) as workers:

        async def told_of(name):
            return (await inspect_file(samples.folder / name, workers=workers)).to_json()[
                "metadata"
            ]

        video = await told_of("clip.mkv")
        assert (video["container"], video["video"]["width"], video["audio"][0]["codec"]) == (
            "matroska",
            96,
            "aac",
        )
        assert (await told_of("tagged.mp3"))["tags"]["title"] == "A tone"
        image = await told_of("heic.heic")
        assert (image["width"], image["height"], image["has_gps"]) == (96, 64, True)
        assert "mime_type" not in image
        assert (await told_of("letter.odt"))["title"] == "Plan ж"
        archive = await told_of("files.zip")
        assert [entry["name"] for entry in archive["entries"]] == ["a.txt", "b/c.txt"]
        assert await told_of("letter.txt") == {}


async def test_what_is_damaged_is_told_beside_its_type(tmp_path):
    (tmp_path / "cut.jpg").write_bytes(image_samples.jpeg()[:600])
    (tmp_path / "empty.png").touch()
    (tmp_path / "cut.zip").write_bytes(b"PK\x03\x04" + bytes(100))
    async with Workers(count=1) as workers:
        cut = await inspect_file(tmp_path / "cut.jpg", workers=workers)
        assert (cut.mime_type, cut.kind, cut.metadata) == ("image/jpeg", FileKind.IMAGE, {})
        assert (cut.status, cut.size) == (OperationStatus.FAILED, 600)
        assert str(tmp_path) not in cut.error_message
        assert cut.hint
        empty = await inspect_file(tmp_path / "empty.png", workers=workers)
        assert (empty.warnings, empty.status) == (("it is empty",), OperationStatus.SUCCESS)
        damaged = await inspect_file(tmp_path / "cut.zip", workers=workers)
        assert (damaged.mime_type, damaged.status) == ("application/zip", OperationStatus.FAILED)
        with pytest.raises(TargetMissing):
            await inspect_file(tmp_path / "gone", workers=workers)


async def test_one_that_is_missing_costs_no_other(samples, tmp_path):  # noqa: F811
    paths = [tmp_path / "gone", samples.folder / "png.png"] * 10
    async with Workers(count=1) as workers:
        told = [each async for each in inspect_files(paths, workers=workers)]
    assert [each.status for each in told] == ["failed", "success"] * 10
    assert (told[0].mime_type, told[0].size, told[0].kind) == (None, None, "unknown")


async def test_who_stops_listening_leaves_nothing_behind(samples):  # noqa: F811
    paths = [samples.folder / "png.png"] * 50
    async with Workers(count=1) as workers:
        told = inspect_files(paths, workers=workers)
        assert (await anext(told)).mime_type == "image/png"
        await told.aclose()


async def test_libmagic_is_asked_when_nothing_else_knows(tmp_path):
    path = tmp_path / "scene.blend"
    path.write_bytes(b"BLENDER-v300RENDH" + bytes(60))
    async with Workers(count=1) as workers:
        assert (await inspect_file(path, workers=workers)).mime_type == "application/x-blender"


async def test_what_a_wrongly_named_file_holds_is_looked_into(samples, tmp_path):  # noqa: F811
    shutil.copy(samples.folder / "clip.webm", tmp_path / "photo.jpg")
    async with Workers(count=1) as workers:
        told = await inspect_file(tmp_path / "photo.jpg", workers=workers)
    assert told.warnings == ("its name says image/jpeg, its content is video/webm",)
    assert told.metadata["video"].codec == "vp8"
