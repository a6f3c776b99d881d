"""The fan-out as a LangGraph graph: a node a member, all in one superstep, under the PostgreSQL checkpointer.

As documented: a pool of connections with `autocommit` and rows as mappings, the tables made by `setup()`, a thread a case.
"""

from __future__ import annotations

import operator
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal, TypedDict, cast

import psycopg
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.graph import END, START, StateGraph
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from benchmarks.peers.panel import Decide, Opinion, Panel, decide

DATABASE = "peer_langgraph"


class State(TypedDict):
    """A case: its number, what members said, what was decided."""

    case: int
    opinions: Annotated[list[Opinion], operator.add]
    option: str


@asynccontextmanager
async def opened(panel: Panel, durability: Literal["sync", "async", "exit"]) -> AsyncIterator[Decide]:
    """Yield what decides a case."""
    address = _new_database(panel.spec["database"])
    async with AsyncConnectionPool(
        address,
        min_size=20,
        max_size=20,
        kwargs={"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row},
    ) as pool:
        saver = AsyncPostgresSaver(pool)
        await saver.setup()
        graph = _graph(panel).compile(checkpointer=saver)

        async def decide_case(case: int) -> str:
            thread = {"configurable": {"thread_id": f"{panel.spec['turn']}-{durability}-{case}"}}
            ended = await graph.ainvoke(
                {"case": case, "opinions": [], "option": ""}, thread, durability=durability
            )
            return cast("str", ended["option"])

        yield decide_case


def _graph(panel: Panel) -> StateGraph[State]:
    graph = StateGraph(State)
    graph.add_node("decide", _conclude)
    for member in panel.members:
        graph.add_node(f"member-{member}", _node(panel, member))
        graph.add_edge(START, f"member-{member}")
    graph.add_edge([f"member-{member}" for member in panel.members], "decide")
    graph.add_edge("decide", END)
    return graph


def _node(panel: Panel, member: int) -> Callable[[State], Awaitable[dict[str, Any]]]:
    async def ask(state: State) -> dict[str, Any]:
        return {"opinions": [await panel.ask(member, state["case"])]}

    return ask


async def _conclude(state: State) -> dict[str, Any]:
    return {"option": decide(state["opinions"])}


def _new_database(server: str) -> str:
    with psycopg.connect(server, autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
            connection.execute(f"CREATE DATABASE {DATABASE}".encode())
    before, _, query = server.partition("?")
    return f"{before.rpartition('/')[0]}/{DATABASE}?{query}"
