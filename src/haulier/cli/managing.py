"""user list, user set, user disable: who may use the server, looked at and changed."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from haulier.cli.options import SIZES, DataOption, JsonOption

if TYPE_CHECKING:
    from pathlib import Path

    from haulier.core.accounts import User
    from haulier.files.accounts import Accounts

_AT_ONCE = 1000
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="What signs in.")]


def list_users(as_json: JsonOption = False, data: DataOption = None) -> None:
    """List the users, oldest first.

    Example: haulier user list
    """
    from haulier.cli.output import print_json, printable
    from haulier.core.units import format_size

    async def work(accounts: Accounts) -> list[User]:
        found: list[User] = []
        while some := await accounts.list(found[-1].user_id if found else None, _AT_ONCE):
            found += some
        return found

    users = _with_accounts(data, work)
    if as_json:
        print_json([_told(user) for user in users])
        return
    for user in users:
        quota = "" if user.quota_bytes is None else f" of {format_size(user.quota_bytes)}"
        state = ", disabled" if user.disabled else ""
        print(f"{printable(user.name)}  {user.role}  {format_size(user.used_bytes)}{quota}{state}")


def set_user(
    name: NameArgument,
    role: Annotated[str | None, typer.Option(metavar="ROLE", help="admin, user or viewer.")] = None,
    quota: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="How much may be kept: 20G; none for no limit."),
    ] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read a new password from standard input.")
    ] = False,
    enable: Annotated[bool, typer.Option("--enable", help="Undo `user disable`.")] = False,
    data: DataOption = None,
) -> None:
    """Change a user; a new password makes the user's tokens void.

    Example: haulier user set ann --quota 50G
    """
    from haulier.cli.output import say
    from haulier.core.accounts import Role
    from haulier.core.units import parse_size
    from haulier.errors import UsageError

    if role is not None and role not in set(Role):
        raise UsageError(f"{role!r} is no role", hint="Use admin, user or viewer.")
    changes: dict[str, Any] = {}
    if role is not None:
        changes["role"] = Role(role)
    if quota is not None:
        changes["quota_bytes"] = None if quota == "none" else parse_size(quota)
    if enable:
        changes["disabled"] = False
    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else None
    if not changes and password is None:
        raise UsageError("nothing is to be changed", hint="See `haulier user set --help`.")

    async def work(accounts: Accounts) -> User:
        return await accounts.change(await accounts.get(name), password=password, **changes)

    told = [*changes, *(["password"] if password is not None else [])]
    user = _with_accounts(data, work, "user changed", changed=told)
    state = "is disabled" if user.disabled else f"may use the server as {user.role}"
    say(f"{user.name} {state}")


def disable_user(name: NameArgument, data: DataOption = None) -> None:
    """Accept nothing of a user any more; their files stay.

    Example: haulier user disable ann
    """
    from haulier.cli.output import say

    async def work(accounts: Accounts) -> User:
        return await accounts.disable(await accounts.get(name))

    user = _with_accounts(data, work, "user disabled")
    say(f"{user.name} is disabled; `haulier user set {user.name} --enable` undoes it")


def register(users: typer.Typer) -> None:
    """Add the commands to `haulier user`."""
    users.command("list", epilog=SIZES)(list_users)
    users.command("set", epilog=SIZES)(set_user)
    users.command("disable", epilog=SIZES)(disable_user)


def _with_accounts(
    data: Path | None,
    work: Callable[[Accounts], Awaitable[Any]],
    action: str | None = None,
    **details: Any,
) -> Any:
    """Do `work` on the accounts, and record it in the audit log as `action`."""
    from haulier.cli.running import run

    async def done() -> Any:
        from haulier.catalog.catalog import Catalog
        from haulier.files.accounts import Accounts
        from haulier.files.audit import AuditLog, audit_key
        from haulier.settings import Settings

        settings = Settings.load(data=data)
        async with await Catalog.open(settings.catalog_url) as catalog:
            found = await work(Accounts(catalog))
            if action is not None:
                audit = AuditLog(catalog, audit_key(settings.general.data))
                told = {"name": found.name, **details}
                await audit.record(action, object_id=found.user_id, details=told)
            return found

    return run(done)


def _told(user: User) -> dict[str, Any]:
    from haulier.core.records import format_time

    return {
        "id": user.user_id,
        "name": user.name,
        "role": user.role,
        "disabled": user.disabled,
        "quota": user.quota_bytes,
        "used": user.used_bytes,
        "created_at": format_time(user.created_at),
    }
