"""A canary run that somebody asked for, now: to see how the seats stand, or to begin anew from what they answer today."""

from __future__ import annotations

from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.store.canaries import RunRow
from arbiter.workflow.canary.running import Order, run_canary
from arbiter.workflow.fleet_proving import proving
from arbiter.workflow.house import House
from arbiter.workflow.log.chronicle import seal_if_allowed
from arbiter.workflow.register import By, operator


async def run_now(house: House, protocol: str | None) -> tuple[RunRow, ...]:
    """Ask the seats of one protocol in force, or of all; raise NotFoundError when it is none.

    A seat that was never heard begins a baseline; no other seat's is touched.
    """
    return await _run(house, protocol, Order(operator()))


async def begin_anew(
    house: House, principal: Principal, protocol: str | None, reason: str
) -> tuple[RunRow, ...]:
    """Take new baselines of the seats of a protocol, or of all: what they answer today is what counts from now on.

    It ends alarms, so it is the act of somebody who approves policy, by name and for a reason, kept in the clear.

    Raises:
        ForbiddenError: for anybody else; NotFoundError: when there is no such protocol.
    """
    principal.require(Permission.POLICY_APPROVE)
    return await _run(house, protocol, Order(By(principal.id), new_baseline=True, reason=reason))


async def _run(house: House, protocol: str | None, order: Order) -> tuple[RunRow, ...]:
    asked = (
        [house.shelf.current[name] for name in sorted(house.shelf.current)]
        if protocol is None
        else [house.shelf.in_force(protocol)]
    )
    rows: list[RunRow] = []
    async with proving(house):
        for shelved in asked:
            rows += await run_canary(house, shelved, order, _go_on)
    await seal_if_allowed(house)
    return tuple(rows)


async def _go_on() -> None:
    return
