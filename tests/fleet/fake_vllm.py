"""A program in the place of `vllm`: it takes the same command line, has a child and shared memory, and answers as a model does.

It is run as a file by whatever `arbiter panel serve` starts. What it does wrong is chosen by `--behave WORD`.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory
from typing import ClassVar


def behave(word: str) -> bool:
    return word in sys.argv


def after(flag: str) -> str:
    return sys.argv[sys.argv.index(flag) + 1]


def names() -> list[str]:
    if "--lora-modules" not in sys.argv:
        return [after("--served-model-name")]
    found = []
    for word in sys.argv[sys.argv.index("--lora-modules") + 1 :]:
        if word.startswith("--"):
            break
        found.append(word.partition("=")[0])
    return found


class Door(BaseHTTPRequestHandler):
    answered: ClassVar[set[str]] = set()

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        wanted = os.environ.get("VLLM_API_KEY")
        status = 200 if asked["model"] in names() else 404
        if behave("dead-engine"):
            status = 500
        if wanted and self.headers.get("Authorization") != f"Bearer {wanted}":
            status = 401
        choice = {"index": 0, "finish_reason": "length", "text": "y"}
        body = json.dumps({"model": asked["model"], "choices": [choice]}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()
        if behave("dies-later"):
            Door.answered.add(asked["model"])
            if len(Door.answered) == len(names()):
                threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGKILL)).start()

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def talk() -> None:
    while True:
        print("a line of its log", flush=True)
        time.sleep(0.001)


def main() -> None:
    print("environment", json.dumps(dict(os.environ)), flush=True)
    if behave("dies-at-once"):
        print("a made-up reason", flush=True)
        sys.exit(3)
    # Untracked: what a killed engine leaves behind, nobody frees but whoever started it.
    memory = SharedMemory(create=True, size=4096)
    resource_tracker.unregister(memory._name, "shared_memory")  # type: ignore[attr-defined]
    print("memory", memory.name, flush=True)
    ignore = "signal.signal(signal.SIGTERM, signal.SIG_IGN)" if behave("deaf") else "pass"
    code = f"import signal, time; {ignore}; time.sleep(3600)"
    child = subprocess.Popen([sys.executable, "-c", code])
    print("child", child.pid, flush=True)
    if behave("deaf"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if behave("talks"):
        threading.Thread(target=talk, daemon=True).start()
    door = ThreadingHTTPServer((after("--host"), int(after("--port"))), Door)
    door.serve_forever()


main()
