"""Who may call which route.

Every route carries exactly one rule, and an application with a route that lacks one refuses to start. A rule is a FastAPI dependency: `requires(permission)` proves the bearer token and the permission before anything of
the request is read; `PUBLIC` says aloud that there is nothing to prove.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.openapi.models import HTTPBearer
from fastapi.params import Depends
from fastapi.routing import APIRoute, iter_route_contexts
from fastapi.security.base import SecurityBase

from arbiter.errors import ConfigurationError, UnauthenticatedError
from arbiter.identity.clients import authenticate_client
from arbiter.identity.principals import Principal
from arbiter.identity.roles import ROLES, Permission
from arbiter.workflow.house import House

PUBLIC_RULE = "public"
TOKEN_LIMIT_CHARACTERS = 256


class ClientMay(SecurityBase):
    """Admits a registered client that holds the permission, and hands its principal to the route."""

    def __init__(self, permission: Permission) -> None:
        self.rule = permission.value
        self.permission = permission
        self.scheme_name = "client"
        self.model = HTTPBearer(description="A registered client's token: `Authorization: Bearer arb_…`.")

    async def __call__(self, request: Request) -> Principal:
        """Return the principal; raise UnauthenticatedError or ForbiddenError."""
        house = house_of(request)
        token = bearer_token(request.headers.getlist("authorization"))
        # A log that lost entries may tell of decisions that have been withdrawn since: nothing of it is told.
        house.guard.require(house.settings.downtime_advice)
        principal = await authenticate_client(house.identities, house.clock, token)
        principal.require(self.permission)
        return principal


class Anyone:
    """Admits everyone."""

    rule = PUBLIC_RULE

    async def __call__(self) -> None:
        """Prove nothing."""


def requires(permission: Permission) -> Depends:
    """Return the rule that a client must hold this permission."""
    return Depends(_RULES[permission])


_RULES = {permission: ClientMay(permission) for permission in Permission}

PUBLIC = Depends(Anyone())
"""The rule of routes that anyone may call."""


def house_of(request: Request) -> House:
    """Return the house that this application is a door of."""
    return cast(House, request.app.state.house)


def bearer_token(headers: list[str]) -> str:
    """Return the token of the one Authorization header.

    Raises:
        UnauthenticatedError: for none, several, another scheme, or a token that is blank or too long.
    """
    if len(headers) != 1:
        raise UnauthenticatedError(f"expected one Authorization header, came {len(headers)}")
    scheme, _, token = headers[0].partition(" ")
    if scheme.lower() != "bearer" or not 0 < len(token) <= TOKEN_LIMIT_CHARACTERS:
        raise UnauthenticatedError("expected Authorization: Bearer with a token")
    return token


# --- what the routes say ------------------------------------------------------------------------------------------


def route_rules(app: FastAPI) -> list[tuple[str, str, str]]:
    """Return (method, path, rule) for every route, in the order in which they are matched.

    A rule is a permission, `public`, or whatever text a door of its own (the pages) puts into the attribute `rule` of
    a dependency, of a route's endpoint or of a mounted application.

    Raises:
        ConfigurationError: naming every route that has no rule, or more than one.
    """
    rules: list[tuple[str, str, str]] = []
    faults: list[str] = []
    for context in iter_route_contexts(app.router.routes):
        found = _rules_of(context)
        methods = sorted(context.methods or {"*"})
        for method in methods:
            if len(found) == 1:
                rules.append((method, str(context.path), next(iter(found))))
            else:
                faults.append(f"{method} {context.path} ({', '.join(sorted(found)) or 'none'})")
    if faults:
        raise ConfigurationError(f"routes without exactly one rule: {'; '.join(faults)}")
    return rules


def _rules_of(context: Any) -> set[str]:
    if isinstance(context.original_route, APIRoute):
        candidates = [dependant.call for dependant in _dependants(context.dependant)]
    else:
        candidates = [getattr(context, "endpoint", None), getattr(context.original_route, "app", None)]
    return {rule for call in candidates if isinstance(rule := getattr(call, "rule", None), str)}


def _dependants(root: Dependant) -> Iterator[Dependant]:
    yield root
    for dependency in root.dependencies:
        yield from _dependants(dependency)


def markdown_routes(app: FastAPI) -> str:
    """Return the table of routes, their rules and the roles that satisfy them, as Markdown."""
    lines = ["| method | path | rule | roles |", "|---|---|---|---|"]
    for method, path, rule in sorted(route_rules(app), key=lambda row: (row[1], row[0])):
        roles = [role.value for role, permissions in ROLES.items() if rule in permissions]
        who = ", ".join(roles) or ("anyone" if rule == PUBLIC_RULE else "see the pages")
        lines.append(f"| {method} | `{path}` | `{rule}` | {who} |")
    return "\n".join(lines) + "\n"
