"""Commands as processes that need not import anything: one process per session imports the code and forks for each command.

What is forked is a process of its own, with its own environment, arguments and files as input and output, and ends as a
command ends. It differs from one started by the operating system in what is imported already, and in that alone; so
`tests.system.service.run_arbiter` starts each command from nothing the first time that it is asked for.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from arbiter.protocols.loader import read_shipped, shipped

ROOT = Path(__file__).parents[2]
SERVER = "from tests.system.forking import answer; answer(); from arbiter.cli import main; main()"
STOP_SECONDS = 30.0
_LONGEST = 128 * 1024
_READ_BY_COMMANDS = ("ARBITER_", "XDG_STATE_HOME", "COLUMNS", "PYTEST_")
"""Variables that no import reads: they may be another command's own. With any other a command starts from nothing."""


class Forks:
    """The process that forks, and the way to it."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._imported_with = _read_by_imports(environ)
        self._one_command = threading.Lock()
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", SERVER, str(theirs.fileno())],
                cwd=ROOT,
                env=environ,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def run(
        self, arguments: Sequence[str], environ: Mapping[str, str], said: str, seconds: float
    ) -> subprocess.CompletedProcess[str] | None:
        """Run a command to its end, as `subprocess.run` does.

        Returns None for a command to start from nothing: imports could see its environment, or another one runs.

        Raises:
            TimeoutExpired: when the command did not end in time; it is killed then.
        """
        if _read_by_imports(environ) != self._imported_with or not self._one_command.acquire(blocking=False):
            return None
        try:
            with (
                tempfile.TemporaryFile("w+", encoding="utf-8") as asked,
                tempfile.TemporaryFile("w+", encoding="utf-8") as out,
                tempfile.TemporaryFile("w+", encoding="utf-8") as err,
            ):
                asked.write(said)
                asked.seek(0)
                order = json.dumps({"arguments": arguments, "environ": dict(environ)}).encode()
                socket.send_fds(self._channel, [order], [file.fileno() for file in (asked, out, err)])
                status = self._ended(["arbiter", *arguments], seconds)
                texts = []
                for file in (out, err):
                    file.seek(0)
                    texts.append(file.read())
        finally:
            self._one_command.release()
        return subprocess.CompletedProcess(["arbiter", *arguments], status, *texts)

    def close(self) -> None:
        """End the process; it has no child left."""
        self._channel.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise

    def _ended(self, command: Sequence[str], seconds: float) -> int:
        pid = self._heard(None)
        try:
            return self._heard(seconds)
        except BaseException as error:
            # Whatever stopped the waiting, the test's own limit too: nothing runs on, and the next answer is the next command's.
            os.kill(pid, signal.SIGKILL)
            self._heard(None)
            if isinstance(error, TimeoutError):
                raise subprocess.TimeoutExpired(list(command), seconds) from None
            raise

    def _heard(self, seconds: float | None) -> int:
        self._channel.settimeout(seconds)
        answer = self._channel.recv(64)
        assert answer, "the process that forks commands is gone"
        return int(answer)


def _read_by_imports(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if not name.startswith(_READ_BY_COMMANDS)}


def answer() -> None:
    """Fork for each order until nobody asks any more. Returns in the children alone, each ready to be its command."""
    # What every command on an installation imports and reads when it starts; what else one needs, it imports itself.
    importlib.import_module("arbiter.cli")
    importlib.import_module("arbiter.wiring")
    for name in shipped():
        read_shipped(name)
    # What is here stays: no command need look through it for what to let go of.
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[1])) as channel:
        while True:
            order, files, _, _ = socket.recv_fds(channel, _LONGEST, 3)
            if not order:
                sys.exit()
            # Not those of Python alone: one that a library started is not forked with its process either.
            threads = len(list(Path("/proc/self/task").iterdir()))
            assert threads == 1, f"a process with {threads} threads cannot be forked"
            child = os.fork()
            if child == 0:
                break
            for file in files:
                os.close(file)
            channel.send(str(child).encode())
            _, status = os.waitpid(child, 0)
            channel.send(str(os.waitstatus_to_exitcode(status)).encode())
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    told = json.loads(order)
    sys.argv = ["-c", *told["arguments"]]
    os.environ.clear()
    os.environ.update(told["environ"])
