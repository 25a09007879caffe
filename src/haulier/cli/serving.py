"""serve, user add, token create: the file server and who may use it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Annotated

import typer

from haulier.cli import managing
from haulier.cli.options import SIZES, DataOption

if TYPE_CHECKING:
    import asyncio
    import socket

    from haulier.core.accounts import User
    from haulier.server.processes import Child
    from haulier.settings import Settings

users = typer.Typer(help="Who may use the server.", no_args_is_help=True)
tokens = typer.Typer(help="Proof of who is asking.", no_args_is_help=True)

_SECONDS_TO_FINISH = 30
_MOST_OPEN_FILES = 1 << 16
_SECONDS_TO_PUT_AWAY = 15
_MOST_MESSAGE_BYTES = 4096  # clients have nothing to say


def serve(
    host: Annotated[str, typer.Option(metavar="HOST", help="The address to listen on.")] = (
        "127.0.0.1"
    ),
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="PORT", help="0 takes a free one.")
    ] = 8000,
    workers: Annotated[
        int,
        typer.Option(
            min=1, max=64, metavar="N", help="Processes; several need REDIS_URL and PostgreSQL."
        ),
    ] = 1,
    data: DataOption = None,
) -> None:
    """Run the file server until it is told to stop.

    It says on one line where it listens when it is ready. Uploads that are under way when it
    stops can be resumed. Of several processes one that dies is started again.

    Example: haulier serve --port 8080
    """
    import asyncio

    from haulier.errors import MissingExtra
    from haulier.settings import Settings

    try:
        import uvloop
    except ModuleNotFoundError as exc:
        raise MissingExtra(
            "the server needs libraries that are not installed",
            hint="Install them with `pip install 'haulier[server]'`.",
        ) from exc
    settings = Settings.load(data=data)
    _take_many_connections()
    if workers > 1:
        _refuse_to_be_several(settings)
    listener = _listen(host, port)
    child = None
    if workers > 1:
        from haulier.server.processes import fork_several

        child = fork_several(
            workers,
            ready=lambda: _say_where(listener),
            patience_s=_SECONDS_TO_FINISH + _SECONDS_TO_PUT_AWAY,
        )
        if child is None:
            return
    with (
        listener,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        suppress(asyncio.CancelledError),
    ):
        runner.run(_serve(settings, listener, child))


async def _serve(settings: Settings, listener: socket.socket, child: Child | None) -> None:
    import asyncio

    import uvicorn

    from haulier.cli.output import say
    from haulier.server.app import create_app
    from haulier.server.logs import configure_logs
    from haulier.server.services import open_services

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if child is None:
                _say_where(listener)
                return
            loop = asyncio.get_running_loop()
            loop.add_reader(child.life, self.end, loop, child.life)
            child.ready()

        def end(self, loop: asyncio.AbstractEventLoop, life: int) -> None:
            loop.remove_reader(life)
            self.should_exit = True

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            # Streams of events have no end of their own, which would be waited for.
            services.events.close()
            await super().shutdown(sockets)

    configure_logs(settings.general.log_level)
    async with AsyncExitStack() as stack:
        with _cancelled_by_sigterm():
            services = await stack.enter_async_context(open_services(settings))
        if not (child and child.number) and not await services.accounts.count():
            say("there are no users yet: make one with `haulier user add NAME --role admin`")
        config = uvicorn.Config(
            create_app(settings, services),
            http="haulier.server.direct:DirectProtocol",
            ws="haulier.server.guarded:GuardedWebSocket",
            ws_max_size=_MOST_MESSAGE_BYTES,
            ws_per_message_deflate=False,  # messages are short, and it keeps 64 KiB a client
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # the application believes TRUSTED_PROXIES alone
            timeout_graceful_shutdown=_SECONDS_TO_FINISH,
        )
        await Server(config).serve(sockets=[listener])


@contextmanager
def _cancelled_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the task while the block runs, which may wait for PostgreSQL."""
    import asyncio
    import signal

    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        # uvicorn passes on the signal that ended it, once everything is put away: that is success.
        signal.signal(signal.SIGTERM, lambda *_: None)


def _take_many_connections() -> None:
    """Let the process open as many files as it may: a user who sends takes a socket and a file."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _say_where(listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    print(f"listening on http://{shown}:{port}", flush=True)


def _refuse_to_be_several(settings: Settings) -> None:
    from haulier.errors import ConfigurationError

    missing = [
        name
        for name, lacks in (
            ("REDIS_URL", settings.general.redis_url is None),
            ("DATABASE_URL=postgresql://…", settings.has_catalog_file),
        )
        if lacks
    ]
    if missing:
        raise ConfigurationError(
            "several processes have to agree on locks, limits and events, and to write at once",
            hint=f"Set {' and '.join(missing)}, or leave --workers out.",
        )


def _listen(host: str, port: int) -> socket.socket:
    import socket

    from haulier.errors import ConfigurationError

    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as exc:
        raise ConfigurationError(
            f"can't listen on {host}:{port}: {exc.strerror}",
            hint="Choose another --host or --port; --port 0 takes a free one.",
        ) from exc
    return listener


@users.command("add", epilog=SIZES)
def add_user(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What signs in.")],
    role: Annotated[str, typer.Option(metavar="ROLE", help="admin, user or viewer.")] = "user",
    password_stdin: Annotated[
        bool,
        typer.Option("--password-stdin", help="Read the password from standard input."),
    ] = False,
    quota: Annotated[
        str | None, typer.Option(metavar="SIZE", help="How much may be kept: 20G.")
    ] = None,
    data: DataOption = None,
) -> None:
    """Make a user.

    Without a password only tokens open the account.

    Example: haulier user add ann --role admin
    """
    from haulier.cli.output import say
    from haulier.cli.running import run
    from haulier.core.accounts import Role
    from haulier.core.units import parse_size
    from haulier.errors import UsageError
    from haulier.files.accounts import Accounts
    from haulier.files.audit import AuditLog, audit_key

    if role not in set(Role):
        raise UsageError(f"{role!r} is no role", hint="Use admin, user or viewer.")
    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else None
    quota_bytes = None if quota is None else parse_size(quota)

    async def work() -> User:
        from haulier.catalog.catalog import Catalog
        from haulier.settings import Settings

        settings = Settings.load(data=data)
        async with await Catalog.open(settings.catalog_url) as catalog:
            user = await Accounts(catalog).add(
                name, Role(role), password=password, quota_bytes=quota_bytes
            )
            audit = AuditLog(catalog, audit_key(settings.general.data))
            told = {"name": name, "role": role}
            await audit.record("user added", object_id=user.user_id, details=told)
            return user

    user = run(work)
    say(f"{user.name} may use the server as {user.role}")


@tokens.command("create", epilog=SIZES)
def create_token(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose token.")],
    ttl: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="How long it is valid: 1h, 7d. Default: 1h; of a device 90d."
        ),
    ] = None,
    service: Annotated[bool, typer.Option("--service", help="For a program.")] = False,
    scope: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SCOPE",
            help="What a program may do: files:read, files:write, admin. May be given again.",
        ),
    ] = None,
    device: Annotated[bool, typer.Option("--device", help="For a device.")] = False,
    data: DataOption = None,
) -> None:
    """Print a token of a user.

    Example: haulier token create ann --ttl 1h
    """
    from haulier.cli.running import run
    from haulier.core.units import parse_duration
    from haulier.errors import UsageError
    from haulier.files.access import Scope
    from haulier.files.accounts import Accounts
    from haulier.files.tokens import TokenKind

    if service and device:
        raise UsageError("a token is for a program or for a device, not for both")
    scopes = frozenset(scope or ())
    if scopes and not service:
        raise UsageError("only tokens for programs have scopes", hint="Add --service.")
    if unknown := scopes - set(Scope):
        raise UsageError(
            f"{min(unknown)!r} is no scope", hint="Use files:read, files:write or admin."
        )
    kind = TokenKind.SERVICE if service else TokenKind.DEVICE if device else TokenKind.ACCESS
    lifetime = parse_duration(ttl or ("90d" if device else "1h"))

    async def work() -> str:
        from haulier.catalog.catalog import Catalog
        from haulier.server.configured import tokens_of
        from haulier.settings import Settings

        settings = Settings.load(data=data)
        async with await Catalog.open(settings.catalog_url) as catalog:
            user = await Accounts(catalog).get(name)
        return tokens_of(settings).issue(user, lifetime, kind=kind, scopes=scopes)

    print(run(work))


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command(epilog=SIZES)(serve)
    managing.register(users)
    app.add_typer(users, name="user")
    app.add_typer(tokens, name="token")
