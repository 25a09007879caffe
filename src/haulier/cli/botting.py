"""bot discord, bot max: bots that bring what people link to, and that keep what they are sent."""

from __future__ import annotations

from typing import Annotated

import typer

from haulier.cli.options import SIZES, DataOption

bots = typer.Typer(help="Bots in chats.", no_args_is_help=True)


@bots.command("discord", epilog=SIZES)
def discord_bot(data: DataOption = None) -> None:
    """Run the bot of Discord until it is told to stop.

    People write `$download URL`, or use the slash command; what the link leads to is fetched, made
    to fit and put into the channel. What was under way when it stops goes on when it is started
    again. Needs DISCORD_TOKEN, and the message content intent for commands without a slash.

    Example: haulier bot discord
    """
    from haulier.cli.output import say
    from haulier.cli.running import run
    from haulier.jobs.chat_bot import run_discord_bot
    from haulier.settings import Settings

    settings = Settings.load(data=data)
    run(
        lambda: run_discord_bot(settings, on_ready=lambda bot: say(f"signed in as {bot.user}")),
        hint="start it again to go on where it stopped",
    )


@bots.command("max", epilog=SIZES)
def max_bot(
    to: Annotated[
        str | None,
        typer.Option(
            metavar="DEST", help="Where files are kept: s3://…, file:///…, https://…, a remote."
        ),
    ] = None,
    webhook: Annotated[
        str | None,
        typer.Option(metavar="URL", help="https://…: MAX sends what happens there; else polled."),
    ] = None,
    host: Annotated[
        str, typer.Option(metavar="HOST", help="Where the webhook's requests are taken.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: a free one.")] = 8080,
    end_webhooks: Annotated[
        bool, typer.Option("--end-webhooks", help="Remove webhooks of earlier, to poll.")
    ] = False,
    data: DataOption = None,
) -> None:
    """Run the bot of MAX until it is told to stop.

    It keeps the photos, videos, sound and files that it is sent, and gives them back: people write
    /list, /find, /get, /link, /delete. Those named in MAX_USERS may use it. What was under way when
    it stops goes on when it is started again. Needs MAX_TOKEN.

    Example: haulier bot max
    """
    from haulier.cli.output import require, say
    from haulier.cli.running import run
    from haulier.jobs.max_bot import Receiving, run_max_bot
    from haulier.settings import Settings

    require(
        webhook is None or not end_webhooks,
        "--webhook makes one and --end-webhooks removes them",
        "Give one of the two.",
    )
    settings = Settings.load(data=data)
    if not settings.bot.max_users:
        say("nobody may use the bot yet: name ids of users in MAX_USERS, or * for everybody")
    receiving = Receiving(webhook=webhook, host=host, port=port, end_webhooks=end_webhooks)
    run(
        lambda: run_max_bot(settings, receiving, to=to, on_ready=say),
        hint="start it again to go on where it stopped",
    )


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.add_typer(bots, name="bot")
