"""What checking an export says, to a person or a program; the exit status tells a script."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arbiter.audit.export.checking import Evidence, ExportRefusedError, check_export
from arbiter.audit.note import VerifierKey, parse_keys
from arbiter.errors import ArbiterError, VerificationError
from arbiter.verifying.containers import opened
from arbiter.verifying.deciding_again import DecidedAgain, can_evaluate, decide_again

VERIFIED = 0
REFUSED = 1
UNREADABLE = 2
MOST_CHAINS_SAID = 50

_SELF_ONLY = (
    "keys: taken from the export itself, so all this shows is that it agrees with itself; "
    "ask for the log's verifier key by another way and give it with --key"
)
_AS_RECORDED = (
    "rule hits: taken as recorded, because the library that evaluates rules (CEL) is not installed here"
)
_EVALUATED = "rule hits: evaluated anew, the library for it is installed here"


@dataclass(frozen=True, slots=True)
class Verified:
    """An export that checks out, and what deciding again said of its certificates."""

    evidence: Evidence
    again: tuple[DecidedAgain, ...]


def verify(path: Path, trusted: Sequence[VerifierKey] = ()) -> Verified:
    """Check everything about the export at `path`.

    Raises:
        ExportRefusedError: with all that was found wrong, certificates that came out otherwise among it.
    """
    try:
        with opened(path, trusted) as members:
            evidence = check_export(members, trusted)
            again = tuple(decide_again(members, evidence))
    except ExportRefusedError:
        raise
    except VerificationError as error:
        raise ExportRefusedError([str(error)]) from error
    wrong = [f"case {step.case}, entry {step.seq}: {step.said}" for step in again if not step.same]
    if wrong:
        raise ExportRefusedError(wrong)
    return Verified(evidence, again)


def words_of(verified: Verified) -> list[str]:
    """Return what an export shows, a line a sentence."""
    evidence, manifest = verified.evidence, verified.evidence.manifest
    checkpoint = evidence.checkpoint
    witnesses = [signature.key.name for signature in evidence.opened.cosignatures]
    lines = [
        f"verified: {manifest.entries} entries of {manifest.chains} chains of {checkpoint.origin}",
        f"under its checkpoint of {checkpoint.size} entries",
        f"made {manifest.made_at} by {manifest.made_by} with Arbiter {manifest.code_version}",
        f"cosigned by {', '.join(witnesses)}" if witnesses else "cosigned by no witness whose key is known",
        "keys: those that were given" if evidence.trusted else _SELF_ONLY,
    ]
    if manifest.whole:
        lines.append(f"the whole log, under {evidence.checkpoints} checkpoints")
    lines += [str(recovery) for recovery in evidence.recoveries]
    lines += [chain.said() for chain in evidence.chains[:MOST_CHAINS_SAID]]
    if len(evidence.chains) > MOST_CHAINS_SAID:
        lines.append(f"and {len(evidence.chains) - MOST_CHAINS_SAID} more chains, which --json lists")
    if evidence.disclosed:
        lines.append(f"documents: {manifest.payloads}, each as its entry commits to it")
    lines += [f"case {step.case}, entry {step.seq}: {step.said}" for step in verified.again]
    if verified.again:
        lines.append(_EVALUATED if can_evaluate() else _AS_RECORDED)
    if passed := _passed_over(verified):
        lines.append(f"{passed} certificates of cases not shown whole: not recomputed")
    lines += [f"case {case}: its documents were asked for and did not open" for case in manifest.unopened]
    return lines + [f"not shown: {sentence}" for sentence in manifest.document()["proves_not"]]


def _passed_over(verified: Verified) -> int:
    """Return how many certificates are shown that could not be decided again, because entries before them are not."""
    shown = (documents for _, documents in verified.evidence.disclosed.values())
    return sum(d.name == "certificate" for documents in shown for d in documents) - len(verified.again)


def document_of(verified: Verified) -> dict[str, Any]:
    """Return the same for a program."""
    evidence, manifest = verified.evidence, verified.evidence.manifest
    return {
        "verified": True,
        "origin": evidence.checkpoint.origin,
        "checkpoint_size": evidence.checkpoint.size,
        "checkpoints": evidence.checkpoints,
        "keys_from_outside": evidence.trusted,
        "cosigned_by": [signature.key.name for signature in evidence.opened.cosignatures],
        "whole": manifest.whole,
        "recoveries": [str(recovery) for recovery in evidence.recoveries],
        "entries": manifest.entries,
        "documents": manifest.payloads,
        "unopened": list(manifest.unopened),
        "chains": [
            {
                "case": chain.case,
                "entries": chain.entries,
                "last": chain.last,
                "complete_up_to_last": chain.complete,
                "closed": chain.closed,
            }
            for chain in evidence.chains
        ],
        "certificates": [
            {"case": step.case, "entry": step.seq, "same": step.same, "said": step.said}
            for step in verified.again
        ],
        "certificates_not_recomputed": _passed_over(verified),
        "rules_evaluated_anew": bool(verified.again) and can_evaluate(),
        "proves_not": manifest.document()["proves_not"],
    }


def main(arguments: Sequence[str], default: Path | None = None) -> int:
    """Check the export that the arguments name and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="verify.py",
        allow_abbrev=False,
        description="Checks an export of an Arbiter's audit log: 0 verified, 1 refused, 2 not readable.",
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
    parser.add_argument("--json", action="store_true", help="Say it for programs.")
    given = parser.parse_args(arguments)
    try:
        verified = verify(given.export, tuple(key for keys in given.key for key in parse_keys(keys)))
    except ExportRefusedError as error:
        return _refused(error.findings, as_json=given.json)
    except (ArbiterError, OSError) as error:
        print(f"cannot be checked: {error}", file=sys.stderr)
        return UNREADABLE
    if given.json:
        print(json.dumps(document_of(verified), indent=1, ensure_ascii=False))
    else:
        print("\n".join(words_of(verified)))
    return VERIFIED


def _refused(findings: Sequence[str], *, as_json: bool) -> int:
    if as_json:
        print(json.dumps({"verified": False, "findings": list(findings)}, indent=1, ensure_ascii=False))
    else:
        print("\n".join(["REFUSED:", *(f"- {finding}" for finding in findings)]))
    return REFUSED
