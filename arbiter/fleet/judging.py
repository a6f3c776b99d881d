"""What a replica showed, compared with what the protocol and the fleet file say: a line for each thing compared."""

from __future__ import annotations

import os.path
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from arbiter.errors import ConfigurationError
from arbiter.fleet.fleet import Serve
from arbiter.fleet.probing import Card, Silence, shown
from arbiter.question import ModelSpec


class State(StrEnum):
    """How one comparison came out. `unknown` is what cannot be told from here, or what no file states."""

    PROVEN = "proven"
    WRONG = "wrong"
    SILENT = "silent"
    UNKNOWN = "unknown"


class Check(StrEnum):
    """What is compared."""

    ANSWER = "answer"
    NAME = "name"
    KIND = "kind"
    FOLDER = "folder"
    CONTEXT = "context"
    VERSION = "version"
    WEIGHTS = "weights"


@dataclass(frozen=True, slots=True)
class Line:
    """One comparison: what was expected, what came, and what to do unless it is right."""

    check: Check
    state: State
    expected: str
    came: str
    advice: str = ""


_START = "start it with the command line of `arbiter panel serve`"
_CHANGED = (
    "put the right files back and start the server again; if the new ones are meant, they are another member: "
    "write their hash into a new version of the protocol"
)


def judge(
    model: ModelSpec,
    serve: Serve | None,
    cards: Sequence[Card],
    answer: str | Silence,
    version: str | Silence,
    engine: str | None,
    weights: str | Silence | ConfigurationError,
) -> tuple[Line, ...]:
    """Return every comparison for a seat at a replica that lists its models.

    `answer` is the model that completed the probe; `engine` the version that the server's replicas are to have.
    """
    listed = [card for card in cards if card.id == model.name]
    if len(listed) != 1:
        names = ", ".join(shown(card.id) for card in cards) or "nothing"
        came = f"it serves {names}" if not listed else "it serves two of that name"
        return (Line(Check.NAME, State.WRONG, model.name, came, f"it serves other models: {_START}"),)
    card = listed[0]
    bases = [other for other in cards if other.id == card.parent]
    base = card if card.parent is None else next(iter(bases), None)
    return (
        _answer(model, answer),
        Line(Check.NAME, State.PROVEN, model.name, model.name),
        _kind(model, card, cards),
        _folder(model, serve, card, base),
        _context(model, serve, base),
        _version(version, engine),
        _weights(model, weights),
    )


def _answer(model: ModelSpec, answer: str | Silence) -> Line:
    expected = f"a completion by {model.name}"
    match answer:
        case Silence():
            advice = f"the server lists the model and does not compute: see its log, then {_START}"
            return Line(Check.ANSWER, State.SILENT, expected, answer.cause, advice)
        case model.name:
            return Line(Check.ANSWER, State.PROVEN, expected, "one token")
        case _:
            came = f"{shown(answer)} answered"
            return Line(
                Check.ANSWER, State.WRONG, expected, came, "something between here and vLLM answers for it"
            )


def _kind(model: ModelSpec, card: Card, cards: Sequence[Card]) -> Line:
    expected = "an adapter on its base" if model.adapter is not None else "a base model, no adapter beside it"
    if model.adapter is None and card.parent is not None:
        came = f"an adapter on {shown(card.parent)}"
    elif model.adapter is None and any(other.parent is not None for other in cards):
        came = "a base with adapters beside it"
    elif model.adapter is not None and card.parent is None:
        came = "a base model"
    elif model.adapter is not None and all(other.id != card.parent for other in cards):
        came = "an adapter on a base that is not listed"
    elif model.adapter not in {None, model.name}:
        advice = (
            "a server knows an adapter by the name it serves it under: in a new version of the protocol, write one for "
            "`name` and `adapter`"
        )
        return Line(
            Check.KIND, State.WRONG, f"the adapter {model.adapter}", f"the adapter {shown(card.id)}", advice
        )
    else:
        return Line(Check.KIND, State.PROVEN, expected, expected)
    return Line(Check.KIND, State.WRONG, expected, came, f"it was started with other models: {_START}")


def _folder(model: ModelSpec, serve: Serve | None, card: Card, base: Card | None) -> Line:
    if serve is None:
        return Line(Check.FOLDER, State.UNKNOWN, "no file says", shown(card.root or "it does not say"))
    wanted = [serve.model] if model.adapter is None else [serve.adapters.get(model.name), serve.model]
    roots = [card.root] if model.adapter is None else [card.root, None if base is None else base.root]
    expected = ", ".join("no adapter of that name" if place is None else str(place) for place in wanted)
    came = ", ".join(shown(root or "it does not say") for root in roots)
    if all(_same(place, root) for place, root in zip(wanted, roots, strict=True)):
        return Line(Check.FOLDER, State.PROVEN, expected, came)
    return Line(Check.FOLDER, State.WRONG, expected, came, f"it was started from elsewhere: {_START}")


def _same(place: Path | None, root: str | None) -> bool:
    if place is None or root is None:
        return False
    return Path(root) == place.absolute() or os.path.realpath(root) == os.path.realpath(place)


def _context(model: ModelSpec, serve: Serve | None, base: Card | None) -> Line:
    least = model.max_tokens + 1 if serve is None else serve.context
    expected = f"at least {least} tokens"
    tokens = None if base is None else base.max_model_len
    if tokens is None:
        return Line(Check.CONTEXT, State.UNKNOWN, expected, "it does not say")
    if tokens >= least:
        return Line(Check.CONTEXT, State.PROVEN, expected, f"{tokens} tokens")
    return Line(
        Check.CONTEXT, State.WRONG, expected, f"{tokens} tokens", f"answers would be cut short: {_START}"
    )


def _version(version: str | Silence, engine: str | None) -> Line:
    expected = "one that it tells" if engine is None else f"vLLM {engine}"
    if isinstance(version, Silence):
        state = State.UNKNOWN if engine is None else State.SILENT
        return Line(
            Check.VERSION, state, expected, version.cause, "see that its /version can be reached from here"
        )
    came = f"vLLM {shown(version)}"
    if engine == version:
        return Line(Check.VERSION, State.PROVEN, expected, came)
    advice = "the version is part of a member's identity: serve with that one, or correct `version` in the fleet file"
    return Line(Check.VERSION, State.WRONG, expected, came, advice)


def _weights(model: ModelSpec, weights: str | Silence | ConfigurationError) -> Line:
    if model.weights_sha256 is None:
        advice = "write the hash of the weights into the protocol: `arbiter panel weights` prints it"
        return Line(Check.WEIGHTS, State.UNKNOWN, "the protocol states none", "not read", advice)
    match weights:
        case Silence():
            return Line(Check.WEIGHTS, State.UNKNOWN, model.weights_sha256, weights.cause)
        case ConfigurationError():
            return Line(Check.WEIGHTS, State.WRONG, model.weights_sha256, str(weights), _CHANGED)
        case model.weights_sha256:
            return Line(Check.WEIGHTS, State.PROVEN, model.weights_sha256, weights)
        case _:
            return Line(Check.WEIGHTS, State.WRONG, model.weights_sha256, weights, _CHANGED)
