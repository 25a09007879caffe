"""The small pages of links: nothing from elsewhere, good without script, readable on a phone."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from datetime import datetime
from html import escape

from starlette.responses import HTMLResponse

from haulier.core.accounts import StoredFile
from haulier.core.mime import UNKNOWN_TYPE, kind_of
from haulier.core.shares import Share
from haulier.core.units import format_size
from haulier.core.upload_links import UploadLink
from haulier.server.share_style import POLICY, SCRIPTED_POLICY, STYLE

_SEND = "Send files"
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
}


def file_page(
    share: Share, stored: StoredFile, token: str, picture: bytes | None = None
) -> HTMLResponse:
    """Return the page that tells what the link leads to.

    Args:
        share: the link.
        stored: its file.
        token: what is in the link.
        picture: the file's small picture, WebP, if there is one.
    """
    told = [("Size", format_size(stored.size_bytes)), ("Type", stored.mime_type or "unknown")]
    if share.max_downloads is not None:
        told.append(("Downloads left", str(share.max_downloads - share.downloads)))
    if share.expires_at is not None:
        told.append(("Until", _shown(share.expires_at)))
    # The token is ours, of letters, digits, - and _.
    link = f'<a class="main" href="{escape(token)}/download" download>Download</a>'
    lead = _kind(kind_of(stored.mime_type or UNKNOWN_TYPE))
    if picture is not None:
        source = f"data:image/webp;base64,{b64encode(picture).decode()}"
        lead = f'<img class="shown" src="{source}" alt="">'
    return _page(stored.name, f"{_facts(told)}{link}", lead)


def upload_page(link: UploadLink, token: str, *, scripted: bool) -> HTMLResponse:
    """Return the page with a form for files, which tells nothing of the folder.

    Args:
        link: by which they come.
        token: what is in the link.
        scripted: whether the web app's script may send them one by one, and go on after a cut.
    """
    told = []
    if link.max_files is not None:
        told.append(("Files left", str(link.max_files - link.files)))
    if link.max_bytes is not None:
        told.append(("Room left", format_size(link.max_bytes - link.size_bytes)))
    if link.expires_at is not None:
        told.append(("Until", _shown(link.expires_at)))
    body = f"{_facts(told)}{_form(token)}"
    if not scripted:
        return _page(link.title or _SEND, body, _kind("upload"))
    page = _page(
        link.title or _SEND, f'{body}<script src="../send.js" defer></script>', _kind("upload")
    )
    page.headers["Content-Security-Policy"] = SCRIPTED_POLICY
    return page


def arrived_page(
    token: str, names: Sequence[str], *, problem: str | None = None, status: int = 200
) -> HTMLResponse:
    """Return the page that tells which files arrived, and why others did not."""
    items = _facts([("Arrived", name) for name in names])
    said = "" if problem is None else f'<p role="alert">{escape(problem)}</p>'
    again = f'<a class="main" href="../{escape(token)}">Send more</a>'
    lead = _kind("done" if problem is None else "gone")
    return _page(_SEND, f"{items}{said}{again}", lead, status=status)


def _form(token: str) -> str:
    return (
        f'<form method="post" enctype="multipart/form-data" action="{escape(token)}/files" '
        f'data-tus="{escape(token)}/tus/" data-arrived="Arrived" '
        'data-failed="This did not arrive. Choose it again to go on.">'
        '<label for="files">Files</label>'
        '<input id="files" name="files" type="file" multiple required><button>Send</button></form>'
    )


def password_page(*, is_wrong: bool = False) -> HTMLResponse:
    """Return the page that asks for the password, and tells nothing of the file."""
    said = '<p role="alert">That is not the password.</p>' if is_wrong else ""
    form = (
        f'{said}<form method="post"><label for="password">Password</label>'
        '<input id="password" name="password" type="password" required autofocus '
        'autocomplete="off"><button>Open</button></form>'
    )
    return _page("This link has a password", form, _kind("lock"), status=403 if is_wrong else 200)


def dead_page() -> HTMLResponse:
    """Return the one page of every link that leads nowhere."""
    return _page(
        "This link leads nowhere",
        "<p>It may have expired, or it was used up or taken back. "
        "Ask whoever gave it to you for a new one.</p>",
        _kind("gone"),
        status=404,
    )


def _page(title: str, body: str, lead: str, status: int = 200) -> HTMLResponse:
    shown = escape(title)
    return HTMLResponse(
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{shown}</title><style>{STYLE}</style></head>"
        f"<body><main>{lead}<h1>{shown}</h1>{body}</main></body></html>",
        status,
        headers=_HEADERS,
    )


def _kind(name: str) -> str:
    return f'<div class="kind {name}"></div>'


def _facts(told: Sequence[tuple[str, str]]) -> str:
    rows = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in told)
    return f"<dl>{rows}</dl>" if rows else ""


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
