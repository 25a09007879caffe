"""haulier moves media files and never loses one."""

from haulier._version import __version__

__all__ = ["__version__"]
