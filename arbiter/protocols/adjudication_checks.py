"""Checks that how a protocol weighs opinions fits its panel and its question."""

from __future__ import annotations

from decimal import Decimal

from arbiter.files.faults import Finder
from arbiter.protocols.schema import AdjudicationPart, ProtocolFile, SeatPart
from arbiter.question import QUESTION, Strategy


def check_adjudication(protocol: ProtocolFile, finder: Finder) -> None:
    """Check `adjudication` against the panel and the options of the question."""
    _check_quorum(protocol.adjudication, protocol.panel, finder)
    _check_guarantee(protocol, finder)
    if protocol.adjudication.facts_on and not protocol.adjudication.asks_for_facts:
        finder.report(("adjudication", "facts_on"), "value", "expected none where `asks_for_facts` is false")


def _check_quorum(settings: AdjudicationPart, panel: list[SeatPart], finder: Finder) -> None:
    voting = [seat for seat in panel if seat.asks == QUESTION]
    if not voting:
        _check_without_voters(settings, finder)
        return
    for key, least in (("least_valid", settings.least_valid), ("least_families", settings.least_families)):
        if least < 1:
            finder.report(("adjudication", key), "value", f"expected a number of at least 1, {least} came")
    families = {seat.family for seat in voting}
    limits: tuple[tuple[str, Decimal | int, int, str], ...] = (
        ("least_valid", settings.least_valid, len(voting), "voting seats"),
        ("least_families", settings.least_families, len(families), "families of voting seats"),
        ("least_effective", settings.least_effective, len(voting), "voting seats"),
    )
    for key, value, limit, what in limits:
        if value > limit:
            finder.report(
                ("adjudication", key), "value", f"expected at most the {limit} {what}, {value} came"
            )


def _check_guarantee(protocol: ProtocolFile, finder: Finder) -> None:
    """One strategy is certified from labelled cases; to the others the protocol itself says how much is enough."""
    settings = protocol.adjudication
    certified = settings.strategy is Strategy.POSTERIOR
    for key, given, wanted in (
        ("threshold", settings.threshold is not None, not certified),
        ("guarantee", settings.guarantee is not None, certified),
    ):
        if given and not wanted:
            finder.report(
                ("adjudication", key),
                "unknown-key",
                f"expected no {key!r} with the strategy {settings.strategy.value!r}",
            )
        if wanted and not given:
            finder.report(
                ("adjudication",),
                "missing",
                f"expected the key {key!r} with the strategy {settings.strategy.value!r}",
            )
    options = {option.id for option in protocol.question.options}
    for name in settings.guarantee.error_rates if settings.guarantee is not None else ():
        if name not in options:
            finder.report(
                ("adjudication", "guarantee", "error_rates", name),
                "reference",
                f"expected an option of the question, {name!r} came",
            )


def _check_without_voters(settings: AdjudicationPart, finder: Finder) -> None:
    """A panel that only answers facets has no quorum to set and no answer that a further fact could bring about."""
    limits: tuple[tuple[str, Decimal | int], ...] = (
        ("least_valid", settings.least_valid),
        ("least_families", settings.least_families),
        ("least_effective", settings.least_effective),
    )
    for key, value in limits:
        if value != 0:
            finder.report(
                ("adjudication", key), "value", f"expected 0, no seat answers the question; {value} came"
            )
    if settings.asks_for_facts:
        finder.report(
            ("adjudication", "asks_for_facts"), "value", "expected false, no seat answers the question"
        )
