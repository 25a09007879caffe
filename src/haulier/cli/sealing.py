"""rotate-keys: the keys that stored files are sealed with."""

from __future__ import annotations

import typer

from haulier.cli.options import SIZES, DataOption


def rotate_keys(data: DataOption = None) -> None:
    """Seal the keys of all stored files with ENCRYPTION_KEY.

    Name the new key there and the one before in ENCRYPTION_OLD_KEYS, restart the server, then run
    this; afterwards the old key is not needed any more. Files stay as they are, so it takes a
    moment however large they are, and the server may run.

    Example: haulier rotate-keys
    """
    from haulier.cli.output import say
    from haulier.cli.running import run
    from haulier.errors import ConfigurationError
    from haulier.server.configured import key_ring_of
    from haulier.settings import Settings
    from haulier.transfer.sessions.sealed_stage import rewrap

    settings = Settings.load(data=data)
    keys = key_ring_of(settings)
    if keys is None:
        raise ConfigurationError(
            "there is no key to seal with", hint="Name the new key by ENCRYPTION_KEY."
        )

    async def work() -> int:
        from haulier.catalog.catalog import Catalog

        async with await Catalog.open(settings.catalog_url) as catalog:
            return await rewrap(catalog, keys)

    count = run(work)
    say(f"{count} keys of files were sealed anew; all are under the key {keys.current} now")


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command("rotate-keys", epilog=SIZES)(rotate_keys)
