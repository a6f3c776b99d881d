"""What checking an export says, to a person or a program; the last line is the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_never

import cryptography

from arbiter.audit.export.believing import Trust
from arbiter.audit.export.checking import Evidence, ExportRefusedError, check_export
from arbiter.audit.export.newest import Second
from arbiter.audit.note import VerifierKey
from arbiter.errors import VerificationError, counted
from arbiter.verifying.containers import opened
from arbiter.verifying.deciding_again import DecidedAgain, can_evaluate, decide_again
from arbiter.verifying.signing_again import SignedAgain, check_signatures

MOST_CHAINS_SAID = 50

_SELF_ONLY = (
    "NOT PROVEN: no key was given, so all this shows is that the export agrees with itself, as a forger's would. "
    "Get the log's verifier key by another way, and give it with --key, or a file of it with --keys"
)
_AS_RECORDED = (
    "rule hits: taken as recorded, because the library that evaluates rules (CEL) is not installed here"
)
_EVALUATED = "rule hits: evaluated anew, the library for it is installed here"


@dataclass(frozen=True, slots=True)
class Verified:
    """An export that checks out, what deciding again said of its certificates, and what was found of its signatures."""

    evidence: Evidence
    again: tuple[DecidedAgain, ...]
    signatures: tuple[SignedAgain, ...]


def verify(path: Path, trusted: Sequence[VerifierKey] = (), trust: Trust | None = None) -> Verified:
    """Check everything about the export at `path`; `trusted` are keys from elsewhere, `trust` the same with more.

    Raises:
        ExportRefusedError: with all that was found wrong, certificates that came out otherwise among it.
    """
    try:
        brought = Trust(tuple(trusted)) if trust is None else trust
        with opened(path, brought) as members:
            evidence = check_export(members, trust=brought)
            again = tuple(decide_again(members, evidence))
            signatures = tuple(check_signatures(members, evidence))
    except ExportRefusedError:
        raise
    except VerificationError as error:
        raise ExportRefusedError([str(error)]) from error
    wrong = [f"case {step.case}, entry {step.seq}: {step.said}" for step in again if not step.same]
    wrong += [f"case {step.case}, entry {step.seq}: {step.said}" for step in signatures if not step.good]
    if wrong:
        raise ExportRefusedError(wrong)
    return Verified(evidence, again, signatures)


def words_of(verified: Verified) -> list[str]:
    """Return what an export shows, a line a sentence."""
    evidence, manifest = verified.evidence, verified.evidence.manifest
    checkpoint = evidence.checkpoint
    witnesses = [signature.key.name for signature in evidence.opened.cosignatures]
    said = "checked" if evidence.trusted else "consistent with itself alone, NOT PROVEN"
    lines = [
        f"{said}: {manifest.entries} entries of {counted(manifest.chains, 'chain')} of {checkpoint.origin}",
        f"under its checkpoint of {checkpoint.size} entries",
        f"made {manifest.made_at} by {manifest.made_by} with Arbiter {manifest.code_version}",
        f"cosigned by {', '.join(witnesses)}" if witnesses else "cosigned by no witness whose key is known",
        _keys_said(evidence),
        _second_said(evidence),
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
    lines += [f"case {step.case}, entry {step.seq}: {step.said}" for step in verified.signatures]
    if passed := _passed_over(verified):
        lines.append(f"{passed} certificates of cases not shown whole: not recomputed")
    lines += [f"case {case}: its documents were asked for and did not open" for case in manifest.unopened]
    lines += [f"not shown: {sentence}" for sentence in manifest.document()["proves_not"]]
    return [*lines, _verdict_said(evidence)]


def _keys_said(evidence: Evidence) -> str:
    if not evidence.trusted:
        return f"keys: taken from the export itself, signed by key {evidence.signer.key_id.hex()}"
    statements = counted(evidence.followed, "statement")
    return (
        f"keys: those that were given, and where they lead; {statements} about the log's keys; signed by key "
        f"{evidence.signer.key_id.hex()}"
    )


def _second_said(evidence: Evidence) -> str:
    match evidence.second:
        case Second.GOOD:
            return "second signature (ML-DSA-44) on the newest checkpoint: good"
        case Second.NOT_CHECKED:
            return (
                f"second signature (ML-DSA-44): NOT CHECKED, cryptography {cryptography.__version__} cannot; its wheels do "
                "from 48.0.0 on. Everything said here rests on Ed25519"
            )
        case Second.NO_KEY:
            return "second signature (ML-DSA-44): none, this log has no key for it"
        case _:
            assert_never(evidence.second)


def _verdict_said(evidence: Evidence) -> str:
    if not evidence.trusted:
        return _SELF_ONLY
    return f"VERIFIED: everything agrees, under a key of {evidence.checkpoint.origin} that you gave or that follows from it"


def _passed_over(verified: Verified) -> int:
    """Return how many certificates are shown that could not be decided again, because entries before them are not."""
    shown = (documents for _, documents in verified.evidence.disclosed.values())
    return sum(d.name == "certificate" for documents in shown for d in documents) - len(verified.again)


def document_of(verified: Verified) -> dict[str, Any]:
    """Return the same for a program."""
    evidence, manifest = verified.evidence, verified.evidence.manifest
    return {
        "verified": evidence.trusted,
        "verdict": "verified" if evidence.trusted else "not proven",
        "origin": evidence.checkpoint.origin,
        "checkpoint_size": evidence.checkpoint.size,
        "checkpoints": evidence.checkpoints,
        "keys_from_outside": evidence.trusted,
        "signed_by": evidence.signer.label,
        "statements_about_keys": evidence.followed,
        "second_signature": evidence.second.value,
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
        "signatures": [
            {"case": step.case, "entry": step.seq, "said": step.said} for step in verified.signatures
        ],
        "certificates_not_recomputed": _passed_over(verified),
        "rules_evaluated_anew": bool(verified.again) and can_evaluate(),
        "proves_not": manifest.document()["proves_not"],
    }
