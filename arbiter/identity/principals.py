"""Whoever is speaking, once proven: what they may do and which sites' cases they may know of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from arbiter.errors import ForbiddenError
from arbiter.identity.roles import ACCOUNT_ROLES, CLIENT_ROLES, ROLES, Permission, Role
from arbiter.model import ActorId


@dataclass(frozen=True, slots=True)
class Principal:
    """A proven client or account.

    `permissions` is what its roles allow, narrowed by `scopes` (empty: not narrowed); `sites` are the ids of the
    sites it acts for, and there is no wildcard. `login` is an account's: people know each other by it, and by no id.
    """

    id: ActorId
    kind: Literal["client", "account"]
    name: str
    roles: frozenset[Role]
    scopes: frozenset[str]
    permissions: frozenset[Permission]
    sites: frozenset[str]
    login: str | None = None

    def require(self, permission: Permission) -> None:
        """Raise ForbiddenError unless this principal may do that."""
        if permission not in self.permissions:
            raise ForbiddenError(
                f"{self.kind} {self.login or self.id} lacks the permission {permission}; {self._who_holds(permission)}"
            )

    def _who_holds(self, permission: Permission) -> str:
        """Return which roles would do."""
        if any(permission in ROLES[role] for role in self.roles):
            return "its roles hold it, and its scopes leave it out"
        may_have = ACCOUNT_ROLES if self.kind == "account" else CLIENT_ROLES
        holding = sorted(role for role in may_have if permission in ROLES[role])
        match holding:
            case []:
                return (
                    f"no role that {'an account' if self.kind == 'account' else 'a client'} may have holds it"
                )
            case [role]:
                return f"the role {role} holds it"
            case _:
                return f"the roles {', '.join(holding)} hold it"

    def may_see(self, site: str) -> bool:
        """Return whether cases of this site exist at all for this principal."""
        return site in self.sites
