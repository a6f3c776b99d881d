"""A signature says what was shown: every document behind the page is compared, and what became of the own opinion too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from arbiter.adjudication.signatures import check_signature, signature_block
from arbiter.documents.canonical import decode, encode
from arbiter.documents.signing import Fate, Shown, fate_of, sha256_of
from arbiter.errors import ArbiterError, VerificationError
from tests.adjudication.recorded import Kept

CASE = "c_case"
MEANING = "I have judged."


def documents() -> list[Kept]:
    """A case of a patient, whose panel leans to b; Anna said a before it was shown, and another reader said b."""
    return [
        Kept(0, "request", encode({"site": "north"})),
        Kept(1, "facts", encode({"version": 1})),
        Kept(2, "context", encode({"note": "seen at home"})),
        Kept(3, "certificate", encode({"verdict": {"leading": "b"}})),
        Kept(4, "review", encode({"reviewer": "a_ben", "option": "b"})),
        Kept(5, "review", encode({"reviewer": "a_anna", "option": "a"})),
        Kept(6, "reason", encode({"kind": "referred", "reason": "beyond me"})),
    ]


def page(kept: list[Kept]) -> Shown:
    request, facts, context, certificate, reader, own, reason = (
        sha256_of(document.content) for document in kept
    )
    return Shown(CASE, request, facts, certificate, MEANING, own, (reader,), context, (reason,))


def signed(shown: Shown, /, **changes: Any) -> Kept:
    document = {
        "format": "arbiter/signature/v2",
        "reviewer": "a_anna",
        "name": "Anna",
        "option": "b",
        "own_option": "a",
        "own_opinion": "adopted",
        "meaning": MEANING,
        "reason": "the trend",
        "shown": shown.certificate,
        "page": shown.document(),
        "way": "password",
        "signed_at": "2026-11-27T09:00:00.000000Z",
    }
    return Kept(7, "signature", encode(document | changes))


def test_a_signature_over_what_was_shown_checks_out() -> None:
    check_signature(CASE, documents(), signed(page(documents())))


@pytest.mark.parametrize("name", ["request", "facts", "context", "certificate", "review", "reason"])
def test_a_document_that_was_not_shown_is_told(name: str) -> None:
    """An insider who changes one after it was shown, or puts another in its place."""
    kept = documents()
    signature = signed(page(kept))
    at = next(at for at, document in enumerate(kept) if document.name == name)
    kept[at] = replace(kept[at], content=encode(decode(kept[at].content) | {"later": True}))
    with pytest.raises(VerificationError, match="not the one kept before it"):
        check_signature(CASE, kept, signature)


@pytest.mark.parametrize(
    "change",
    [
        lambda shown: replace(shown, case="c_other"),
        lambda shown: replace(shown, meaning="I was there."),
        lambda shown: replace(shown, own=None),
        lambda shown: replace(shown, own=shown.readers[0]),
        lambda shown: replace(shown, context=None),
        lambda shown: replace(shown, readers=("0" * 64,)),
        lambda shown: replace(shown, readers=(shown.facts,)),
        lambda shown: replace(shown, readers=(shown.own,)),
        lambda shown: replace(shown, handed=("0" * 64,)),
        lambda shown: replace(shown, handed=shown.readers),
        lambda shown: replace(shown, certificate="0" * 64),
    ],
)
def test_a_page_that_cannot_have_been_shown_is_refused(change: Callable[[Shown], Shown]) -> None:
    kept = documents()
    with pytest.raises(VerificationError):
        check_signature(CASE, kept, signed(change(page(kept))))


@pytest.mark.parametrize(
    "changes",
    [
        {"own_opinion": "kept"},
        {"own_opinion": "changed"},
        {"own_option": "b"},
        {"own_option": ""},
        {"option": "a"},
        {"reviewer": "a_ben"},
        {"meaning": "I was there."},
        {"way": "passkey"},
        {"passkey": {}},
        {"shown": "0" * 64},
        {"format": "arbiter/signature/v3", "page": {}},
    ],
    ids=str,
)
def test_a_signature_that_says_otherwise_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ArbiterError):
        check_signature(CASE, documents(), signed(page(documents()), **changes))


def test_what_came_after_the_signature_is_not_what_was_shown() -> None:
    kept = documents()
    late = [*kept[:3], replace(kept[3], seq=9), *kept[4:]]
    with pytest.raises(VerificationError):
        check_signature(CASE, late, signed(page(kept)))


def first(**changes: Any) -> Kept:
    document = decode(signed(page(documents())).content)
    for name in ("format", "own_opinion", "page", "way"):
        del document[name]
    return Kept(7, "signature", encode(document | changes))


def test_an_older_signature_is_held_to_its_certificate_and_says_neither_way_nor_page() -> None:
    check_signature(CASE, documents(), first())
    block = signature_block(decode(first().content))
    assert (block.fate, block.way, block.shown) == (None, None, None)
    with pytest.raises(VerificationError, match="certificate"):
        check_signature(CASE, documents(), first(shown="0" * 64))


@pytest.mark.parametrize("format_", ["arbiter/signature/v1", "arbiter/signature/v3", "", 2])
def test_a_format_that_this_code_does_not_know_is_refused(format_: object) -> None:
    document = decode(signed(page(documents())).content) | {"format": format_}
    with pytest.raises(VerificationError, match="expected a signature"):
        signature_block(document)


@pytest.mark.parametrize(
    ("option", "own", "leading", "fate"),
    [
        ("a", "a", "a", Fate.KEPT),
        ("a", "a", "b", Fate.KEPT),
        ("a", "a", None, Fate.KEPT),
        ("b", "a", "b", Fate.ADOPTED),
        ("b", None, "b", Fate.ADOPTED),
        ("b", "a", None, Fate.CHANGED),
        ("c", "a", "b", Fate.CHANGED),
        ("a", None, "b", Fate.NOT_COMMITTED),
        ("a", None, None, Fate.NOT_COMMITTED),
    ],
)
def test_what_became_of_the_own_opinion(
    option: str, own: str | None, leading: str | None, fate: Fate
) -> None:
    assert fate_of(option, own, leading) is fate
