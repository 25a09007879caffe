"""The small pages of share links: no script, nothing from elsewhere, readable on a phone."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from html import escape

from starlette.responses import HTMLResponse

from haulier.core.accounts import StoredFile
from haulier.core.shares import Share
from haulier.core.units import format_size
from haulier.core.upload_links import UploadLink

_STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:32rem;padding:2rem 1rem;"
    "background:#fff;color:#1c1c1c}"
    "h1{font-size:1.25rem;overflow-wrap:anywhere}"
    "dl{display:grid;grid-template-columns:auto 1fr;gap:.25rem 1rem}dt{color:#595959}dd{margin:0}"
    "a,button{display:inline-block;padding:.6rem 1.2rem;border:0;border-radius:.3rem;"
    "background:#0b57d0;color:#fff;font:inherit;text-decoration:none}"
    "input{font:inherit;padding:.5rem;width:100%;box-sizing:border-box;margin:.25rem 0 1rem}"
    "@media(prefers-color-scheme:dark){body{background:#161616;color:#ececec}dt{color:#a8a8a8}"
    "a,button{background:#a8c7fa;color:#062e6f}}"
)
_SEND = "Send files"
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
        f"style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'"
    ),
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
}


def file_page(share: Share, stored: StoredFile, token: str) -> HTMLResponse:
    """Return the page that tells what the link leads to."""
    told = [("Size", format_size(stored.size_bytes)), ("Type", stored.mime_type or "unknown")]
    if share.expires_at is not None:
        told.append(("Until", _shown(share.expires_at)))
    rows = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in told)
    # The token is ours, of letters, digits, - and _.
    link = f'<p><a href="{escape(token)}/download" download>Download</a></p>'
    return _page(stored.name, f"<dl>{rows}</dl>{link}")


def upload_page(link: UploadLink, token: str) -> HTMLResponse:
    """Return the page with a form for files, which tells nothing of the folder."""
    told = []
    if link.max_files is not None:
        told.append(("Files left", str(link.max_files - link.files)))
    if link.max_bytes is not None:
        told.append(("Room left", format_size(link.max_bytes - link.size_bytes)))
    if link.expires_at is not None:
        told.append(("Until", _shown(link.expires_at)))
    rows = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in told)
    return _page(link.title or _SEND, f"<dl>{rows}</dl>{_form(token)}")


def arrived_page(
    token: str, names: Sequence[str], *, problem: str | None = None, status: int = 200
) -> HTMLResponse:
    """Return the page that tells which files arrived, and why others did not."""
    items = "".join(f"<dt>Arrived</dt><dd>{escape(name)}</dd>" for name in names)
    said = "" if problem is None else f'<p role="alert">{escape(problem)}</p>'
    again = f'<p><a href="../{escape(token)}">Send more</a></p>'
    return _page(_SEND, f"<dl>{items}</dl>{said}{again}", status=status)


def _form(token: str) -> str:
    return (
        f'<form method="post" enctype="multipart/form-data" action="{escape(token)}/files">'
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
    return _page("This link has a password", form, status=403 if is_wrong else 200)


def dead_page() -> HTMLResponse:
    """Return the one page of every link that leads nowhere."""
    return _page(
        "This link leads nowhere",
        "<p>It may have expired, or it was used up or taken back. "
        "Ask whoever gave it to you for a new one.</p>",
        status=404,
    )


def _page(title: str, body: str, status: int = 200) -> HTMLResponse:
    shown = escape(title)
    return HTMLResponse(
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{shown}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{shown}</h1>{body}</main></body></html>",
        status,
        headers=_HEADERS,
    )


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
