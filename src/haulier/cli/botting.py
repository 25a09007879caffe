"""bot discord: a bot that brings what people link to into their channel."""

from __future__ import annotations

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


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.add_typer(bots, name="bot")
