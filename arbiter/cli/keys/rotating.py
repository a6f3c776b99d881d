"""`arbiter keys rotate`: another key for the log, or another for what keeps case content secret, while the service runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from arbiter.cli.examples import examples
from arbiter.cli.failing import UsageError
from arbiter.cli.inside import in_house
from arbiter.cli.keys.making import InFile, Pkcs11
from arbiter.cli.output import count_bar, out
from arbiter.cli.persons import PasswordsStdin, ask_passwords, prove

if TYPE_CHECKING:
    from arbiter.identity.principals import Principal
    from arbiter.store.wrapping import Kind
    from arbiter.workflow.house import House
    from arbiter.workflow.log.rotating_kek import Rewrapped
    from arbiter.workflow.log.rotating_log_key import Rotated

app = typer.Typer(
    no_args_is_help=True,
    help="Another key for the log, or for what keeps case content secret.",
    epilog=examples(
        "arbiter keys rotate log --as carla",
        "arbiter keys rotate log --finish --as carla",
        "arbiter keys rotate kek --as carla",
    ),
)

As = Annotated[
    str,
    typer.Option("--as", help="Your login; you need the role administrator. It stands in the log's entry."),
]


@app.command(
    "log",
    epilog=examples("arbiter keys rotate log --as carla", "arbiter keys rotate log --finish --as carla"),
)
def rotate_log(
    login: As,
    *,
    finish: Annotated[
        bool, typer.Option("--finish", help="End the old key, once every process signs with both.")
    ] = False,
    pkcs11: Pkcs11 = None,
    in_file: InFile = False,
    password_stdin: PasswordsStdin = False,
) -> None:
    """Begin to sign checkpoints with a new key beside the old one, or end the old one.

    Begin; copy the folder keys to every host; restart every process; finish. Then copy again, and restart once more, so that
    no process keeps the old key. The new key lies where the old one does, in a token or in
    a file, unless you say otherwise.
    """
    if finish + in_file + (pkcs11 is not None) > 1:
        raise UsageError("--finish, --pkcs11 and --in-file exclude each other")
    passwords = ask_passwords([login], from_stdin=password_stdin)

    async def rotate(house: House) -> Rotated:
        from arbiter.store.keys import Wish
        from arbiter.workflow.log.rotating_log_key import begin_rotation, finish_rotation

        principal = await administrator(house, login, passwords)
        if finish:
            return await finish_rotation(house, principal.id)
        return await begin_rotation(house, principal.id, Wish(pkcs11, in_file))

    done = in_house(rotate)
    if finish:
        out.print(
            f"key {done.old.key_id.hex()} signs no checkpoint beyond {done.size} entries, and its file is removed from this "
            f"host (a key in a token stays there until you remove it); {done.new.key_id.hex()} signs alone. Copy the folder "
            "keys to every other host and restart",
            markup=False,
        )
        return
    out.print(
        f"from {done.size} entries on, {done.old.key_id.hex()} and {done.new.key_id.hex()} may sign; the new one lies "
        f"{done.where}. Copy the folder keys to every host and to its safe place, restart every process, then run "
        "`arbiter keys rotate log --finish`",
        markup=False,
    )
    out.print(done.new.encode(), markup=False)


@app.command(
    "kek",
    epilog=examples(
        "arbiter keys rotate kek --as carla",
        "arbiter keys rotate kek --key-only --as carla",
        'arbiter keys rotate kek --hardware "pkcs11:token=hsm?module-path=/usr/lib/hsm.so&pin-source=/etc/arbiter/pin" --as carla',
        "arbiter keys rotate kek --retire kek-1 --as carla",
    ),
)
def rotate_kek(
    login: As,
    *,
    key_only: Annotated[
        bool,
        typer.Option("--key-only", help="Only make the key, so that it can be copied to other hosts first."),
    ] = False,
    retire: Annotated[
        str | None,
        typer.Option(
            "--retire", help="Remove this older key, once nothing is wrapped under it.", show_default=False
        ),
    ] = None,
    hardware: Annotated[
        str | None,
        typer.Option(
            "--hardware",
            help="Make the key in this token: pkcs11:token=LABEL?module-path=FILE&pin-source=FILE. Who loses the token "
            "loses every case's content.",
            show_default=False,
        ),
    ] = None,
    in_file: Annotated[
        bool,
        typer.Option("--in-file", help="Make the key in a file, although the present one lies in a token."),
    ] = False,
    password_stdin: PasswordsStdin = False,
) -> None:
    """Wrap every case's key and every webhook's secret anew under a new key; run again, it goes on where it stopped.

    The key lies where the present one does, in a token or in a file, unless you say otherwise.
    """
    if key_only and retire is not None:
        raise UsageError("--key-only and --retire exclude each other")
    if in_file + (hardware is not None) + (retire is not None) > 1:
        raise UsageError("--hardware, --in-file and --retire exclude each other")
    passwords = ask_passwords([login], from_stdin=password_stdin)
    if retire is not None:
        left = in_house(lambda house: _retire(house, login, passwords, retire))
        out.print(
            f"{retire} wraps nothing and is removed from this host; remove it from the others, and keep your copy until the "
            "last backup from before this has expired",
            markup=False,
        )
        _tell_left(left)
        return
    done = in_house(
        lambda house: _rotate_kek(house, login, passwords, key_only=key_only, where=(hardware, in_file))
    )
    if key_only:
        out.print(
            f"{done.kek_id} is made {done.where}; copy its file to every host, then run this without --key-only",
            markup=False,
        )
    else:
        out.print(
            f"{done.moved} wrapped anew under {done.kek_id}, which lies {done.where}; nothing is left under an older key",
            markup=False,
        )
        _tell_left(done.left)


def _tell_left(fault: str | None) -> None:
    if fault is not None:
        out.print(
            f"the old wrapping still stands in the database's files: {fault}; the next rotation or retirement of a key "
            "rewrites them all, an erasure those that held its own case's key",
            markup=False,
        )


async def _rotate_kek(
    house: House, login: str, passwords: list[str], *, key_only: bool, where: tuple[str | None, bool]
) -> Rewrapped:
    from arbiter.store.keys import Wish
    from arbiter.workflow.log.rotating_kek import rotate_kek as rotate

    principal = await administrator(house, login, passwords)
    with count_bar() as tell:

        def advance(kind: Kind, done: int, total: int) -> None:
            tell(kind.words, done, total)

        return await rotate(house, principal.id, advance, key_only=key_only, wish=Wish(*where))


async def _retire(house: House, login: str, passwords: list[str], kek_id: str) -> str | None:
    from arbiter.workflow.log.rotating_kek import retire_kek

    principal = await administrator(house, login, passwords)
    return await retire_kek(house, principal.id, kek_id)


async def administrator(house: House, login: str, passwords: list[str]) -> Principal:
    """Return who is at the command, proven by the password and allowed to change keys."""
    from arbiter.identity.roles import Permission

    (principal,) = await prove(house, [login], passwords)
    principal.require(Permission.ADMIN_KEYS)
    return principal
