"""What `arbiter doctor` looks at about accounts: duties that must be apart, which an older release let one account hold."""

from __future__ import annotations

from typing import Final

from arbiter.cli.doctor.findings import Finding, first_of
from arbiter.errors import counted
from arbiter.identity.roles import Role, conflicts_of
from arbiter.store.identities import load_roles
from arbiter.store.transaction import Where

_CHECK: Final = "accounts"
_SHOWN: Final = 5
_ADVICE: Final = (
    "`arbiter users change` takes roles from an account, `arbiter users create` makes another one for them"
)


async def accounts(where: Where) -> tuple[Finding, ...]:
    """Look at what each account that is not disabled may do."""
    rows = await load_roles(where)
    told = [
        f"{login} holds both {one} and {other}"
        for login, roles in rows
        for one, other in conflicts_of(Role(role) for role in roles)
    ]
    if told:
        return (Finding(_CHECK, "warn", first_of(told, _SHOWN), _ADVICE),)
    return (Finding(_CHECK, "ok", f"{counted(len(rows), 'account')}, none with duties that must be apart"),)
