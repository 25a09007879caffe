"""Where an upload goes: one's own folder by its path, or another's by its id.

A file in another's folder is theirs, and counts against their quota. The folder is found by its id
once more when the upload is complete: it may have moved meanwhile, and so may the permission.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from haulier.catalog.transaction import Tx
from haulier.core.accounts import Folder, User
from haulier.core.file_names import clean_folder
from haulier.core.grants import Level
from haulier.core.sessions.session import UploadSession
from haulier.errors import FileNotFoundError as NoSuchFolder
from haulier.errors import FilePermissionError
from haulier.files.access import UPLOAD_LINK, UPLOADER, check_upload
from haulier.files.folders import find_folder
from haulier.files.upload_links import folder_of_link

FOLDER_ID = "folder_id"
"""In an upload session's details: the folder in or below which its file will lie."""

_BELOW = "below"


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Whose a file will be, the folder's path with them, and what its session has to know."""

    owner_id: str
    folder: str
    details: Mapping[str, str] = field(default_factory=dict)


def destination_of(
    tx: Tx, user: User, folder: str | None, folder_id: str | None = None
) -> Destination:
    """Return where an upload of `user` goes.

    Args:
        tx: a transaction.
        user: who uploads.
        folder: a path of the user's own, or below the folder named by its id.
        folder_id: of any folder in which the user may write.

    Raises:
        FileNotFoundError: there is no such folder that the user may see.
        FilePermissionError: the user may not write there, or nowhere at all.
        ValidationError: the path can't be.
    """
    check_upload(user)
    path = clean_folder(folder or "")
    if folder_id is None:
        return Destination(owner_id=user.user_id, folder=path)
    around = find_folder(tx, user, folder_id, Level.WRITE)
    return Destination(
        owner_id=around.owner_id,
        folder=_joined(around, path),
        details={FOLDER_ID: folder_id, _BELOW: path, UPLOADER: user.user_id},
    )


def current_folder(tx: Tx, session: UploadSession) -> str:
    """Return the path of the folder in which the file of a session will lie, as it is now.

    Raises:
        FilePermissionError: the folder is gone, or whoever uploads may not write there any more.
    """
    folder_id = session.details.get(FOLDER_ID)
    if folder_id is None:
        return session.folder or ""
    if (link_id := session.details.get(UPLOAD_LINK)) is not None:
        folder = folder_of_link(tx, link_id)
        if folder is None:
            raise FilePermissionError("the link by which it came leads nowhere any more")
        return folder.path
    user = tx.users.get(session.details.get(UPLOADER, ""))
    if user is None or user.disabled:
        raise FilePermissionError("whoever uploads it has no account any more")
    check_upload(user)
    try:
        around = find_folder(tx, user, folder_id, Level.WRITE)
    except NoSuchFolder:
        raise FilePermissionError("its folder is gone") from None
    return _joined(around, session.details.get(_BELOW, ""))


def _joined(around: Folder, path: str) -> str:
    return clean_folder(f"{around.path}/{path}")
