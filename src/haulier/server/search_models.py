"""What files are searched for by over HTTP, and what is found."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from haulier.core.accounts import ScanState
from haulier.core.file_names import clean_folder
from haulier.core.file_search import FileSearch, FileSort
from haulier.core.mime import FileKind
from haulier.server.models import FileList

_LARGEST_SIZE = 2**63 - 1


def _in_utc(given: object) -> datetime:
    # pydantic alone would take numbers as well.
    try:
        moment = datetime.fromisoformat(str(given))
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(
            "a time is written as 2026-03-01T12:00:00Z, a date as 2026-03-01"
        ) from None


Moment = Annotated[datetime, BeforeValidator(_in_utc)]
Size = Annotated[int, Field(ge=0, le=_LARGEST_SIZE)]
Text = Annotated[str, Field(min_length=1, max_length=255)]
Tag = Annotated[str, Field(min_length=1, max_length=511)]


class FileSearchQuery(BaseModel):
    """What is searched for: files that meet all of it, and of a field with several values any.

    A date alone is its first moment in UTC. Results come by `sort`: in the order in which the files
    came (`created`), or by another property, descending but for names.
    """

    model_config = ConfigDict(extra="forbid")

    q: str = Field("", max_length=1000, description='words, "a phrase", begin*, -not')
    kind: list[FileKind] = Field([], max_length=10)
    mime_type: list[Text] = Field([], max_length=20, description="such as image/png, or image/*")
    min_size: Size | None = Field(None, description="bytes")
    max_size: Size | None = Field(None, description="bytes")
    created_after: Moment | None = Field(None, description="then or later")
    created_before: Moment | None = None
    modified_after: Moment | None = Field(None, description="then or later")
    modified_before: Moment | None = None
    tag: list[Tag] = Field([], max_length=20, description="key, or key=value; all of them")
    folder: str | None = Field(None, max_length=1024, description="empty: the top")
    subfolders: bool = Field(True, description="also what lies deeper in the folder")
    owner: list[Text] | None = Field(None, max_length=50, description="names or ids of users")
    scan_state: list[ScanState] = Field([], max_length=5)
    in_trash: bool = Field(False, description="search in the trash, and not outside")
    sort: FileSort = FileSort.CREATED
    order: Literal["asc", "desc"] | None = None
    cursor: str | None = Field(None, max_length=2000)
    limit: int = Field(100, ge=1, le=1000)

    @property
    def is_descending(self) -> bool:
        """Whether the largest comes first."""
        return (self.order or ("asc" if self.sort is FileSort.NAME else "desc")) == "desc"

    def search(self, owner_ids: tuple[str, ...] | None) -> FileSearch:
        """Return what is searched for, of these owners.

        Raises:
            ValidationError: the folder can't be.
        """
        return FileSearch(
            text=self.q,
            kinds=tuple(self.kind),
            mime_types=tuple(self.mime_type),
            least_bytes=self.min_size,
            most_bytes=self.max_size,
            created_from=self.created_after,
            created_to=self.created_before,
            modified_from=self.modified_after,
            modified_to=self.modified_before,
            tags=tuple(_tag(one) for one in self.tag),
            folder=None if self.folder is None else clean_folder(self.folder),
            deeper=self.subfolders,
            owner_ids=owner_ids,
            scan_states=tuple(self.scan_state),
            in_trash=self.in_trash,
        )


class FileSearchResult(FileList):
    """A page of what was found; `total` comes with the first, above 10,000 it is an estimate."""

    total: int | None = None
    total_is_estimate: bool = False


def _tag(given: str) -> tuple[str, str | None]:
    key, equals, value = given.partition("=")
    return key, value if equals else None
