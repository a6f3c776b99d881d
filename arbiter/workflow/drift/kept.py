"""What is kept of a protocol version's watch: a canonical document of counts and martingales, sealed under the key-encryption key.

Counts name no case. But whoever had two of them that one case lies between would know into which bins its facts fell, so they
do not lie open in the database; nor does erasing a case take it out of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from arbiter.calibrating.agreement import Agreement
from arbiter.calibrating.drifting import Run, Watched, Window
from arbiter.calibrating.exchangeability import Drift, Jumper
from arbiter.documents.canonical import decode, encode
from arbiter.errors import ArbiterError, VerificationError
from arbiter.store.drifts import SealedState
from arbiter.store.vault import Vault

FORMAT: Final = "arbiter/drift-state/v1"


def watch_of(protocol_hash: str) -> str:
    """Return the name to which a protocol version's state is bound when it is sealed."""
    return f"drift/{protocol_hash}"


def seal_watched(vault: Vault, protocol_hash: str, watched: Watched) -> SealedState:
    """Return the state as it is kept."""
    return SealedState(*vault.seal_secret(watch_of(protocol_hash), encode(_document(watched))))


def open_watched(vault: Vault, protocol_hash: str, kept: SealedState) -> Watched:
    """Return the state that is kept; raise VerificationError when it is not one that was ever sealed for this version."""
    content = vault.open_secret(watch_of(protocol_hash), kept.kek_id, kept.sealed)
    try:
        return _watched(decode(content))
    except (ArbiterError, KeyError, TypeError, ValueError) as error:
        raise VerificationError(
            f"what is kept of the watch over {protocol_hash} was never written"
        ) from error


def _document(watched: Watched) -> dict[str, Any]:
    # Numbers as the shortest text that reads back as the same: a state that is read and kept again has not moved.
    return {
        "format": FORMAT,
        "delta": repr(watched.delta),
        "reference": watched.reference,
        "cases": watched.cases,
        "runs": [_run_document(run) for run in watched.runs],
        "windows": [_window_document(window) for window in watched.windows],
    }


def _run_document(run: Run) -> dict[str, Any]:
    drift = run.drift
    return {
        "stream": run.stream,
        "number": run.number,
        "delta": repr(drift.delta),
        "counts": list(drift.counts),
        "place": _jumper_document(drift.place),
        "spread": _jumper_document(drift.spread),
        "highest": repr(drift.highest),
    }


def _jumper_document(jumper: Jumper) -> list[str]:
    return [repr(jumper.log_value), *map(repr, jumper.shares)]


def _window_document(window: Window) -> dict[str, Any]:
    return {
        "asks": window.asks,
        "number": window.number,
        "units": window.agreement.units,
        "given": [[option, count] for option, count in window.agreement.given],
        "differing": [[size, pairs] for size, pairs in window.agreement.differing],
    }


def _watched(document: Mapping[str, Any]) -> Watched:
    if document["format"] != FORMAT:
        raise ValueError(f"expected {FORMAT}")
    reference = int(document["reference"])
    return Watched(
        delta=float(document["delta"]),
        reference=reference,
        cases=int(document["cases"]),
        runs=tuple(_run(run, reference) for run in document["runs"]),
        windows=tuple(_window(window) for window in document["windows"]),
    )


def _run(document: Mapping[str, Any], reference: int) -> Run:
    drift = Drift(
        delta=float(document["delta"]),
        reference=reference,
        counts=tuple(int(count) for count in document["counts"]),
        place=_jumper(document["place"]),
        spread=_jumper(document["spread"]),
        highest=float(document["highest"]),
    )
    return Run(str(document["stream"]), int(document["number"]), drift)


def _jumper(texts: list[str]) -> Jumper:
    log_value, *shares = map(float, texts)
    return Jumper(log_value, tuple(shares))


def _window(document: Mapping[str, Any]) -> Window:
    agreement = Agreement(
        units=int(document["units"]),
        given=tuple((str(option), int(count)) for option, count in document["given"]),
        differing=tuple((int(size), int(pairs)) for size, pairs in document["differing"]),
    )
    return Window(str(document["asks"]), int(document["number"]), agreement)
