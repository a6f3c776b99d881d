"""Whoever is speaking, once proven: what they may do and which sites' cases they may know of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from arbiter.errors import ForbiddenError
from arbiter.identity.roles import Permission, Role
from arbiter.model import ActorId


@dataclass(frozen=True, slots=True)
class Principal:
    """A proven client or account.

    `permissions` is what its roles allow, narrowed by `scopes` (empty: not narrowed); `sites` are the ids of the
    sites it acts for, and there is no wildcard.
    """

    id: ActorId
    kind: Literal["client", "account"]
    name: str
    roles: frozenset[Role]
    scopes: frozenset[str]
    permissions: frozenset[Permission]
    sites: frozenset[str]

    def require(self, permission: Permission) -> None:
        """Raise ForbiddenError unless this principal may do that."""
        if permission not in self.permissions:
            raise ForbiddenError(f"{self.kind} {self.id} lacks the permission {permission}")

    def may_see(self, site: str) -> bool:
        """Return whether cases of this site exist at all for this principal."""
        return site in self.sites
