"""What is tried next, held against encoders that are plain formulas."""

from __future__ import annotations

import math
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from haulier.core.bitrate import Footage, VideoCodec, VideoPlan, is_near
from haulier.media.video_passes import FirstLook, Notes, VideoJob
from haulier.media.video_steering import ByQuality

TARGET = 300_000
FINEST, COARSEST = 4, 51


def slides(seen_bits: int) -> tuple[VideoJob, FirstLook]:
    plan = VideoPlan(width=640, height=360, fps=25, video_bps=200_000, sound=None)
    job = VideoJob(
        program=Path("ffmpeg"), path=Path("slides.mp4"), footage=Footage(duration_s=10), plan=plan,
        target_bytes=TARGET, codec=VideoCodec.H264, speed="medium", options={}, scratch=Path(),
        timeout_s=1,
    )  # fmt: skip
    notes = Notes(quantizer=22, bits=seen_bits, still_share=0.95)
    return job, FirstLook(frames=250, sound=None, sound_bytes=0, packets=0, notes=notes)


@given(
    step=st.floats(0.03, 0.07), seen_bits=st.integers(600_000, 4_000_000), bias=st.floats(0.7, 1.4)
)
def test_a_smooth_encoder_is_made_to_land(step, seen_bits, bias):
    job, seen = slides(seen_bits)
    steering = ByQuality(job, seen, looked_at=job.plan)
    sizes = []
    for _ in range(steering.most_corrections + 1):
        factor = steering.rate.factor
        assert FINEST <= factor <= COARSEST
        sizes.append(round(5000 + seen_bits / 8 * bias * math.exp(step * (22 - factor))))
        if is_near(sizes[-1], TARGET) or (factor == FINEST and sizes[-1] < TARGET):
            return
        steering.learn(sizes[-1])
    raise AssertionError(sizes)


def test_nothing_is_tried_beyond_the_finest():
    job, seen = slides(20_000)
    steering = ByQuality(job, seen, looked_at=job.plan)
    assert steering.rate.factor == FINEST
    assert steering.is_exhausted(10_000)
