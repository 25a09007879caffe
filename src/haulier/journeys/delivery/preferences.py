"""What people like, each in a small file of its own."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from haulier.core.chat_requests import Preferences
from haulier.media.encoders import Preset


class PreferenceBook:
    """Remembers what people like; methods block for one small file.

    Args:
        folder: where the files are; made when something is first saved.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, subject: str) -> Preferences:
        """Return what somebody likes; the defaults of who never said, or whose file is damaged."""
        try:
            told = json.loads(self._path(subject).read_text(encoding="utf-8"))
            return Preferences(
                preset=Preset(told["preset"]).value,
                notify=told["notify"] is True,
                keep_original=told["keep_original"] is True,
            )
        except (OSError, ValueError, KeyError, TypeError):
            return Preferences()

    def save(self, subject: str, preferences: Preferences) -> None:
        """Remember what somebody likes; raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._path(subject)
        new = path.with_suffix(f".{os.getpid()}.new")
        new.write_text(json.dumps(preferences.to_json()), encoding="utf-8")
        new.replace(path)

    def _path(self, subject: str) -> Path:
        return self._folder / f"{hashlib.sha256(subject.encode()).hexdigest()[:32]}.json"
