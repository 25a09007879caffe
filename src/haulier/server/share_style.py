"""How the pages of links look: as the web app does, with its colours, and without its files."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from urllib.parse import quote

from haulier.core.mime import FileKind

_SHEET = "M6 3h8l5 5v13H6zM14 3v5h5"
_STROKES = {
    FileKind.IMAGE: "M4 5h16v14H4zM4 16l4.5-4.5L13 16l3-3 4 4M15.5 9.5v.01",
    FileKind.VIDEO: "M3 6h12v12H3zM15 10.5l6-3.5v10l-6-3.5",
    FileKind.AUDIO: (
        "M9 18V6l10-2v12M9 18a3 3 0 1 1-6 0 3 3 0 0 1 6 0zM19 16a3 3 0 1 1-6 0 3 3 0 0 1 6 0z"
    ),
    FileKind.DOCUMENT: f"{_SHEET}M9 13h7M9 17h5",
    FileKind.TEXT: f"{_SHEET}M9 13h7M9 17h5",
    FileKind.ARCHIVE: "M4 7h16v12a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1zM3 4h18v3H3zM10 11h4",
    FileKind.UNKNOWN: _SHEET,
    "lock": "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3",
    "upload": "M12 20V9M7 13.5L12 8.5l5 5M5 4h14",
    "done": "M5 12.5l4.5 4.5L19 7.5",
    "gone": "M12 8v5M12 16.5v.01M12 3l9.5 17h-19z",
}


def _picture(strokes: str) -> str:
    drawn = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="#000" '
        'stroke-width="1.75" stroke-linecap="round" stroke-linejoin="round">'
        f'<path d="{strokes}"/></svg>'
    )
    return f'url("data:image/svg+xml,{quote(drawn)}")'


STYLE = (
    ":root{color-scheme:light dark;--bg:light-dark(#f5f6f8,#101215);"
    "--surface:light-dark(#fff,#181b20);--line:light-dark(#dfe3ea,#2b3038);"
    "--line-strong:light-dark(#8a93a3,#6b7484);--text:light-dark(#1a1e26,#e9ecf1);"
    "--muted:light-dark(#566071,#a3acba);--accent:light-dark(#2f56d6,#8ea8ff);"
    "--accent-hover:light-dark(#2546b8,#a9bdff);--on-accent:light-dark(#fff,#0b1533);"
    "--accent-soft:light-dark(#e6ecfd,#222d4d);--danger:light-dark(#b42318,#ff9d94)}"
    "*{box-sizing:border-box}"
    "body{display:grid;place-items:center;min-height:100vh;margin:0;padding:1.5rem;"
    "font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans','DejaVu Sans',sans-serif;"
    "background:var(--bg);color:var(--text)}"
    "main{display:flex;flex-direction:column;align-items:center;gap:1rem;width:min(26rem,100%);"
    "padding:2.25rem 2rem 2rem;border:1px solid var(--line);border-radius:18px;"
    "background:var(--surface);box-shadow:0 1px 2px rgb(15 20 35/6%);text-align:center}"
    "h1{max-width:100%;margin:0;font-size:1.25rem;line-height:1.3;overflow-wrap:anywhere}"
    "p{margin:0}"
    ".kind{display:grid;place-items:center;width:76px;height:76px;border-radius:50%;"
    "background:var(--accent-soft)}"
    ".kind::before{content:'';width:38px;height:38px;background:var(--accent)}"
    ".shown{max-width:100%;max-height:15rem;border:1px solid var(--line);border-radius:10px}"
    "dl{display:grid;grid-template-columns:auto 1fr;gap:.35rem 1.5rem;width:100%;margin:0;"
    "text-align:left}dt{color:var(--muted)}"
    "dd{margin:0;text-align:right;overflow-wrap:anywhere}"
    "form{display:flex;flex-direction:column;gap:.8rem;width:100%;text-align:left}"
    "label{display:flex;flex-direction:column;gap:.3rem;font-size:.9rem;font-weight:550}"
    "input{width:100%;min-height:44px;padding:.5rem .7rem;border:1px solid var(--line-strong);"
    "border-radius:7px;font:inherit;color:inherit;background:var(--surface)}"
    "input[type=file]{padding:1.5rem 1rem;border-style:dashed;border-radius:10px}"
    "a.main,button{display:flex;align-items:center;justify-content:center;width:100%;"
    "min-height:44px;padding:.5rem 1.2rem;border:0;border-radius:7px;font:inherit;font-weight:550;"
    "background:var(--accent);color:var(--on-accent);text-decoration:none;cursor:pointer}"
    "a.main:hover,button:hover{background:var(--accent-hover)}"
    ":focus-visible{outline:2px solid var(--accent);outline-offset:2px}"
    "ul{display:flex;flex-direction:column;gap:.8rem;width:100%;margin:0;padding:0;list-style:none}"
    "ul:empty{display:none}li{display:flex;flex-wrap:wrap;justify-content:space-between;"
    "gap:.3rem 1rem;text-align:left}li span{overflow-wrap:anywhere}"
    "li span+span{color:var(--muted)}li .failed{color:var(--danger)}"
    "progress{width:100%;height:6px;accent-color:var(--accent)}"
    "[role=alert]{color:var(--danger)}"
    + "".join(
        f".{name}::before{{mask:{_picture(strokes)} center/contain no-repeat}}"
        for name, strokes in _STROKES.items()
    )
)
POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "img-src data:; "
    f"style-src 'sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}'"
)
SCRIPTED_POLICY = f"{POLICY}; script-src 'self'; connect-src 'self'"
