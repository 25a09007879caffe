"""The files of a form, one after the other as they come in: none is kept anywhere on the way."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass

from fastapi import Request
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from haulier.errors import ValidationError
from haulier.server.bodies import body_of

_MOST_HEADER_BYTES = 8192


@dataclass(frozen=True, slots=True)
class FormFile:
    """A file of a form; its body has to be read before the next file is asked for."""

    name: str
    mime_type: str | None
    body: AsyncGenerator[bytes, None]


async def files_of(request: Request) -> AsyncIterator[FormFile]:
    """Yield the files of a form in which some were chosen; other fields are passed over.

    Raises:
        ValidationError: the body is no form, or ends too early.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise ValidationError("the body is no form with files")
    form = _Form(request, boundary)
    while await form.to_next_part():
        _, told = parse_options_header(form.headers.get("content-disposition"))
        name = told.get(b"filename", b"").decode("utf-8", "replace")
        body = form.body()
        if name:
            yield FormFile(name, form.headers.get("content-type"), body)
        async for _piece in body:
            continue


class _Form:
    def __init__(self, request: Request, boundary: bytes) -> None:
        self.headers: dict[str, str] = {}
        self._pieces = body_of(request)
        self._events: deque[tuple[str, bytes]] = deque()
        self._field = self._value = b""
        try:
            self._parser = MultipartParser(boundary, self._callbacks())  # type: ignore[arg-type]  # its TypedDict wants each name spelled out
        except MultipartParseError as exc:
            raise ValidationError("the form can't be read") from exc

    async def to_next_part(self) -> bool:
        """Read up to the bytes of the next part; False when there is none."""
        self.headers = {}
        while (event := await self._next()) is not None:
            kind, data = event
            if kind == "header":
                name, _, value = data.partition(b":")
                self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")
            if sum(map(len, self.headers.values())) > _MOST_HEADER_BYTES:
                raise ValidationError("a part of the form has too much of a header")
            if kind == "headers":
                return True
        return False

    async def body(self) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of the part."""
        while (event := await self._next()) is not None:
            kind, data = event
            if kind == "end":
                return
            yield data
        raise ValidationError("the form ends too early")

    async def _next(self) -> tuple[str, bytes] | None:
        while not self._events:
            try:
                piece = await anext(self._pieces)
            except StopAsyncIteration:
                return None
            try:
                self._parser.write(bytes(piece))
            except MultipartParseError as exc:
                raise ValidationError("the form can't be read") from exc
        return self._events.popleft()

    def _callbacks(self) -> dict[str, object]:
        def on_field(data: bytes, start: int, end: int) -> None:
            self._field += data[start:end]

        def on_value(data: bytes, start: int, end: int) -> None:
            self._value += data[start:end]

        def on_header() -> None:
            self._events.append(("header", self._field + b":" + self._value))
            self._field = self._value = b""

        def on_data(data: bytes, start: int, end: int) -> None:
            self._events.append(("data", data[start:end]))

        return {
            "on_header_field": on_field,
            "on_header_value": on_value,
            "on_header_end": on_header,
            "on_headers_finished": lambda: self._events.append(("headers", b"")),
            "on_part_data": on_data,
            "on_part_end": lambda: self._events.append(("end", b"")),
        }
