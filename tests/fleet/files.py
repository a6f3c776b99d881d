"""Fleet files for tests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from arbiter.fleet.fleet import Fleet
from arbiter.fleet.loader import load_fleet


def fleet_source(servers: Mapping[str, str | Sequence[str]], **more: Any) -> bytes:
    """Return a fleet file that gives each server the URLs of its replicas; `more` goes to every server. JSON is YAML."""
    parts = []
    for name, urls in servers.items():
        every = [urls] if isinstance(urls, str) else urls
        replicas = [{"name": f"{name}-{at}", "url": url} for at, url in enumerate(every, start=1)]
        parts.append({"name": name, "replicas": replicas, **more})
    return json.dumps({"servers": parts}).encode()


def a_fleet(servers: Mapping[str, str | Sequence[str]], **more: Any) -> Fleet:
    """Return that fleet."""
    return load_fleet("fleet.yaml", fleet_source(servers, **more), Path())


def fleet_file(folder: Path, servers: Mapping[str, str | Sequence[str]], **more: Any) -> Path:
    """Write that file into the folder and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "fleet.yaml"
    path.write_bytes(fleet_source(servers, **more))
    return path
