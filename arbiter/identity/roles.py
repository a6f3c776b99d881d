"""What each role may do: one table that the code asks and the documentation prints.

Duties are separated by `CONFLICTS`: pairs of permissions that no single client or account may hold, whatever
roles they come from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType

from arbiter.errors import RefusedError


class Permission(StrEnum):
    """One thing that can be allowed."""

    CASES_SUBMIT = "cases:submit"
    CASES_READ = "cases:read"
    CASES_AMEND = "cases:amend"
    CASES_CANCEL = "cases:cancel"
    CASES_CONTEST = "cases:contest"
    CASES_OUTCOME = "cases:outcome"
    CASES_RETRACT = "cases:retract"
    ESCALATIONS_ACKNOWLEDGE = "escalations:acknowledge"
    CASES_BREAK_GLASS = "cases:break-glass"
    CASES_HOLD = "cases:hold"
    CASES_ERASE = "cases:erase"
    SUBJECTS_MERGE = "subjects:merge"
    PROTOCOLS_READ = "protocols:read"
    REVIEW_WORK = "review:work"
    REVIEW_ARBITRATE = "review:arbitrate"
    POLICY_AUTHOR = "policy:author"
    POLICY_APPROVE = "policy:approve"
    AUDIT_READ = "audit:read"
    AUDIT_PAYLOADS = "audit:payloads"
    LOG_RECOVER = "log:recover"
    FLEET_WATCH = "fleet:watch"
    ADMIN_CLIENTS = "admin:clients"
    ADMIN_ACCOUNTS = "admin:accounts"
    ADMIN_KEYS = "admin:keys"


class Role(StrEnum):
    """A duty in the house."""

    INTEGRATION_CLIENT = "integration-client"
    PAGING_CLIENT = "paging-client"
    PATIENT_INDEX = "patient-index"
    EMERGENCY_ACCESS = "emergency-access"
    REVIEWER = "reviewer"
    SENIOR_ARBITER = "senior-arbiter"
    POLICY_AUTHOR = "policy-author"
    POLICY_APPROVER = "policy-approver"
    AUDITOR = "auditor"
    RECORDS_OFFICER = "records-officer"
    DISCLOSURE = "disclosure"
    FLEET_OPERATOR = "fleet-operator"
    ADMINISTRATOR = "administrator"


P = Permission

ROLES: Mapping[Role, frozenset[Permission]] = MappingProxyType(
    {
        Role.INTEGRATION_CLIENT: frozenset(
            {
                P.CASES_SUBMIT,
                P.CASES_READ,
                P.CASES_AMEND,
                P.CASES_CANCEL,
                P.CASES_CONTEST,
                P.CASES_OUTCOME,
                P.CASES_RETRACT,
                P.PROTOCOLS_READ,
            }
        ),
        # A pager answers for whoever carries it, and learns nothing of the case.
        Role.PAGING_CLIENT: frozenset({P.ESCALATIONS_ACKNOWLEDGE}),
        Role.PATIENT_INDEX: frozenset({P.SUBJECTS_MERGE}),
        # Opens nothing by itself: it lets who may read or review do so at another site, for a reason.
        Role.EMERGENCY_ACCESS: frozenset({P.CASES_BREAK_GLASS}),
        # No cases:read: a reviewer sees content through a claim, and the panel only after committing an opinion.
        Role.REVIEWER: frozenset({P.REVIEW_WORK, P.ESCALATIONS_ACKNOWLEDGE, P.PROTOCOLS_READ}),
        Role.SENIOR_ARBITER: frozenset(
            {P.REVIEW_WORK, P.REVIEW_ARBITRATE, P.ESCALATIONS_ACKNOWLEDGE, P.PROTOCOLS_READ}
        ),
        Role.POLICY_AUTHOR: frozenset({P.POLICY_AUTHOR, P.PROTOCOLS_READ}),
        Role.POLICY_APPROVER: frozenset({P.POLICY_APPROVE, P.PROTOCOLS_READ}),
        Role.AUDITOR: frozenset({P.AUDIT_READ, P.CASES_READ, P.PROTOCOLS_READ, P.FLEET_WATCH}),
        # Sees nothing of what it keeps or erases.
        Role.RECORDS_OFFICER: frozenset({P.CASES_HOLD, P.CASES_ERASE}),
        # Opens nothing by itself: it lets an auditor take what was decided away in the clear.
        Role.DISCLOSURE: frozenset({P.AUDIT_PAYLOADS}),
        # Keeps the model servers running, at night too: sees which seats they serve, and nothing of a case.
        Role.FLEET_OPERATOR: frozenset({P.FLEET_WATCH}),
        Role.ADMINISTRATOR: frozenset(
            {
                P.ADMIN_CLIENTS,
                P.ADMIN_ACCOUNTS,
                P.ADMIN_KEYS,
                P.LOG_RECOVER,
                P.FLEET_WATCH,
                P.PROTOCOLS_READ,
            }
        ),
    }
)

CLIENT_ROLES = frozenset(
    {
        Role.INTEGRATION_CLIENT,
        Role.PAGING_CLIENT,
        Role.PATIENT_INDEX,
        Role.EMERGENCY_ACCESS,
        Role.AUDITOR,
        Role.DISCLOSURE,
        Role.ADMINISTRATOR,
    }
)
"""Roles a machine may hold; the others are a person's judgement."""

ACCOUNT_ROLES = frozenset(Role) - {Role.INTEGRATION_CLIENT, Role.PAGING_CLIENT, Role.PATIENT_INDEX}
"""Roles a person may hold."""

_CASE_CONTENT = frozenset(
    {
        P.CASES_SUBMIT,
        P.CASES_READ,
        P.CASES_AMEND,
        P.CASES_CANCEL,
        P.CASES_CONTEST,
        P.CASES_OUTCOME,
        P.CASES_RETRACT,
        P.CASES_BREAK_GLASS,
        P.SUBJECTS_MERGE,
        P.REVIEW_WORK,
        P.REVIEW_ARBITRATE,
        P.AUDIT_READ,
        P.AUDIT_PAYLOADS,
    }
)

_KEEPING = frozenset({P.CASES_HOLD, P.CASES_ERASE})

CONFLICTS: frozenset[frozenset[Permission]] = frozenset(
    {
        frozenset({P.POLICY_AUTHOR, P.POLICY_APPROVE}),
        frozenset({P.REVIEW_WORK, P.CASES_READ}),
        # A seat that just went down tells why the next case waits.
        frozenset({P.REVIEW_WORK, P.FLEET_WATCH}),
        # Who knows how often the panel errs no longer judges independently of it.
        frozenset({P.REVIEW_WORK, P.POLICY_AUTHOR}),
        frozenset({P.REVIEW_WORK, P.POLICY_APPROVE}),
        *(
            frozenset({admin, content})
            for admin in (P.ADMIN_CLIENTS, P.ADMIN_ACCOUNTS, P.ADMIN_KEYS)
            for content in _CASE_CONTENT | _KEEPING
        ),
        *(frozenset({keeping, content}) for keeping in _KEEPING for content in _CASE_CONTENT),
    }
)
"""Whoever writes a policy does not approve it; a blind reviewer reads neither the panel nor
which of its seats answer, nor how often it errs; administrators see no content; and
whoever made, judged or audits a case, or makes accounts, cannot make it disappear."""


def permissions_of(roles: Iterable[Role]) -> frozenset[Permission]:
    """Return everything these roles allow together."""
    return frozenset().union(*(ROLES[role] for role in roles))


def check_roles(roles: frozenset[Role], allowed: frozenset[Role]) -> frozenset[Permission]:
    """Return what the roles allow; raise RefusedError for none, one not `allowed` here, or duties that must be apart."""
    if not roles:
        raise RefusedError(f"expected at least one role of {', '.join(sorted(allowed))}, none came")
    if misplaced := sorted(roles - allowed):
        raise RefusedError(f"expected roles among {', '.join(sorted(allowed))}; came {', '.join(misplaced)}")
    for one, other in conflicts_of(roles):
        raise RefusedError(f"nobody holds both {one} and {other}")
    return permissions_of(roles)


def conflicts_of(roles: Iterable[Role]) -> tuple[tuple[Permission, Permission], ...]:
    """Return the duties among these roles' that must be apart, pair by pair: none, but for what an older release allowed."""
    permissions = permissions_of(roles)
    pairs = sorted(sorted(pair) for pair in CONFLICTS if pair <= permissions)
    return tuple((one, other) for one, other in pairs)


def markdown_table() -> str:
    """Return the table of roles and permissions as Markdown, one row a permission."""
    header = "| permission | " + " | ".join(Role) + " |"
    rule = "|---|" + ":-:|" * len(Role)
    rows = [
        f"| `{permission}` | "
        + " | ".join("yes" if permission in ROLES[role] else "" for role in Role)
        + " |"
        for permission in Permission
    ]
    return "\n".join((header, rule, *rows)) + "\n"
