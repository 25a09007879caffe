"""Speech to text: tried on speech that espeak-ng makes, and on files that are none."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
import wave

import pytest

from haulier.errors import (
    ConfigurationError,
    MediaTooDemanding,
    MissingExtra,
    StorageFull,
    TargetMissing,
    TargetUnreadable,
    UnreadableMedia,
    UnsupportedMedia,
    UsageError,
)
from haulier.media import speech_tasks
from haulier.media.isolation import Workers
from haulier.media.speech_tasks import BYTES_PER_S
from haulier.media.transcribe import (
    PocketsphinxTranscriber,
    TranscriptSegment,
    WhisperTranscriber,
    find_transcriber,
)

DIGITS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
PAUSE = "<break time='900ms'/>"


def ffmpeg(*arguments: object) -> None:
    subprocess.run(
        ["ffmpeg", "-nostdin", "-loglevel", "error", "-y", *map(str, arguments)], check=True
    )


@pytest.fixture(scope="session")
def speech(tmp_path_factory):
    """Ten digits, and after a pause a sentence; 22.05 kHz WAV."""
    path = tmp_path_factory.mktemp("speech") / "speech.wav"
    text = f"{' '.join(DIGITS)}. {PAUSE} open the window and close the door"
    subprocess.run(["espeak-ng", "-m", "-v", "en-us", "-s", "140", "-w", path, text], check=True)
    return path


@pytest.fixture(scope="session")
def sound(speech, tmp_path_factory):
    """The same, decoded."""
    out = tmp_path_factory.mktemp("sound") / "sound"
    speech_tasks.decode(path=str(speech), label="speech", out=str(out), max_duration_s=60)
    return out


@pytest.fixture
async def workers():
    async with Workers(count=1) as pool:
        yield pool


@pytest.fixture
def transcriber(workers, tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    yield PocketsphinxTranscriber(workers=workers, scratch=scratch, max_duration_s=30)
    assert list(scratch.iterdir()) == []


def heard(text: str, *words: str) -> int:
    return sum(word in text.split() for word in words)


# --- pocketsphinx


@pytest.mark.parametrize("suffix", [".wav", ".m4a", ".mkv"])
async def test_words_are_recognised_in_any_container(transcriber, speech, tmp_path, suffix):
    path = tmp_path / f"memo{suffix}"
    video = ["-f", "lavfi", "-i", "testsrc=s=64x64:r=5", "-shortest"] if suffix == ".mkv" else []
    ffmpeg("-i", speech, *video, path)
    transcript = await transcriber.transcribe(path, language="en-GB")
    first, second = transcript.segments
    assert heard(first.text, *DIGITS) >= 5
    assert heard(second.text, "open", "window", "close", "door") >= 1
    assert transcript.text == f"{first.text} {second.text}"
    assert (transcript.language, transcript.engine) == ("en", "pocketsphinx")


async def test_segments_tell_when_and_how_surely(transcriber, speech):
    with wave.open(str(speech)) as file:
        duration_s = file.getnframes() / file.getframerate()
    first, second = (await transcriber.transcribe(speech)).segments
    assert 0 <= first.start_s < 0.3
    assert 3 < first.end_s < 5
    # Between them lies the pause, less what the detector leaves on its sides.
    assert second.start_s - first.end_s > 0.4
    assert second.end_s <= duration_s + 0.3
    assert all(0 < (one.confidence or 0) <= 1 for one in (first, second))


async def test_what_holds_no_speech_is_an_empty_transcript(transcriber, tmp_path):
    path = tmp_path / "silence.wav"
    ffmpeg("-f", "lavfi", "-i", "anullsrc=r=8000", "-t", "3", path)
    transcript = await transcriber.transcribe(path)
    assert (transcript.text, transcript.segments) == ("", ())


async def test_other_languages_are_refused(transcriber, speech):
    with pytest.raises(UsageError, match="English only, not 'de'"):
        await transcriber.transcribe(speech, language="de")


def windows(sound, window_s: float) -> list[list]:
    segments, start, size = [], 0, os.path.getsize(sound)
    while start < size:
        found = speech_tasks.recognise(
            sound=str(sound), start_bytes=start, window_bytes=int(window_s * BYTES_PER_S)
        )
        segments.append(found["segments"])
        assert found["next_bytes"] > start
        start = found["next_bytes"]
    return segments


def test_a_long_file_is_taken_in_windows_that_end_in_a_pause(sound):
    cut = windows(sound, 1)
    assert len(cut) > 1
    parts = [one for window in cut for one in window]
    with sound.open("rb") as stream:
        whole = list(speech_tasks._utterances(stream, 1 << 40))
    assert len(parts) == len(whole) == 2
    for (start_s, end_s, *_), (position, utterance) in zip(parts, whole, strict=True):
        assert start_s == pytest.approx(position / BYTES_PER_S, abs=0.3)
        assert end_s == pytest.approx((position + len(utterance)) / BYTES_PER_S, abs=0.3)


def test_speech_without_a_pause_is_cut(sound, tmp_path):
    content = sound.read_bytes()[BYTES_PER_S // 2 : 3 * BYTES_PER_S]
    talk = tmp_path / "talk"
    talk.write_bytes(content * 30)
    with talk.open("rb") as stream:
        parts = list(speech_tasks._utterances(stream, 1 << 40))
    assert len(parts) == 3
    assert all(len(part) <= 31 * BYTES_PER_S for _, part in parts)
    ends = [position + len(part) for position, part in parts]
    assert [position for position, _ in parts[1:]] == ends[:-1]
    assert ends[-1] == pytest.approx(30 * len(content), abs=BYTES_PER_S // 2)


# --- files that can't be transcribed


async def test_a_file_without_sound_is_refused(transcriber, tmp_path):
    path = tmp_path / "mute.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc=s=64x64:r=5", "-t", "1", path)
    with pytest.raises(UnsupportedMedia, match=r"mute\.mp4 has no sound"):
        await transcriber.transcribe(path)


@pytest.mark.parametrize(
    "content",
    [
        b"not a sound at all" * 100,
        b"#EXTM3U\n#EXTINF:1,\nspeech.wav\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile speech.wav\n",
        b"RIFF\xff\xff\xff\x7fWAVEfmt ",
    ],
    ids=["noise", "playlist", "concat", "header"],
)
async def test_what_is_no_sound_opens_no_other_file(transcriber, speech, tmp_path, content):
    (tmp_path / "speech.wav").write_bytes(speech.read_bytes())
    path = tmp_path / "memo.wav"
    path.write_bytes(content)
    with pytest.raises((UnreadableMedia, UnsupportedMedia)) as caught:
        await transcriber.transcribe(path)
    assert "memo.wav" in caught.value.message
    assert str(tmp_path) not in caught.value.message


async def test_what_is_too_long_is_refused(workers, speech):
    with pytest.raises(MediaTooDemanding, match="longer than the 2 s"):
        await PocketsphinxTranscriber(workers=workers, max_duration_s=2).transcribe(speech)


async def test_what_is_no_file_is_refused(transcriber, tmp_path):
    with pytest.raises(TargetMissing):
        await transcriber.transcribe(tmp_path / "missing.wav")
    with pytest.raises(TargetUnreadable):
        await transcriber.transcribe(tmp_path)


async def test_no_place_for_the_sound_is_told(workers, speech, tmp_path):
    transcriber = PocketsphinxTranscriber(workers=workers, scratch=tmp_path / "missing")
    with pytest.raises(StorageFull, match=r"speech\.wav"):
        await transcriber.transcribe(speech)


async def test_a_full_disk_is_told(speech):
    with pytest.raises(StorageFull, match="no space is left"):
        speech_tasks.decode(path=str(speech), label="a", out="/dev/full", max_duration_s=60)


async def test_cancelling_leaves_nothing(transcriber, speech):
    running = asyncio.create_task(transcriber.transcribe(speech))
    while not any(transcriber._scratch.glob("*/sound")):
        await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


# --- Whisper: neither is installed with haulier, so what stands in has their interface alone

FASTER_WHISPER = """
    from types import SimpleNamespace

    class WhisperModel:
        def __init__(self, model, *, local_files_only):
            assert local_files_only
            self.model = model

        def transcribe(self, samples, *, language, vad_filter):
            assert samples.dtype == "float32" and abs(samples).max() <= 1
            seconds = len(samples) / 16000
            said = SimpleNamespace(start=0.5, end=seconds, text=" Hallo ", avg_logprob=-0.5)
            return iter([said]), SimpleNamespace(language=language or "de")
"""
OPENAI_WHISPER = """
    class Model:
        def transcribe(self, samples, *, language):
            assert samples.dtype == "float32" and abs(samples).max() <= 1
            seconds = len(samples) / 16000
            said = {"start": 0.5, "end": seconds, "text": " Hallo ", "avg_logprob": -0.5}
            return {"language": language or "de", "segments": [said], "text": " Hallo "}

    def load_model(path):
        assert path.endswith("tiny.pt")
        return Model()
"""


@pytest.fixture
def library(tmp_path, monkeypatch):
    """Install a module that this process and its workers find."""
    place = tmp_path / "library"
    place.mkdir()
    monkeypatch.syspath_prepend(place)
    monkeypatch.setenv("PYTHONPATH", str(place))

    def install(name: str, code: str) -> None:
        (place / f"{name}.py").write_text(textwrap.dedent(code))

    install.place = place
    return install


@pytest.fixture(params=["faster_whisper", "whisper"])
def whisper_model(request, tmp_path, library):
    library(request.param, FASTER_WHISPER if request.param == "faster_whisper" else OPENAI_WHISPER)
    model = tmp_path / "tiny.pt"
    if request.param == "whisper":
        model.touch()
    else:
        model.mkdir()
    return model


async def test_whisper_gets_the_sound_and_its_words_come_back(whisper_model, workers, speech):
    transcriber = WhisperTranscriber(whisper_model, workers=workers)
    transcript = await transcriber.transcribe(speech)
    (segment,) = transcript.segments
    with wave.open(str(speech)) as file:
        duration_s = file.getnframes() / file.getframerate()
    assert segment == TranscriptSegment(
        start_s=0.5, end_s=pytest.approx(duration_s, abs=0.01), text="Hallo", confidence=0.607
    )
    assert (transcript.text, transcript.language) == ("Hallo", "de")
    assert transcript.engine == ("faster_whisper" if whisper_model.is_dir() else "whisper")
    assert (await transcriber.transcribe(speech, language="PT-br")).language == "pt"


@pytest.mark.parametrize("module", ["faster_whisper", "whisper"])
async def test_a_whisper_that_is_not_installed_is_told(workers, tmp_path, monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    model = tmp_path / "tiny.pt"
    model.touch() if module == "whisper" else model.mkdir()
    with pytest.raises(MissingExtra, match=module) as caught:
        WhisperTranscriber(model, workers=workers)
    assert "pip install" in caught.value.hint


async def test_weights_that_are_not_there_are_told(workers, tmp_path):
    with pytest.raises(ConfigurationError, match=r"no weights tiny\.pt"):
        WhisperTranscriber(tmp_path / "tiny.pt", workers=workers)


# --- which one


def announce(library, name: str, code: str) -> None:
    library(f"plugin_{name}", code)
    info = library.place / f"plugin_{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: plugin-{name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        f"[haulier.transcribers]\n{name} = plugin_{name}:Transcriber\n"
    )


PLUGIN = """
    class Transcriber:
        def __init__(self, *, workers):
            self.workers = workers
"""


async def test_pocketsphinx_is_found_where_nothing_better_is(workers):
    assert isinstance(find_transcriber(workers=workers), PocketsphinxTranscriber)
    assert isinstance(find_transcriber("pocketsphinx", workers=workers), PocketsphinxTranscriber)


async def test_whisper_is_taken_when_its_weights_are_given(workers, whisper_model):
    found = find_transcriber(workers=workers, whisper_model=whisper_model)
    assert isinstance(found, WhisperTranscriber)
    with pytest.raises(ConfigurationError, match="no weights"):
        find_transcriber("whisper", workers=workers)


async def test_a_plug_in_is_found_and_preferred(workers, library):
    announce(library, "cloud", PLUGIN)
    for found in (find_transcriber(workers=workers), find_transcriber("cloud", workers=workers)):
        assert type(found).__module__ == "plugin_cloud"
        assert found.workers is workers
    assert isinstance(find_transcriber("pocketsphinx", workers=workers), PocketsphinxTranscriber)


async def test_a_plug_in_that_breaks_is_told(workers, library):
    announce(library, "broken", "import no_such_module")
    with pytest.raises(ConfigurationError, match="'broken' can't be loaded: No module named"):
        find_transcriber("broken", workers=workers)


async def test_a_name_that_is_none_is_told_with_those_there_are(workers):
    with pytest.raises(ConfigurationError, match="no transcriber 'siri'") as caught:
        find_transcriber("siri", workers=workers)
    assert "pocketsphinx, whisper" in caught.value.hint


async def test_a_missing_pocketsphinx_is_told(workers, monkeypatch):
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    with pytest.raises(MissingExtra, match="pocketsphinx"):
        find_transcriber(workers=workers)
