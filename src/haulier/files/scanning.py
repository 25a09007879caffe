"""Which files are served, after what a virus scan said of them."""

from __future__ import annotations

from dataclasses import dataclass

from haulier.core.accounts import ScanState, StoredFile
from haulier.errors import FileInfected, ScanInconclusive, ScanPending

_COME_AGAIN_S = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanPolicy:
    """What becomes of files that are not known to be clean; infected ones are never served.

    Args:
        scans: whether there is a scanner; without one nothing waits for it.
        serves_pending: whether files are served before they were scanned.
        serves_errors: whether files are served that could not be scanned, or not wholly.
    """

    scans: bool = False
    serves_pending: bool = True
    serves_errors: bool = True

    def check(self, stored: StoredFile) -> None:
        """Make sure that the file's content may be served, to whomever.

        Raises:
            FileInfected: malware was found in it.
            ScanPending: it was not scanned yet.
            ScanInconclusive: it could not be scanned.
        """
        if stored.scan_state is ScanState.INFECTED:
            raise FileInfected(f"{stored.name} is infected with {stored.scan_detail}")
        if not self.scans:
            return
        if stored.scan_state is ScanState.PENDING and not self.serves_pending:
            raise ScanPending(
                f"{stored.name} has not been scanned yet", retry_after_s=_COME_AGAIN_S
            )
        if stored.scan_state is ScanState.ERROR and not self.serves_errors:
            raise ScanInconclusive(f"{stored.name} could not be scanned: {stored.scan_detail}")
