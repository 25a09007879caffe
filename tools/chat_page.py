"""What was said in a chat, drawn as a picture that holds it as text too."""

from __future__ import annotations

import base64
import html
import io
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from PIL import Image
from PIL.PngImagePlugin import PngInfo

TRANSCRIPT = "Transcript"
BOT = "haulier"
_WIDTH_PX = 720
_COLOURS = ("#b5542c", "#3d7d5a", "#7a5ba8", "#2f6f9f", "#8a6d1f")
_MARKS = re.compile(
    r"\[(?P<name>[^\]]+)\]\(<[^>]+>\)|`(?P<code>[^`]+)`|<(?P<link>https?://[^>]+)>|<t:(?P<time>\d+):\w>"
)
_STYLE = """
* { margin: 0; box-sizing: border-box; }
body { background: #26282c; }
main { width: 720px; padding: 6px 22px 20px; background: #26282c; color: #dcdee2;
       font: 14px/1.5 "DejaVu Sans", sans-serif; }
section { padding: 2px 0 4px 50px; position: relative; }
section.first { margin-top: 16px; }
.who b { position: absolute; left: 0; top: 2px; width: 36px; height: 36px; border-radius: 50%;
         color: #fff; font-size: 16px; line-height: 36px; text-align: center; }
.who span { font-weight: bold; color: #fff; }
.who i { margin-left: 7px; padding: 1px 5px; border-radius: 4px; background: #4a5bd0; color: #fff;
         font: bold 10px/1 "DejaVu Sans", sans-serif; vertical-align: 1px; }
p, li { overflow-wrap: anywhere; }
a { color: #6db3f2; }
code { padding: 1px 4px; border-radius: 4px; background: #1b1c1f; font: 12.5px "DejaVu Sans Mono"; }
time { padding: 0 3px; border-radius: 3px; background: #383b41; }
ol { list-style: none; padding: 4px 0 0; }
li { position: relative; padding: 0 0 3px 20px; color: #8d929b; font-size: 12.5px; }
li::before { content: ""; position: absolute; left: 3px; top: 7px; width: 7px; height: 7px;
             border-radius: 50%; background: #5b606a; }
li:not(:last-child)::after { content: ""; position: absolute; left: 6px; top: 14px; bottom: -7px;
                             width: 1px; background: #4a4e57; }
li:last-child { color: #dcdee2; font-size: 14px; }
li:last-child::before { background: #57b57c; top: 8px; }
li.failed::before { background: #d9594c; }
.files { display: flex; gap: 8px; padding-top: 6px; }
figure { width: 204px; }
figure img { width: 204px; height: 115px; border-radius: 8px; display: block; }
figcaption { color: #8d929b; font-size: 10.5px; overflow-wrap: anywhere; padding-top: 2px; }
"""


@dataclass(frozen=True, slots=True)
class Shown:
    """A file that a message holds: its name, and a picture of it as PNG."""

    name: str
    picture: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Said:
    """A message: who says what, how it read before it was edited, and its files."""

    who: str
    text: str
    before: tuple[str, ...] = ()
    files: tuple[Shown, ...] = ()

    def lines(self) -> list[str]:
        """Return the message as text."""
        told = [*self.before, self.text, *(f"[{file.name}]" for file in self.files)]
        return [f"{self.who}: {each}" for each in told if each]


def transcript(said: Sequence[Said]) -> str:
    """Return what was said as text."""
    return "\n".join(line for each in said for line in each.lines())


def drawn(said: Sequence[Said], date: Callable[[int], str]) -> bytes:
    """Return what was said as PNG; `date` returns how a time is shown."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium")
    if program is None:
        raise SystemExit("chromium is not there: `bash tools/system.sh test` installs it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(
            viewport={"width": _WIDTH_PX, "height": 900}, device_scale_factor=1.5
        )
        page.set_content(_page(said, date))
        picture = page.locator("main").screenshot()
        browser.close()
    info = PngInfo()
    info.add_itxt(TRANSCRIPT, transcript(said))
    out = io.BytesIO()
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    image.quantize(256, dither=Image.Dither.NONE).save(out, "PNG", optimize=True, pnginfo=info)
    return out.getvalue()


def _page(said: Sequence[Said], date: Callable[[int], str]) -> str:
    people = list(dict.fromkeys(each.who for each in said))
    sections, last = [], ""
    for each in said:
        colour = _COLOURS[people.index(each.who) % len(_COLOURS)]
        head = "" if each.who == last else _head(each.who, colour)
        kind = "first" if head else ""
        body = _text(each, date) + _files(each.files)
        sections.append(f'<section class="{kind}">{head}{body}</section>')
        last = each.who
    return f"<!doctype html><style>{_STYLE}</style><main>{''.join(sections)}</main>"


def _head(who: str, colour: str) -> str:
    bot = "<i>BOT</i>" if who == BOT else ""
    sign = f'<b style="background:{colour}">{who[0].upper()}</b>'
    return f'<div class="who">{sign}<span>{who}</span>{bot}</div>'


def _text(said: Said, date: Callable[[int], str]) -> str:
    if not said.before:
        return f"<p>{_marked(said.text, date)}</p>" if said.text else ""
    kind = "failed" if said.text.startswith("Failed") else ""
    steps = "".join(f"<li>{_marked(each, date)}</li>" for each in said.before)
    return f'<ol>{steps}<li class="{kind}">{_marked(said.text, date)}</li></ol>'


def _files(files: Sequence[Shown]) -> str:
    figures = [
        f'<figure><img src="data:image/png;base64,{base64.b64encode(file.picture).decode()}">'
        f"<figcaption>{html.escape(file.name)}</figcaption></figure>"
        for file in files
    ]
    return f'<div class="files">{"".join(figures)}</div>' if figures else ""


def _marked(text: str, date: Callable[[int], str]) -> str:
    """Return a text with the marks of Discord as HTML."""
    out, at = "", 0
    for match in _MARKS.finditer(text):
        out += html.escape(text[at : match.start()])
        at = match.end()
        if match["time"]:
            out += f"<time>{date(int(match['time']))}</time>"
        elif match["code"]:
            out += f"<code>{html.escape(match['code'])}</code>"
        else:
            out += f"<a>{html.escape(match['name'] or match['link'])}</a>"
    return (out + html.escape(text[at:])).replace("\n", "<br>")
