"""Tells by a look at its socket whether a connection that idled is still one: no round trip, and some microseconds.

A server that stops or is killed hangs up on everybody, and whoever asks next would be answered that it is away though it is
back. Where the network swallows packets nothing shows here; then the statement fails.
"""

from __future__ import annotations

import select
from typing import Any

import psycopg

_LOOKS = 2
"""One reads what came meanwhile, be it a parting word or a notice; the next sees whether it was the last."""


def hung_up(connection: psycopg.AsyncConnection[Any]) -> bool:
    """Return whether the server has closed this connection, on which no statement may be under way."""
    if connection.closed:
        return True
    look = select.poll()
    look.register(connection.fileno(), select.POLLIN)
    for _ in range(_LOOKS):
        if not look.poll(0):
            return False
        try:
            connection.pgconn.consume_input()
        except psycopg.OperationalError:
            return True
    return connection.closed
