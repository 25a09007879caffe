"""Files by one call: what they go as, albums, limits, waiting, and fetching them back."""

import asyncio
import io
import wave
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from haulier import errors
from haulier.core.progress import ProgressBoard, ProgressState
from haulier.max.client import MaxClient
from haulier.max.fetching import disposition_name
from haulier.max.files import FileManager, ready_within_s
from haulier.max.models import Attachment
from haulier.max.preparing import OverLimit, Prepared, Preparer
from haulier.max.upload_types import MaxLimits, UploadType
from haulier.max.uploads import Uploader
from haulier.media.isolation import Workers
from haulier.media.scan import ScanResult, Verdict
from haulier.media.transcribe import Transcript
from haulier.testing.max_server import MaxServer
from haulier.testing.max_state import MaxState

MIB = 1 << 20
MP4 = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom\0\0\0\x08mdat"
PDF = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\n%%EOF\n"
MakeFile = Callable[..., Path]


def picture(width: int = 8, height: int = 8, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.effect_noise((width, height), 80).save(file, kind)
    return file.getvalue()


def sound(seconds: float = 0.5) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 1, 8000, 0, "NONE", ""))
        out.writeframes(bytes([128]) * int(8000 * seconds))
    return file.getvalue()


@pytest.fixture
def put(tmp_path: Path) -> Callable[[str, bytes], Path]:
    def write(name: str, content: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


@pytest.fixture
def files(client: MaxClient) -> FileManager:
    return FileManager(client)


def types_in(state: MaxState) -> list[list[str]]:
    """The types of attachments of each message that was sent, in order."""
    return [
        [one["type"] for one in message["body"]["attachments"]]
        for message in state.messages.values()
    ]


@pytest.mark.parametrize(
    ("name", "content", "type_", "mime_type"),
    [
        ("a.png", picture(), "image", "image/png"),
        ("a.txt", picture(kind="JPEG"), "image", "image/jpeg"),
        ("a.webp", picture(kind="WEBP"), "file", "image/webp"),
        ("a.mp4", MP4, "video", "video/mp4"),
        ("a.wav", sound(), "audio", "audio/wav"),
        ("a.pdf", PDF, "file", "application/pdf"),
        ("a", b"words", "file", "text/plain"),
    ],
)
async def test_a_file_goes_as_what_it_is(
    files: FileManager,
    state: MaxState,
    put: Any,
    name: str,
    content: bytes,
    type_: str,
    mime_type: str,
) -> None:
    sent = await files.send_file(-7, put(name, content), text="look", notify=False)
    assert (sent.name, sent.type, sent.mime_type) == (name, type_, mime_type)
    assert sent.size_bytes == len(content)
    assert sent.checksum is not None
    assert sent.checksum.startswith("crc64nvme:")
    assert sent.message is not None
    assert sent.message.text == "look"
    [attachment] = sent.message.attachments
    assert (attachment.type, attachment.token) == (type_, sent.token)
    assert state.media[sent.token or ""].content == content
    assert state.media[sent.token or ""].name == name


async def test_what_can_be_sent(
    server: MaxServer, files: FileManager, state: MaxState, put: Any, tmp_path: Path
) -> None:
    there = server.put_media("file", PDF)
    link = f"{server.files_url}/get/{there.token}?sig=x"

    async def pieces() -> AsyncIterator[bytes]:
        yield PDF[:10]
        yield PDF[10:]

    for source in (put("a.pdf", PDF), str(put("a.pdf", PDF)), PDF, io.BytesIO(PDF), pieces(), link):
        sent = await files.send_file(1, source, name="letter.pdf")
        assert state.media[sent.token or ""].content == PDF
        assert sent.name == "letter.pdf"
    assert (await files.send_file(1, link)).name == there.token
    with pytest.raises(errors.UsageError, match="int can't be sent"):
        await files.send_file(1, 5)  # type: ignore[arg-type]
    with pytest.raises(errors.AddressRefused):
        await files.send_file(1, "http://127.0.0.2/x")


async def test_nothing_temporary_is_left(client: MaxClient, tmp_path: Path) -> None:
    scratch, states = tmp_path / "scratch", tmp_path / "states"
    scratch.mkdir()
    uploader = Uploader(client, state_folder=states)
    files = FileManager(client, scratch=scratch, uploader=uploader)
    await files.send_file(1, bytes(2 * MIB))
    with pytest.raises(errors.ChatNotFound):
        await files.send_file(404, bytes(2 * MIB))
    assert list(scratch.iterdir()) == []
    assert not states.exists() or list(states.iterdir()) == []


async def test_albums_and_the_lonely(files: FileManager, state: MaxState, put: Any) -> None:
    sources: list[Path] = [put(f"{n}.png", picture()) for n in range(13)]
    sources += [
        put("a.mp4", MP4),
        put("a.wav", sound()),
        put("b.pdf", PDF),
        put("z.png", picture()),
    ]
    sent = await files.send_files(1, sources, text="all of it")
    assert [one.name for one in sent] == [path.name for path in sources]
    assert types_in(state) == [["image"] * 12, ["image", "video"], ["audio"], ["file"], ["image"]]
    texts = [message["body"]["text"] for message in state.messages.values()]
    assert texts == ["all of it", None, None, None, None]
    album = await files.send_album(1, sources[:14])
    assert len({one.message.mid for one in album if one.message}) == 2
    before = len(state.messages)
    with pytest.raises(errors.UsageError, match=r"a\.wav"):
        await files.send_album(1, [sources[0], sources[14]])
    with pytest.raises(errors.UsageError, match="nothing"):
        await files.send_album(1, [])
    assert len(state.messages) == before


async def test_one_that_fails_does_not_stop_the_others(
    files: FileManager, state: MaxState, put: Any, tmp_path: Path
) -> None:
    sources = [put("a.pdf", PDF), tmp_path / "gone.pdf", put("empty", b""), put("b.pdf", PDF)]
    state.faults.answers.append(("POST /messages", 403, b'{"code": "chat.denied", "message": ""}'))
    sent = await files.send_files(1, sources, text="hello")
    kinds = [type(one.error) for one in sent]
    assert kinds == [errors.ChatDenied, errors.TargetMissing, errors.UsageError, type(None)]
    assert sent[3].message is not None
    assert sent[3].message.text == "hello", "the first that was sent has the text"


async def test_waiting_for_readiness_uploads_once_and_sends_once(
    files: FileManager, state: MaxState, put: Any
) -> None:
    state.faults.not_ready = 25
    await files.send_video(1, put("a.mp4", MP4 + bytes(2 * MIB)))
    assert len(state.slots) == 1
    assert len(state.messages) == 1
    assert state.count("POST", "/messages") == 26
    state.faults.not_ready, state.faults.ready_after_s = 0, 0.3
    await files.send_video(1, put("b.mp4", MP4))
    assert len(state.messages) == 2
    assert ready_within_s(4 << 30) > 1000 > ready_within_s(1) >= 60


async def test_what_was_uploaded_and_not_sent_is_not_uploaded_again(
    client: MaxClient, state: MaxState, make_file: MakeFile, tmp_path: Path
) -> None:
    files = FileManager(client, uploader=Uploader(client, state_folder=tmp_path / "states"))
    path = make_file("big.bin", 3 * MIB)
    state.faults.lose_messages = 1
    with pytest.raises(errors.MessageUncertain):
        await files.send_file(1, path)
    await files.send_file(1, path)
    assert len(state.slots) == 1
    await files.send_file(1, path)
    assert len(state.slots) == 2, "what was sent is forgotten"


async def test_convenience_by_type(files: FileManager, state: MaxState, put: Any) -> None:
    await files.send_image(1, put("a.png", picture()))
    await files.send_video(1, put("a.mp4", MP4))
    await files.send_audio(1, put("a.wav", sound()))
    await files.send_document(1, put("b.png", picture()))
    assert types_in(state) == [["image"], ["video"], ["audio"], ["file"]]
    with pytest.raises(errors.UnsupportedMedia, match="application/pdf as image"):
        await files.send_image(1, put("a.pdf", PDF))
    sent = await files.send_image(1, put("a.pdf", PDF), over_limit=OverLimit.AS_FILE)
    assert sent.type is UploadType.FILE


async def test_media_of_a_message_is_replaced(
    files: FileManager, state: MaxState, put: Any
) -> None:
    sent = await files.send_image(1, put("a.png", picture()), text="caption")
    assert sent.message is not None
    state.faults.not_ready = 2
    edited = await files.edit_media(sent.message.mid, put("a.mp4", MP4))
    assert edited.message is not None
    assert [one.type for one in edited.message.attachments] == ["video"]
    assert edited.message.text == "caption"


async def test_progress_of_all_files(client: MaxClient, put: Any, tmp_path: Path) -> None:
    board = ProgressBoard()
    files = FileManager(client, board=board)
    await files.send_files(1, [put("a.pdf", PDF), put("b.pdf", PDF)])
    events = [one for one in board.sample() if one.is_final]
    assert [(one.name, one.state, one.done_bytes) for one in events] == [
        ("a.pdf", ProgressState.FINISHED, len(PDF)),
        ("b.pdf", ProgressState.FINISHED, len(PDF)),
    ]


# --- what MAX has already


class Remembered:
    """A token store by its contract, in memory."""

    def __init__(self) -> None:
        self.tokens: dict[Any, str] = {}

    def key(self, file: Prepared, bot_id: str) -> Any:
        return file.path.read_bytes(), file.type, bot_id

    async def find(self, file: Prepared, *, bot_id: str) -> str | None:
        return self.tokens.get(self.key(file, bot_id))

    async def keep(self, file: Prepared, token: str, *, bot_id: str) -> None:
        self.tokens[self.key(file, bot_id)] = token

    async def drop(self, file: Prepared, *, bot_id: str) -> None:
        del self.tokens[self.key(file, bot_id)]


async def test_what_max_has_is_not_uploaded_again(
    client: MaxClient, state: MaxState, put: Any
) -> None:
    tokens, board = Remembered(), ProgressBoard()
    files = FileManager(client, tokens=tokens, board=board)
    first = await files.send_file(1, put("a.pdf", PDF))
    again = await files.send_file(-7, PDF, name="copy.pdf")
    assert first.token == again.token
    assert len(state.slots) == 1
    assert [one.done_bytes for one in board.sample() if one.is_final] == [len(PDF)] * 2
    assert first.message is not None
    del state.media[first.token or ""]
    fresh = await files.send_file(1, put("a.pdf", PDF))
    assert fresh.token not in {None, first.token}
    assert len(state.slots) == 2
    del state.media[fresh.token or ""]
    edited = await files.edit_media(first.message.mid, put("a.pdf", PDF))
    assert edited.token not in {fresh.token, first.token}
    assert list(tokens.tokens.values()) == [edited.token]


async def test_a_refusal_that_no_upload_mends_is_told_once(
    client: MaxClient, state: MaxState, put: Any
) -> None:
    refusal = ("POST /messages", 400, b'{"code": "proto.payload", "message": "no"}')
    state.faults.answers.append(refusal)
    with pytest.raises(errors.AttachmentRefused):
        await FileManager(client, tokens=Remembered()).send_file(1, put("a.pdf", PDF))
    assert len(state.slots) == 1


# --- limits and scans


@pytest.mark.processes
async def test_above_a_limit_the_policy_decides(client: MaxClient, put: Any) -> None:
    async with Workers(count=1) as workers:
        limits = MaxLimits(image_bytes=60_000, image_side=300, audio_s=1, file_bytes=500_000)
        files = FileManager(client, preparer=Preparer(limits=limits, workers=workers))
        big, wide, long = (
            put("big.png", picture(290, 290, "PNG")), put("wide.jpg", picture(900, 20, "JPEG")),
            put("long.wav", sound(2)),
        )  # fmt: skip
        assert big.stat().st_size > 60_000
        for path, match in ((big, "it has"), (wide, "900 x 20 pixels"), (long, "plays longer")):
            with pytest.raises(errors.DoesNotFit, match=match) as caught:
                await files.send_file(1, path)
            assert "as a file" in caught.value.hint
            assert (await files.send_file(1, path, over_limit=OverLimit.AS_FILE)).type == "file"
        smaller = await files.send_file(1, big, over_limit=OverLimit.COMPRESS)
        assert smaller.type == "image"
        assert (smaller.size_bytes or 0) <= 60_000
        narrow = await files.send_file(1, wide, over_limit=OverLimit.COMPRESS)
        assert narrow.type == "image"
        huge = put("huge.png", picture(900, 900))
        with pytest.raises(errors.DoesNotFit) as caught:
            await files.send_document(1, huge)
        assert "Split" in caught.value.hint


class FakeScanner:
    """A scanner by its contract: says what it was told to."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict

    async def scan_file(self, path: Path) -> ScanResult:
        return ScanResult(
            verdict=self.verdict, signature="Eicar", reason="packed", scanner="fake",
            scanned_bytes=path.stat().st_size, duration_s=0,
        )  # fmt: skip

    async def scan_stream(self, chunks: AsyncIterator[bytes], *, name: str) -> ScanResult:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("verdict", "kind"),
    [
        (Verdict.CLEAN, None),
        (Verdict.INFECTED, errors.FileInfected),
        (Verdict.UNSCANNED, errors.ScanInconclusive),
    ],
)
async def test_a_scan_comes_before_anything_is_sent(
    client: MaxClient, state: MaxState, put: Any, verdict: Verdict, kind: type[Exception] | None
) -> None:
    files = FileManager(client, preparer=Preparer(scanner=FakeScanner(verdict)))
    if kind is None:
        await files.send_file(1, put("a.pdf", PDF))
        return
    with pytest.raises(kind):
        await files.send_file(1, put("a.pdf", PDF))
    assert state.seen == []
    if verdict is Verdict.UNSCANNED:
        lenient = Preparer(scanner=FakeScanner(verdict), allow_unscanned=True)
        await FileManager(client, preparer=lenient).send_file(1, put("a.pdf", PDF))


# --- back again


async def received(server: MaxServer, client: MaxClient, *attachments: dict[str, Any]) -> Any:
    server.receive(1, None, list(attachments))
    page = await client.get_updates(server.state.committed, timeout_s=0)
    return page.updates[-1].message


async def test_received_files_are_saved_under_safe_names(
    server: MaxServer, client: MaxClient, files: FileManager, tmp_path: Path
) -> None:
    file = server.put_media("file", PDF, "../Отчёт 100%25.pdf")
    image = server.put_media("image", picture(kind="WEBP"))
    audio = server.put_media("audio", b"ID3\x04\0\0\0\0\0\0" + bytes(500))
    message = await received(
        server, client, *(server.attachment(one) for one in (file, image, audio))
    )
    saved = [await files.download(one, tmp_path) for one in message.attachments]
    assert saved[0].path == tmp_path / "Отчёт 100%25.pdf"
    assert saved[0].path.read_bytes() == PDF
    assert saved[1].path.name.startswith("image-")
    assert saved[1].path.suffix == ".webp"
    assert saved[2].path.name == f"{audio.id}.mp3"
    nameless = server.attachment(file)
    del nameless["filename"]
    other = await files.download(Attachment.of(nameless), tmp_path, overwrite=True)
    assert other.path.name == "Отчёт 100%25.pdf", "decoded twice, made safe"
    with pytest.raises(errors.DuplicateName):
        await files.download(message.attachments[0], tmp_path)


async def test_a_video_comes_in_the_wanted_rendition(
    server: MaxServer, client: MaxClient, files: FileManager, state: MaxState, tmp_path: Path
) -> None:
    video = server.put_media("video", MP4)
    message = await received(server, client, server.attachment(video))
    saved = await files.download(message.attachments[0], tmp_path, max_height=480)
    assert saved.path.read_bytes() == MP4
    assert saved.path.name == f"{video.id}.mp4"
    assert state.count("GET", "/videos/") == 1


async def test_an_expired_link_is_renewed(
    server: MaxServer, client: MaxClient, files: FileManager, tmp_path: Path
) -> None:
    file = server.put_media("file", PDF, "a.pdf")
    old = Attachment.of(server.attachment(file))
    fresh = server.attachment(file)
    fresh["payload"]["url"] += "2"
    update = server.receive(1, None, [fresh])
    file.expired_links = True
    with pytest.raises(errors.AccessDenied):
        await files.download(old, tmp_path)
    saved = await files.download(old, tmp_path, mid=update["message"]["body"]["mid"])
    assert saved.path.read_bytes() == PDF


async def test_a_file_of_another_size_is_not_kept(
    server: MaxServer, files: FileManager, tmp_path: Path
) -> None:
    told = server.attachment(server.put_media("file", PDF, "a.pdf"), size=5)
    with pytest.raises(errors.VerificationFailed, match="MAX tells of 5"):
        await files.download(Attachment.of(told), tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/x", "https://max.ru.evil.example/x", "file:///etc/passwd"]
)
async def test_only_hosts_of_max_are_asked(
    files: FileManager, state: MaxState, tmp_path: Path, url: str
) -> None:
    told = {"type": "file", "payload": {"url": url, "token": "t"}, "filename": "x", "size": 1}
    with pytest.raises(errors.AddressRefused):
        await files.download(Attachment.of(told), tmp_path)
    with pytest.raises(errors.UsageError):
        await files.download(Attachment.of({"type": "location"}), tmp_path)


async def test_what_is_said_in_sound(
    server: MaxServer, client: MaxClient, files: FileManager
) -> None:
    class Fake:
        async def transcribe(self, path: Path, *, language: str | None = None) -> Transcript:
            return Transcript(
                text=f"{path.stat().st_size} bytes", language="en", segments=(), engine="fake"
            )

    told = server.attachment(server.put_media("audio", sound()), transcription="hello")
    assert await files.transcription(Attachment.of(told)) == "hello"
    told["transcription"] = None
    with pytest.raises(errors.UsageError, match="no transcription"):
        await files.transcription(Attachment.of(told))
    helped = FileManager(client, transcriber=Fake())
    assert await helped.transcription(Attachment.of(told)) == f"{len(sound())} bytes"


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (None, None),
        ("attachment", None),
        ("attachment; filename=12.mp3", "12.mp3"),
        ('attachment; filename="%D0%9E.pdf"; filename*=utf-8\'\'%25D0%259E.pdf', "О.pdf"),
        ("attachment; filename*=UTF-8''%D0%9E.pdf", "О.pdf"),
        ('attachment; filename="..%2F..%2Fetc%2Fpasswd"', "passwd"),
        ('attachment; filename="a\\"b.pdf"', 'a"b.pdf'),
        ('attachment; filename=".."', None),
    ],
)  # fmt: skip
def test_names_in_headers(header: str | None, name: str | None) -> None:
    assert disposition_name(header) == name


async def test_cancelling_a_send_leaves_nothing_under_way(
    files: FileManager, state: MaxState, put: Any
) -> None:
    state.faults.not_ready = 10**9
    sending = asyncio.create_task(files.send_video(1, put("a.mp4", MP4)))
    while not state.count("POST", "/messages"):
        await asyncio.sleep(0.01)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert state.messages == {}
    assert asyncio.all_tasks() >= {asyncio.current_task()}
