"""Budgets: never more than there is, as much as there is, and a refusal that can be relied on."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulier.core.bitrate import (
    AudioCodec,
    Container,
    Footage,
    VideoCodec,
    is_near,
    next_log_rate,
    overhead_bytes,
    packets_in,
    plan_audio,
    plan_video,
    seen_need,
    transparent_bps,
    video_bps_for,
)
from haulier.errors import DoesNotFit

MIB = 1 << 20

footages = st.builds(
    Footage,
    duration_s=st.floats(0.2, 20_000),
    width=st.integers(16, 8192),
    height=st.integers(16, 8192),
    fps=st.floats(1, 120),
    video_codec=st.sampled_from(["", "h264", "hevc", "mpeg4", "mjpeg"]),
    video_bps=st.none() | st.integers(1_000, 100_000_000),
    channels=st.integers(0, 8),
    audio_bps=st.none() | st.integers(8_000, 1_500_000),
)
choices = st.sampled_from(
    [
        {"video": VideoCodec.H264, "audio": AudioCodec.AAC, "container": Container.MP4},
        {"video": VideoCodec.AV1, "audio": AudioCodec.AAC, "container": Container.MP4},
        {"video": VideoCodec.VP9, "audio": AudioCodec.OPUS, "container": Container.WEBM},
    ]
)


def film(duration_s=60.0, size=(1920, 1080), fps=30.0, **more):
    return Footage(
        duration_s=duration_s, width=size[0], height=size[1], fps=fps, **{"channels": 2, **more}
    )


def planned(plan, footage, target, **how):
    """The plan, and the target it is for: what a refusal offers instead is accepted."""
    try:
        return plan(footage, target, name="clip.mp4", **how), target
    except DoesNotFit as error:
        refusal = error
    assert refusal.smallest_bytes > target
    assert "clip.mp4" in refusal.message
    return plan(footage, refusal.smallest_bytes, name="clip.mp4", **how), refusal.smallest_bytes


@pytest.mark.parametrize(
    ("container", "frames", "packets", "payload_bytes", "measured"),
    [
        # Of files that ffmpeg wrote: their size less that of their packets.
        (Container.MP4, 150, 236, 0, 6814),
        (Container.MP4, 600, 939, 0, 23_274),
        (Container.MP4, 1200, 939, 0, 33_245),
        (Container.MP4, 300, 939, 0, 11_842),
        (Container.MP4, 600, 0, 0, 7877),
        (Container.MP4, 0, 939, 0, 4546),
        (Container.WEBM, 600, 1001, 0, 11_993),
        (Container.WEBM, 1200, 1001, 0, 16_304),
        (Container.WEBM, 0, 1001, 0, 7668),
        (Container.OGG, 0, 251, 40_000, 552),
        (Container.OGG, 0, 1001, 160_000, 1707),
        (Container.MP3, 0, 835, 0, 237),
    ],
)
def test_a_containers_cost_is_near_what_was_measured(
    container, frames, packets, payload_bytes, measured
):
    reckoned = overhead_bytes(
        container, frames=frames, packets=packets, payload_bytes=payload_bytes
    )
    assert -200 < reckoned - measured < 3500


@pytest.mark.parametrize(
    ("footage", "target", "size", "fps"),
    [
        # Plenty: nothing is given up.
        (film(60), 60 * MIB, (1920, 1080), 30),
        (film(60, fps=60), 60 * MIB, (1920, 1080), 60),
        # Fast motion is kept down to 720 lines, then every other frame goes.
        (film(60, fps=60), 25 * MIB, (1280, 720), 60),
        (film(60, fps=60), 12 * MIB, (1280, 720), 30),
        (film(60), 12 * MIB, (1280, 720), 30),
        (film(180), 22 * MIB, (960, 540), 30),
        (film(1200), 20 * MIB, (426, 240), 15),
        # Upright films are measured by their short side.
        (film(60, size=(1080, 1920)), 12 * MIB, (720, 1280), 30),
        # Never larger than the source, even sides.
        (film(10, size=(321, 243)), 20 * MIB, (320, 244), 30),
        # A screen recording that took little keeps its lines.
        (film(180, video_codec="h264", video_bps=1_500_000), 20 * MIB, (1920, 1080), 30),
        # The same rate in a codec that needs less is no sign of simple content.
        (film(60, video_codec="hevc", video_bps=9_000_000), 12 * MIB, (1280, 720), 30),
    ],
)
def test_what_is_given_up(footage, target, size, fps):
    plan = plan_video(footage, target, name="clip.mp4")
    assert ((plan.width, plan.height), plan.fps) == (size, fps)


@pytest.mark.parametrize(
    ("duration_s", "channels", "source_bps", "expected"),
    [
        (60, 2, None, (160_000, 2)),
        (300, 2, None, (64_000, 2)),
        (600, 2, None, (32_000, 1)),
        (60, 1, None, (160_000, 1)),
        (60, 6, None, (160_000, 2)),
        (60, 2, 60_000, (64_000, 2)),
        (60, 0, None, None),
    ],
)
def test_sound_takes_its_share_and_no_more_than_it_had(duration_s, channels, source_bps, expected):
    footage = film(duration_s, channels=channels, audio_bps=source_bps)
    sound = plan_video(footage, 20 * MIB, name="clip.mp4").sound
    assert (sound and (sound.audio_bps, sound.channels)) == expected


@given(footages, st.integers(1_000, 1 << 34), choices)
def test_a_plan_stays_below_the_target_and_near_it(footage, target, choice):
    plan, target = planned(plan_video, footage, target, **choice)
    sound_bps = plan.sound.audio_bps if plan.sound else 0
    packets = packets_in(choice["audio"], footage.duration_s) if plan.sound else 0
    frames = math.ceil(footage.duration_s * plan.fps)
    total = (plan.video_bps + sound_bps) * footage.duration_s / 8 + overhead_bytes(
        choice["container"], frames=frames, packets=packets
    )
    assert 0.97 * target - footage.duration_s <= total <= 0.98 * target
    assert plan.video_bps > 0
    assert min(plan.width, plan.height) <= min(footage.width, footage.height) + 1
    assert plan.width % 2 == plan.height % 2 == 0
    assert plan.fps <= footage.fps


@given(footages, st.integers(100_000, 1 << 32), st.integers(100_000, 1 << 32))
def test_more_bytes_never_give_a_smaller_picture(footage, one, other):
    plans = []
    for target in sorted([one, other]):
        try:
            plan = plan_video(footage, target, name="clip.mp4")
            plans.append(plan.width * plan.height)
        except DoesNotFit:
            plans.append(0)
    assert plans == sorted(plans)


@pytest.mark.parametrize(("is_still", "size"), [(False, (426, 240)), (True, (640, 360))])
def test_pictures_that_stand_still_need_no_more_at_more_frames(is_still, size):
    footage = film(duration_s=8, size=(640, 360), video_bps=600_000)
    looked_at = plan_video(footage, 150_000, name="slides.mp4")
    assert (looked_at.width, looked_at.fps) == (426, 15)
    need = seen_need(looked_at, bits=660_000, frames=120, quantizer=15.45, is_still=is_still)
    plan = plan_video(footage, 150_000, name="slides.mp4", seen=need)
    assert (plan.width, plan.height, plan.fps) == (*size, 30)


def test_a_refusal_tells_what_would_fit_and_how_long_it_may_be():
    with pytest.raises(DoesNotFit, match="lasts 1 h and can't be made smaller") as caught:
        plan_video(film(3600), 20 * MIB, name="clip.mp4")
    assert caught.value.smallest_bytes > 20 * MIB
    assert f"Allow {caught.value.smallest_bytes} bytes, or cut it to " in caught.value.hint


def test_the_second_pass_gets_what_sound_and_container_leave():
    bps = video_bps_for(
        10 * MIB, frames=1800, fps=30, sound_bytes=960_000, packets=2815, container=Container.MP4
    )
    overhead = overhead_bytes(Container.MP4, frames=1800, packets=2815)
    assert bps * 60 / 8 + 960_000 + overhead == pytest.approx(0.975 * 10 * MIB, rel=1e-6)


@given(
    st.integers(200_000, 1 << 32),
    st.floats(0.6, 1.6),
    st.floats(0.98, 1.02),
    st.floats(0, 0.4),
)
def test_one_correction_is_enough_when_the_encoder_errs_alike(target, bias, drift, fixed_share):
    fixed = round(target * fixed_share)
    got = fixed + round((target - fixed) * bias)
    log_rate = next_log_rate([(0.0, got)], target_bytes=target, fixed_bytes=fixed)
    again = fixed + (got - fixed) * math.exp(log_rate) * drift
    assert is_near(round(again), target)


@given(
    st.floats(0.4, 2.5),
    st.floats(-0.3, 0.3),
    st.integers(50_000, 1 << 32),
)
def test_two_corrections_find_how_the_encoder_answers(slope, begin, target):
    def size(log_rate):
        return round(target * math.exp(slope * log_rate))

    tries = [(begin, size(begin))]
    for _ in range(2):
        tries.append((log_rate := next_log_rate(tries, target_bytes=target), size(log_rate)))
    assert is_near(tries[-1][1], target)


@given(st.lists(st.tuples(st.floats(-50, 50), st.integers(1, 1 << 40)), min_size=1, max_size=4))
def test_tries_that_contradict_each_other_still_lead_somewhere(tries):
    log_rate = next_log_rate(tries, target_bytes=1 << 20, fixed_bytes=1000)
    assert math.isfinite(log_rate)


def test_near_is_92_to_100_percent():
    found = [is_near(size, 1000) for size in (919, 920, 1000, 1001)]
    assert found == [False, True, True, False]


@given(
    st.floats(0.2, 40_000),
    st.integers(1, 8),
    st.integers(500, 1 << 33),
    st.sampled_from(
        [
            (AudioCodec.OPUS, Container.OGG),
            (AudioCodec.AAC, Container.MP4),
            (AudioCodec.MP3, Container.MP3),
        ]
    ),
)
def test_sound_stays_below_the_target(duration_s, channels, target, how):
    codec, container = how
    footage = Footage(duration_s=duration_s, channels=channels)
    plan, target = planned(plan_audio, footage, target, codec=codec, container=container)
    payload = plan.audio_bps * duration_s / 8
    total = payload + overhead_bytes(
        container, packets=packets_in(codec, duration_s), payload_bytes=round(payload)
    )
    assert total <= 0.98 * target + 1
    assert plan.channels in {1, min(channels, 2)}
    assert plan.audio_bps <= transparent_bps(codec, plan.channels)


def test_sound_takes_no_more_than_can_be_heard():
    footage = Footage(duration_s=60, channels=2)
    assert plan_audio(footage, 100 * MIB, name="a.wav").audio_bps == 160_000
    mono = Footage(duration_s=60, channels=1)
    assert plan_audio(mono, 100 * MIB, name="a.wav").audio_bps == 96_000
