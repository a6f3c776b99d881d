"""A process that seals one round and may be told where to die: started once, it forks one child for each line it reads.

A line is JSON: `database` (the application's URL), `folder` (the data folder), `socket` (the server's socket folder),
`kinds` and `fatal` (which points count, and the number of the one to die at), `cuts` (whether its connection is cut there
in place of that; it then seals again) and `trace` (a file for the points passed). The answer is the child's exit status, a
line: -9 for a killed one, `CUT` for one that was cut off and went on.

With `until`, a file, a child seals round upon round without a tripwire until that file is there, and writes into `trace`,
after each, how many of its rounds sealed something.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from arbiter.errors import UnavailableError
from arbiter.protocols.loader import read_shipped, shipped
from arbiter.store.database import Database
from tests.faults.tripwire import Tripwire, relay
from tests.houses import a_house

CUT = 3


async def seal_on(order: dict[str, Any]) -> int:
    """Seal again and again until told to stop."""
    database = Database(order["database"], None, None)
    rounds = 0
    async with a_house(Path(order["folder"]), database, running=False) as house:
        while not Path(order["until"]).exists():
            rounds += bool(await house.sealer.round())
            Path(order["trace"]).write_text(str(rounds))
            await asyncio.sleep(0.01)
    return 0


async def seal(order: dict[str, Any]) -> int:
    """Open the house through the relay, arm the tripwire, seal and release once."""
    folder = Path(order["folder"])
    tripwire = Tripwire(Path(order["trace"]), frozenset(order["kinds"]), order["fatal"], cuts=order["cuts"])
    tripwire.watch_files(folder)
    with tempfile.TemporaryDirectory(prefix="arb-relay-") as way:
        relay(Path(way), Path(order["socket"]), tripwire)
        url = make_url(order["database"]).update_query_dict({"host": way})
        database = Database(url.render_as_string(hide_password=False), None, None)
        async with a_house(folder, database, running=False) as house:
            tripwire.arm()
            try:
                await house.sealer.round()
            except UnavailableError:
                await house.sealer.round()
            tripwire.disarm()
            return CUT if tripwire.sprung else 0


def run(order: dict[str, Any]) -> int:
    try:
        return asyncio.run(seal_on(order) if "until" in order else seal(order))
    except BaseException:  # noqa: BLE001 - the child's end: its parent must not go on in it
        traceback.print_exc()
        return 1


def main() -> None:
    """Answer each order with the exit status of the child that carried it out, -9 for a killed one."""
    # Read before forking: most of a start, and nothing of a round.
    for name in shipped():
        read_shipped(name)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            os._exit(run(json.loads(line)))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
