"""The command line of checking an export: what was given, what is said, and the exit status that tells a script."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from arbiter.audit.export.believing import Trust
from arbiter.audit.export.checking import ExportRefusedError
from arbiter.audit.note import VerifierKey, parse_keys
from arbiter.audit.public_keys import FORMAT, read_history
from arbiter.errors import ArbiterError, VerificationError
from arbiter.verifying.report import document_of, verify, words_of

VERIFIED = 0
REFUSED = 1
UNREADABLE = 2
NOT_PROVEN = 6
"""No key came from elsewhere. The number is none that `arbiter` gives another meaning (`arbiter.cli.failing.Status`)."""

_REFUSED_SAID = "REFUSED: believe nothing of this export"


def main(arguments: Sequence[str], default: Path | None = None) -> int:
    """Check the export that the arguments name and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="verify.py",
        allow_abbrev=False,
        description="Checks an export of an Arbiter's audit log: 0 verified, 1 refused, 2 not readable, 6 not proven: "
        "without a key from elsewhere an export can only agree with itself.",
    )
    parser.add_argument(
        "export",
        nargs="?" if default else None,
        default=default,
        type=Path,
        help="The archive, or the folder it was unpacked into.",
    )
    parser.add_argument(
        "--key",
        action="append",
        default=[],
        help="The log's verifier keys, from somewhere you trust: one, or one a line.",
    )
    parser.add_argument(
        "--keys",
        action="append",
        default=[],
        type=Path,
        help="A file of them, or what `arbiter keys export-public` wrote.",
    )
    parser.add_argument("--json", action="store_true", help="Say it for programs.")
    given = parser.parse_args(arguments)
    try:
        verified = verify(given.export, trust=trust_of(given.key, given.keys))
    except ExportRefusedError as error:
        return _refused(error.findings, as_json=given.json)
    except (ArbiterError, OSError) as error:
        print(f"NOT CHECKED: {_said(error)}", file=sys.stderr)
        return UNREADABLE
    if given.json:
        print(json.dumps(document_of(verified), indent=1, ensure_ascii=False))
    else:
        print("\n".join(words_of(verified)))
    return VERIFIED if verified.evidence.trusted else NOT_PROVEN


def trust_of(keys: Sequence[str], files: Sequence[Path]) -> Trust:
    """Return what was given on the command line.

    Raises:
        ExportRefusedError: for what is no key; OSError: for a file that cannot be read.
    """
    found: list[VerifierKey] = []
    histories = []
    try:
        for text in keys:
            found += _parsed(text, "--key")
        for path in files:
            content = path.read_bytes()
            if content.startswith(f"{FORMAT}\n".encode()):
                histories.append(read_history(content))
            else:
                found += _parsed(content.decode("utf-8", "replace"), f"--keys {path}")
    except ExportRefusedError:
        raise
    except VerificationError as error:
        raise ExportRefusedError([f"the keys that were given: {error}"]) from error
    return Trust(tuple(found), tuple(histories))


def _parsed(text: str, place: str) -> tuple[VerifierKey, ...]:
    try:
        return parse_keys(text)
    except VerificationError as error:
        told = (
            f"{place}: {error}. It takes verifier keys as `arbiter keys show` prints them, one a line; a file of them goes "
            "after --keys"
        )
        raise ExportRefusedError([told]) from error


def _said(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else str(error)
    return str(error)


def _refused(findings: Sequence[str], *, as_json: bool) -> int:
    if as_json:
        refused = {"verified": False, "verdict": "refused", "findings": list(findings)}
        print(json.dumps(refused, indent=1, ensure_ascii=False))
    else:
        print("\n".join(["REFUSED:", *(f"- {finding}" for finding in findings), _REFUSED_SAID]))
    return REFUSED
