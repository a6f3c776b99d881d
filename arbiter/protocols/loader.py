"""Loads a protocol bundle: bytes in, a frozen and checked `Protocol` out, or every problem with its file and line.

Guarantees: nothing outside the known files is read; a bundle with any problem yields no protocol; the content hash
covers `protocol.yaml`, `policy.yaml` and, where there is one, `fhir.yaml` (it decides what the facts are), byte for
byte, and nothing else. `examples.jsonl` is left out on purpose: examples are tests and demonstration, no decision
depends on them, and adding one must not make a new protocol; nor is `calibration.json`, which names the very protocol that it
was made for and counts for no other. CEL is checked by `arbiter.policy`, which reports JSON
pointers that `Bundle.locate` turns into lines.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from importlib.resources import files as package_files
from importlib.resources.abc import Traversable
from pathlib import Path
from types import MappingProxyType
from typing import Final

from arbiter.calibration import Calibration
from arbiter.documents.calibrations import calibration_from
from arbiter.documents.protocols import ALWAYS_HASHED, content_hash
from arbiter.errors import InvalidProtocolError, NotFoundError, Problem, RefusedError, counted
from arbiter.files.faults import PROBLEMS_LIMIT, Finder, structured
from arbiter.files.reading import YamlFile, read_yaml
from arbiter.protocols.bundle import (
    CALIBRATION_FILE,
    EXAMPLES_FILE,
    FHIR_FILE,
    POLICY_FILE,
    PROTOCOL_FILE,
    Bundle,
)
from arbiter.protocols.checks import check_policy, check_protocol
from arbiter.protocols.examples import read_examples
from arbiter.protocols.fhir.mapping import FhirMapping
from arbiter.protocols.fhir.mapping_file import FhirFile, check_mapping, freeze_mapping
from arbiter.protocols.freeze import freeze, freeze_question
from arbiter.protocols.schema import PolicyFile, ProtocolFile

SIZE_LIMITS: Final[Mapping[str, int]] = MappingProxyType(
    {
        PROTOCOL_FILE: 128 * 1024,
        POLICY_FILE: 128 * 1024,
        FHIR_FILE: 128 * 1024,
        EXAMPLES_FILE: 4 * 1024 * 1024,
        CALIBRATION_FILE: 1024 * 1024,
    }
)
REQUIRED_FILES: Final = ALWAYS_HASHED

_SHIPPED: Final = "arbiter.protocols"


def load_bundle(files: Mapping[str, bytes]) -> Bundle:
    """Return the checked bundle made of the files' bytes by name; pure.

    Raises:
        InvalidProtocolError: with every problem found, each pointer `file:line:column`.
    """
    problems = _misfit_files(files)
    if problems:
        raise InvalidProtocolError("the bundle's files cannot be read", tuple(problems[:PROBLEMS_LIMIT]))
    protocol_yaml = read_yaml(PROTOCOL_FILE, files[PROTOCOL_FILE])
    policy_yaml = read_yaml(POLICY_FILE, files[POLICY_FILE])
    protocol_part = structured(ProtocolFile, protocol_yaml)
    policy_part = structured(PolicyFile, policy_yaml)
    if protocol_part is not None:
        finder = Finder(protocol_yaml.positions, protocol_yaml.problems)
        check_protocol(protocol_part, finder)
        if policy_part is not None:
            check_policy(policy_part, protocol_part, Finder(policy_yaml.positions, policy_yaml.problems))
    sound = protocol_part is not None and not protocol_yaml.problems
    question = freeze_question(protocol_part.question) if protocol_part is not None and sound else None
    problems = [*protocol_yaml.problems, *policy_yaml.problems]
    fhir_yaml = read_yaml(FHIR_FILE, files[FHIR_FILE]) if FHIR_FILE in files else None
    fhir = None if fhir_yaml is None else _fhir(fhir_yaml, protocol_part if sound else None)
    problems += [] if fhir_yaml is None else fhir_yaml.problems
    calibration = _calibration(files[CALIBRATION_FILE], problems) if CALIBRATION_FILE in files else None
    examples = read_examples(files.get(EXAMPLES_FILE, b""), question, problems)
    if problems or protocol_part is None or policy_part is None:
        raise InvalidProtocolError(
            f"the bundle has {counted(len(problems), 'problem')}", tuple(problems[:PROBLEMS_LIMIT])
        )
    protocol = freeze(protocol_part, policy_part, content_hash(files), _sha256(files[POLICY_FILE]))
    if calibration is not None and calibration.protocol_hash != protocol.content_hash:
        calibration = None
    kept = {name: bytes(files[name]) for name in SIZE_LIMITS if name in files}
    positions = {PROTOCOL_FILE: protocol_yaml.positions, POLICY_FILE: policy_yaml.positions}
    if fhir_yaml is not None:
        positions[FHIR_FILE] = fhir_yaml.positions
    return Bundle(protocol, MappingProxyType(kept), examples, MappingProxyType(positions), fhir, calibration)


def read_bundle(path: Path) -> Bundle:
    """Return the checked bundle in a directory, reading only the known files.

    Raises:
        InvalidProtocolError: with every problem found.
        NotFoundError: when there is no such directory.
    """
    if not path.is_dir():
        raise NotFoundError("expected a bundle's directory, there is none")
    return load_bundle(_read(path))


def shipped() -> tuple[str, ...]:
    """Return the ids of the protocols that come with Arbiter, sorted.

    A bundle's folder is a package and so has an underscore for each hyphen of the id.
    """
    root = package_files(_SHIPPED)
    return tuple(
        sorted(entry.name.replace("_", "-") for entry in root.iterdir() if (entry / PROTOCOL_FILE).is_file())
    )


@functools.cache
def read_shipped(name: str) -> Bundle:
    """Return a bundle that comes with Arbiter; read once a process, for what is installed stays as it is while one runs.

    Raises:
        NotFoundError: when no bundle of that name is shipped.
    """
    if name not in shipped():
        raise NotFoundError(f"expected one of the shipped protocols {', '.join(shipped())}")
    return load_bundle(_read(package_files(_SHIPPED) / name.replace("-", "_")))


def _read(folder: Path | Traversable) -> dict[str, bytes]:
    """Read at most one byte past each known file's limit, so that a huge file is refused and not held."""
    found: dict[str, bytes] = {}
    for name, limit in SIZE_LIMITS.items():
        entry = folder / name
        if entry.is_file():
            with entry.open("rb") as stream:
                found[name] = stream.read(limit + 1)
    return found


def _misfit_files(files: Mapping[str, bytes]) -> list[Problem]:
    problems = [
        Problem(f"{name}:1:1", "missing", "expected the file, it is not there")
        for name in REQUIRED_FILES
        if name not in files
    ]
    for name, source in sorted(files.items()):
        if name not in SIZE_LIMITS:
            problems.append(Problem(f"{name}:1:1", "unknown-file", f"expected only {', '.join(SIZE_LIMITS)}"))
        elif len(source) > SIZE_LIMITS[name]:
            detail = f"expected at most {SIZE_LIMITS[name]} bytes"
            problems.append(Problem(f"{name}:1:1", "limit", detail))
    return problems


def _fhir(read: YamlFile, protocol: ProtocolFile | None) -> FhirMapping | None:
    """Return the mapping in `fhir.yaml`, or None with its problems noted or where there is no sound protocol."""
    part = structured(FhirFile, read)
    if part is None or protocol is None:
        return None
    check_mapping(part, protocol, Finder(read.positions, read.problems))
    return None if read.problems else freeze_mapping(part, protocol)


def _calibration(source: bytes, problems: list[Problem]) -> Calibration | None:
    try:
        return calibration_from(source)
    except RefusedError as refused:
        problems += [
            Problem(f"{CALIBRATION_FILE}:1:1", problem.code, f"{problem.pointer or '/'}: {problem.detail}")
            for problem in refused.problems
        ]
        return None


def _sha256(source: bytes) -> str:
    return hashlib.sha256(source).hexdigest()
