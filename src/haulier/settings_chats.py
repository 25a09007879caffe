"""The settings of deliveries to chats, and of the bots."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr

from haulier import settings_values as accepted
from haulier.settings_fields import Folder, Group, setting


class ChatSettings(Group):
    """What goes into chats, and how files are made to fit there."""

    upload_batch_size_mb: Annotated[int, Field(ge=1)] = setting(
        20, "UPLOAD_BATCH_SIZE_MB", meaning="up to which messages are filled, in MiB"
    )
    upload_max_files_per_batch: Annotated[int, Field(ge=1, le=10)] = setting(
        10, "UPLOAD_MAX_FILES_PER_BATCH", meaning="how many files a message has at most"
    )
    upload_enable_progress_updates: bool = setting(
        True, "UPLOAD_ENABLE_PROGRESS_UPDATES", meaning="a message tells how far a delivery is"
    )
    upload_cleanup_after_success: bool = setting(
        True, "UPLOAD_CLEANUP_AFTER_SUCCESS", meaning="downloads that were delivered are removed"
    )
    upload_keep_failed_hours: Annotated[int, Field(ge=0)] = setting(
        24, "UPLOAD_KEEP_FAILED_HOURS", meaning="how long downloads stay that were not delivered"
    )
    upload_link_to: Annotated[str, AfterValidator(accepted.sync_target)] | None = setting(
        None,
        "UPLOAD_LINK_TO",
        meaning="where that goes which no message can hold, for people to fetch by a link: "
        "`s3://BUCKET/PREFIX`, or `https://SERVER` with HAULIER_TOKEN",
        shown="the bucket of AWS_S3_BUCKET, else no links",
    )
    upload_link_hours: Annotated[int, Field(ge=1, le=168)] = setting(
        72,
        "UPLOAD_LINK_HOURS",
        meaning="how long these links are good; then what they lead to is removed",
    )
    compression_max_concurrent: Annotated[int, Field(ge=1, le=64)] = setting(
        2, "COMPRESSION_MAX_CONCURRENT", meaning="how many files are made smaller at once"
    )
    compression_ffmpeg_preset: Literal[
        "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower",
        "veryslow",
    ] = setting(
        "medium", "COMPRESSION_FFMPEG_PRESET", meaning="what the preset `balanced` is to x264"
    )  # fmt: skip
    compression_max_upload_size_mb: Annotated[int, Field(ge=1)] = setting(
        50, "COMPRESSION_MAX_UPLOAD_SIZE_MB", meaning="what files are made to fit, in MiB"
    )
    discord_token: SecretStr | None = setting(
        None, "DISCORD_TOKEN", meaning="of the bot of Discord"
    )
    discord_limit_mb: Annotated[int, Field(ge=1)] | None = setting(
        None,
        "DISCORD_LIMIT_MB",
        meaning="the largest file that Discord takes, in MiB",
        shown="what Discord tells of the place, else 20",
    )
    max_token: SecretStr | None = setting(None, "MAX_TOKEN", meaning="of the bot of MAX")
    max_api_url: Annotated[str, accepted.url("http", "https")] | None = setting(
        None,
        "MAX_API_URL",
        meaning="where the API of MAX is",
        shown="`https://platform-api2.max.ru`",
    )
    max_ca_file: Folder | None = setting(
        None,
        "MAX_CA_FILE",
        meaning="certificates (PEM) to trust besides the system's, for the API of MAX alone",
    )


class BotSettings(Group):
    """What a bot fetches for people, and for whom."""

    download_max_mb: Annotated[int, Field(ge=1)] = setting(
        500, "DOWNLOAD_MAX_MB", meaning="what one link may lead to altogether, in MiB"
    )
    download_max_files: Annotated[int, Field(ge=1, le=100)] = setting(
        10, "DOWNLOAD_MAX_FILES", meaning="how many files are taken of a list"
    )
    download_max_minutes: Annotated[int, Field(ge=1)] = setting(
        180, "DOWNLOAD_MAX_MINUTES", meaning="longer videos and sound are left out"
    )
    download_timeout_minutes: Annotated[int, Field(ge=1)] = setting(
        30, "DOWNLOAD_TIMEOUT_MINUTES", meaning="how long fetching may take"
    )
    download_limit_rate: Annotated[str, AfterValidator(accepted.limit)] | None = setting(
        None,
        "DOWNLOAD_LIMIT_RATE",
        meaning="bytes per second of all downloads together: 20M, or 08:00,2M 23:00,off",
    )
    download_cookies_file: Folder | None = setting(
        None,
        "DOWNLOAD_COOKIES_FILE",
        meaning="cookies, in Netscape's format, for sites with a sign-in",
    )
    download_allow: Annotated[str, AfterValidator(accepted.hosts)] = setting(
        "",
        "DOWNLOAD_ALLOW",
        meaning="private hosts and networks, apart by commas, that links may lead to",
    )
    bot_at_once: Annotated[int, Field(ge=1, le=32)] = setting(
        2, "BOT_AT_ONCE", meaning="requests that are worked on at once, one of each person"
    )
    bot_cooldown_seconds: Annotated[int, Field(ge=0)] = setting(
        0, "BOT_COOLDOWN_SECONDS", meaning="between two requests of one person"
    )
    bot_daily_requests: Annotated[int, Field(ge=1)] = setting(
        50, "BOT_DAILY_REQUESTS", meaning="of one person in 24 hours"
    )
    bot_off_peak: Annotated[str, AfterValidator(accepted.hours)] = setting(
        "01:00-07:00", "BOT_OFF_PEAK", meaning="the hours in which requests for later begin"
    )
    discord_guilds: Annotated[str, AfterValidator(accepted.numbers)] = setting(
        "", "DISCORD_GUILDS", meaning="ids of the servers that the bot serves", shown="all"
    )
    discord_channels: Annotated[str, AfterValidator(accepted.numbers)] = setting(
        "", "DISCORD_CHANNELS", meaning="ids of the channels that it serves", shown="all"
    )
    discord_roles: Annotated[str, AfterValidator(accepted.numbers)] = setting(
        "", "DISCORD_ROLES", meaning="ids of roles, one of which who asks needs", shown="nobody"
    )
    discord_priority_roles: Annotated[str, AfterValidator(accepted.numbers)] = setting(
        "", "DISCORD_PRIORITY_ROLES", meaning="ids of roles whose requests go first"
    )
    max_users: Annotated[str, AfterValidator(accepted.numbers_or_all)] = setting(
        "", "MAX_USERS", meaning="ids of those who may use the bot of MAX; `*`: all", shown="nobody"
    )
