"""`python -m benchmarks.evaluation`: how long `arbiter evaluate` takes, asking everybody and from opinions that are there.

Each shipped protocol's generator makes the cases. Each run is the command in a process of its own, its start counted in.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from arbiter.protocols.anticoagulation import generator as anticoagulation
from arbiter.protocols.deterioration import generator as deterioration
from arbiter.protocols.surgery_readiness import generator as surgery_readiness

GENERATORS = {
    "deterioration": deterioration.generate,
    "anticoagulation": anticoagulation.generate,
    "surgery-readiness": surgery_readiness.generate,
}
PROGRAM = "from arbiter.cli import main; main()"


def timed(protocol: str, folder: Path, *more: str) -> str:
    """Run the command and return its seconds in words."""
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [
        sys.executable,
        "-c",
        PROGRAM,
        "evaluate",
        protocol,
        str(folder / "cases.jsonl"),
        "--out",
        str(folder),
    ]
    subprocess.run([*command, *more], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    computed = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return f"{time.perf_counter() - began:.1f} ({computed:.1f} of a processor)"


def main() -> None:
    """Print a line a protocol."""
    parser = argparse.ArgumentParser(description="times arbiter evaluate")
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--protocol", choices=sorted(GENERATORS), action="append", help="else all")
    options = parser.parse_args()
    print(f"{options.cases} cases; seconds, the process's start included")
    for protocol in options.protocol or GENERATORS:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            lines = (json.dumps(case) + "\n" for case in GENERATORS[protocol](options.seed, options.cases))
            (folder / "cases.jsonl").write_text("".join(lines), encoding="utf-8")
            asking, again = timed(protocol, folder), timed(protocol, folder)
            print(f"{protocol}: {asking} asking everybody, {again} from stored opinions")


if __name__ == "__main__":
    main()
