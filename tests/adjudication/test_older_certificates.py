"""Certificates that older code made come out byte for byte as they were; those of today say by which words they are made."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from arbiter.adjudication.certifying import Circumstances, signed_certificate
from arbiter.documents.calibrations import sealed
from arbiter.documents.canonical import decode, encode
from arbiter.documents.taken import TakenFacts
from arbiter.errors import ArbiterError, VerificationError
from arbiter.model import CaseId, RiskClass
from arbiter.policy import Ruling, compile_policy
from tests.adjudication.recorded import Kept, Recorded, opened, record

OLDER = opened(Path(__file__).with_name("certificates_before_words.json"))
NAMES = [case.name for case in OLDER]


@pytest.fixture(scope="module")
def todays(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recorded, ...]:
    path = tmp_path_factory.mktemp("today") / "certificates.json"
    path.write_text(record(), encoding="utf-8")
    return opened(path)


def named(cases: tuple[Recorded, ...], name: str) -> Recorded:
    return next(case for case in cases if case.name == name)


def first(case: Recorded) -> Kept:
    return next(case.certificates())


@pytest.mark.parametrize("case", OLDER, ids=NAMES)
def test_an_older_certificate_is_made_again_byte_for_byte(case: Recorded) -> None:
    assert list(case.certificates())
    for certificate in case.certificates():
        assert "words" not in decode(certificate.content)
        assert case.again(certificate) == certificate.content


@pytest.mark.parametrize("name", NAMES)
def test_todays_certificate_says_its_words_and_is_made_again_too(
    todays: tuple[Recorded, ...], name: str
) -> None:
    case = named(todays, name)
    for certificate in case.certificates():
        assert decode(certificate.content)["words"] == 2
        assert case.again(certificate) == certificate.content


@pytest.mark.parametrize("name", NAMES)
def test_what_was_decided_and_why_is_the_same_in_either_words(
    todays: tuple[Recorded, ...], name: str
) -> None:
    """The words say more of a verdict, and change nothing about it: what is no word and no note is equal.

    The protocol states usual ranges by now, which decide nothing: its hash is another, and nothing else of it is.
    """
    for before, now in zip(
        named(OLDER, name).certificates(), named(todays, name).certificates(), strict=True
    ):
        old, new = decode(before.content), decode(now.content)
        assert old.keys() | {"words"} == new.keys()
        assert old["protocol"] | {"hash": new["protocol"]["hash"]} == new["protocol"]
        told = {"words", "plain", "calibration", "protocol"}
        assert {k: v for k, v in old.items() if k not in told} == {
            k: v for k, v in new.items() if k not in told
        }
        # A calibration is one version's of a protocol: its hash is another with the protocol's.
        was, is_now = old.get("calibration", {}), new.get("calibration", {})
        if was:
            was = was | {"hash": is_now["hash"]}
        assert was.items() <= is_now.items()


@pytest.mark.parametrize("name", ["sick", "one-missing", "nothing-certified", "no-calibration"])
def test_an_older_certificate_said_to_be_in_todays_words_comes_out_otherwise(name: str) -> None:
    case = named(OLDER, name)
    certificate = first(case)
    stated = {**decode(certificate.content), "words": 2}
    assert case.again(certificate, stated) != certificate.content
    assert case.again(certificate, stated) != encode(stated)


@pytest.mark.parametrize("name", ["sick", "one-missing", "nothing-certified", "no-calibration"])
def test_todays_certificate_without_its_words_comes_out_otherwise(
    todays: tuple[Recorded, ...], name: str
) -> None:
    case = named(todays, name)
    certificate = first(case)
    stated = {key: value for key, value in decode(certificate.content).items() if key != "words"}
    assert case.again(certificate, stated) != encode(stated)


@pytest.mark.parametrize("words", [0, 3, -1, "2", None, [2], 1 << 70, "A" * 1000])
def test_words_that_this_code_does_not_know_are_refused(todays: tuple[Recorded, ...], words: object) -> None:
    case = named(todays, "sick")
    certificate = first(case)
    with pytest.raises(VerificationError, match="expected a certificate in words 1 to 2") as refused:
        case.again(certificate, {**decode(certificate.content), "words": words})
    assert len(str(refused.value)) < 150


@pytest.mark.parametrize("words", [1, True])
def test_the_first_words_stated_are_not_the_bytes_of_a_certificate_that_states_none(words: object) -> None:
    case = named(OLDER, "sick")
    stated = {**decode(first(case).content), "words": words}
    assert case.again(first(case), stated) != encode(stated)


def test_a_case_shown_in_older_words_is_signed_in_them() -> None:
    """A clinician signs the panel's part as it was shown, also where the code became newer in between."""
    case = named(OLDER, "not-certain-enough")
    shown, recorded = case.certificates()
    around = Circumstances(
        CaseId(case.name),
        RiskClass.ROUTINE,
        human_required=False,
        automatic=True,
        concluded_at=datetime.fromisoformat(decode(recorded.content)["concluded_at"]).astimezone(UTC),
    )
    signature = next(kept for kept in case.documents if kept.name == "signature")
    made = signed_certificate(
        around,
        Ruling(case.protocol, compile_policy(case.protocol)),
        TakenFacts.decode(case.documents[0].content),
        case.opinions(),
        decode(shown.content),
        signature.content,
    )
    assert made == recorded.content


# --- what is changed is told ----------------------------------------------------------------------------------------------


def retold(case: Recorded, name: str, change: Any) -> Recorded:
    """Change the first of a case's documents of that name."""
    documents = list(case.documents)
    at = next(at for at, kept in enumerate(documents) if kept.name == name)
    content = decode(documents[at].content)
    change(content)
    documents[at] = replace(documents[at], content=encode(content))
    return replace(case, documents=tuple(documents))


def vote_otherwise(opinion: dict[str, Any]) -> None:
    opinion["votes"] = {"continue-monitoring": 1}


@pytest.mark.parametrize("when", ["older", "today"])
@pytest.mark.parametrize("name", ["sick", "one-missing", "nothing-certified", "above-a-level"])
def test_a_changed_opinion_gives_other_bytes(todays: tuple[Recorded, ...], when: str, name: str) -> None:
    case = named(OLDER if when == "older" else todays, name)
    if name == "one-missing":
        changed = retold(case, "opinion", lambda opinion: opinion.update(votes={"urgent-review": 1}))
    else:
        changed = retold(case, "opinion", vote_otherwise)
    certificate = first(changed)
    assert changed.again(certificate) != certificate.content


@pytest.mark.parametrize("name", ["sick", "nothing-certified", "above-a-level", "not-certain-enough"])
@pytest.mark.parametrize("what", ["errors", "accepted", "bound", "threshold"])
def test_a_changed_level_of_the_calibration_gives_other_bytes(
    todays: tuple[Recorded, ...], name: str, what: str
) -> None:
    """Even if it was kept under its old hash: the numbers that the certificate states are not those."""
    case = named(todays, name)
    certificate = first(case)
    known = case.calibrations[decode(certificate.content)["calibration"]["hash"]]

    def bent(level: Any) -> Any:
        return level if level is None else replace(level, **{what: getattr(level, what) + 1})

    strata = tuple(
        replace(each, certified=bent(each.certified), tested=tuple(map(bent, each.tested)))
        for each in known.strata
    )
    forged = replace(known, strata=strata)
    assert sealed(forged).content_hash != known.content_hash
    changed = replace(case, calibrations={known.content_hash: forged})
    assert changed.again(certificate) != certificate.content


def test_a_calibration_that_is_not_there_is_told(todays: tuple[Recorded, ...]) -> None:
    case = replace(named(todays, "sick"), calibrations={})
    with pytest.raises((ArbiterError, KeyError)):
        case.again(first(case))
