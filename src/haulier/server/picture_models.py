"""What is answered about pictures and waveforms beside the pictures themselves."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class PictureUnderWay(BaseModel):
    """It is being made; ask again in a second, or ask for the job."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {"status": "pending", "job_id": "01k9fj2q7vdm3c8x5t0h4n6bwz"}
        },
    )

    status: Literal["pending"]
    job_id: str


class FileWaveform(BaseModel):
    """Levels at evenly spaced points over all channels, full scale from -1 to 1.

    About each point the lowest sample, the highest, and the root of the mean square.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {"duration_s": 61.5, "lows": [-0.4], "highs": [0.5], "means": [0.1]}
        },
    )

    duration_s: float
    lows: list[float]
    highs: list[float]
    means: list[float]
