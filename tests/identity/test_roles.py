"""The one table of roles: complete, separated, and what the documentation prints."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbiter.errors import ForbiddenError, RefusedError
from arbiter.identity.principals import Principal
from arbiter.identity.roles import (
    ACCOUNT_ROLES,
    CLIENT_ROLES,
    CONFLICTS,
    ROLES,
    Permission,
    Role,
    check_roles,
    markdown_table,
    permissions_of,
)
from arbiter.model import ActorId


def test_every_role_stands_in_the_table() -> None:
    assert set(ROLES) == set(Role)


def test_every_permission_is_held_by_some_role() -> None:
    assert permissions_of(Role) == frozenset(Permission)


def test_nobody_has_no_permission() -> None:
    assert permissions_of([]) == frozenset()


def test_the_administrator_sees_no_case_content() -> None:
    held = ROLES[Role.ADMINISTRATOR]
    assert not [permission for permission in held if permission.startswith(("cases:", "review:", "audit:"))]


@pytest.mark.parametrize("role", [Role.REVIEWER, Role.SENIOR_ARBITER])
def test_a_reviewer_cannot_read_the_panel_past_the_claim(role: Role) -> None:
    assert Permission.CASES_READ not in ROLES[role]


def test_a_machine_never_judges_in_a_persons_place() -> None:
    held = permissions_of(CLIENT_ROLES)
    assert not [permission for permission in held if permission.startswith(("review:", "policy:"))]


def test_a_person_never_submits_cases_as_a_system() -> None:
    assert Permission.CASES_SUBMIT not in permissions_of(ACCOUNT_ROLES)


def test_no_single_role_breaks_the_separation() -> None:
    for role in Role:
        assert not any(pair <= ROLES[role] for pair in CONFLICTS), role


@pytest.mark.parametrize(
    "roles",
    [
        {Role.POLICY_AUTHOR, Role.POLICY_APPROVER},
        {Role.REVIEWER, Role.AUDITOR},
        {Role.SENIOR_ARBITER, Role.AUDITOR},
        {Role.REVIEWER, Role.INTEGRATION_CLIENT},
        {Role.ADMINISTRATOR, Role.REVIEWER},
        {Role.ADMINISTRATOR, Role.SENIOR_ARBITER},
        {Role.ADMINISTRATOR, Role.AUDITOR},
        {Role.ADMINISTRATOR, Role.INTEGRATION_CLIENT},
        {Role.RECORDS_OFFICER, Role.REVIEWER},
        {Role.RECORDS_OFFICER, Role.SENIOR_ARBITER},
        {Role.RECORDS_OFFICER, Role.AUDITOR},
        {Role.RECORDS_OFFICER, Role.ADMINISTRATOR},
        {Role.RECORDS_OFFICER, Role.INTEGRATION_CLIENT},
        {Role.RECORDS_OFFICER, Role.PATIENT_INDEX},
        {Role.RECORDS_OFFICER, Role.EMERGENCY_ACCESS},
        set(Role),
    ],
)
def test_duties_that_must_be_apart_are_refused_in_one_hand(roles: set[Role]) -> None:
    with pytest.raises(RefusedError, match="nobody holds both"):
        check_roles(frozenset(roles), frozenset(Role))


@given(roles=st.frozensets(st.sampled_from(Role)))
def test_whatever_is_accepted_holds_no_conflict(roles: frozenset[Role]) -> None:
    try:
        held = check_roles(roles, frozenset(Role))
    except RefusedError:
        return
    assert not any(pair <= held for pair in CONFLICTS)
    assert held == permissions_of(roles)


def test_no_role_at_all_is_refused() -> None:
    with pytest.raises(RefusedError, match="at least one role"):
        check_roles(frozenset(), CLIENT_ROLES)


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        *itertools.product(sorted(set(Role) - CLIENT_ROLES), [CLIENT_ROLES]),
        (Role.INTEGRATION_CLIENT, ACCOUNT_ROLES),
    ],
)
def test_a_role_in_the_wrong_hands_is_refused(role: Role, allowed: frozenset[Role]) -> None:
    with pytest.raises(RefusedError, match=f"came {role}"):
        check_roles(frozenset({role}), allowed)


def test_the_printed_table_says_what_the_code_asks() -> None:
    header, rule, *rows = markdown_table().splitlines()
    roles = [Role(cell.strip()) for cell in header.strip("|").split("|")[1:]]
    assert rule.count("|") == len(roles) + 2
    printed: dict[Role, set[Permission]] = {role: set() for role in roles}
    for row in rows:
        name, *cells = [cell.strip() for cell in row[1:-1].split("|")]
        for role, cell in zip(roles, cells, strict=True):
            assert cell in {"yes", ""}
            if cell:
                printed[role].add(Permission(name.strip("`")))
    assert printed == {role: set(held) for role, held in ROLES.items()}


def principal(*permissions: Permission, sites: frozenset[str] = frozenset()) -> Principal:
    return Principal(
        ActorId("c1"), "client", "Ward system", frozenset(), frozenset(), frozenset(permissions), sites
    )


@pytest.mark.parametrize("permission", Permission)
def test_what_is_not_held_is_forbidden(permission: Permission) -> None:
    with pytest.raises(ForbiddenError, match=f"client c1 lacks the permission {permission}"):
        principal(*(set(Permission) - {permission})).require(permission)
    principal(permission).require(permission)


def test_who_lacks_a_permission_is_told_by_login_which_roles_hold_it() -> None:
    olga = replace(principal(), kind="account", login="olga", roles=frozenset({Role.FLEET_OPERATOR}))
    for permission, words in (
        (Permission.AUDIT_READ, "the role auditor holds it"),
        (Permission.REVIEW_WORK, "the roles reviewer, senior-arbiter hold it"),
        (Permission.CASES_SUBMIT, "no role that an account may have holds it"),
        (Permission.FLEET_WATCH, "its roles hold it, and its scopes leave it out"),
    ):
        with pytest.raises(ForbiddenError) as refused:
            olga.require(permission)
        assert str(refused.value) == f"account olga lacks the permission {permission}; {words}"


@pytest.mark.parametrize("site", ["other", "", "*", "Ward", "ward "])
def test_other_sites_do_not_exist_for_a_principal(site: str) -> None:
    assert principal(sites=frozenset({"ward"})).may_see("ward")
    assert not principal(sites=frozenset({"ward"})).may_see(site)
    assert not principal().may_see(site)


def test_a_pager_answers_calls_and_does_nothing_else() -> None:
    assert ROLES[Role.PAGING_CLIENT] == {Permission.ESCALATIONS_ACKNOWLEDGE}
    assert Role.PAGING_CLIENT in CLIENT_ROLES - ACCOUNT_ROLES


def test_whoever_erases_a_case_reads_none_and_is_a_person() -> None:
    assert ROLES[Role.RECORDS_OFFICER] == {Permission.CASES_HOLD, Permission.CASES_ERASE}
    assert Role.RECORDS_OFFICER in ACCOUNT_ROLES - CLIENT_ROLES


def test_whoever_hands_a_case_in_does_not_answer_for_those_on_duty() -> None:
    assert Permission.ESCALATIONS_ACKNOWLEDGE not in ROLES[Role.INTEGRATION_CLIENT]


def test_only_administrators_may_recover() -> None:
    assert {role for role, held in ROLES.items() if Permission.LOG_RECOVER in held} == {Role.ADMINISTRATOR}
