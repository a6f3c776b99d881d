"""A stream that moves alarms, in the log and once; one that does not, does not; and what is kept tells nothing of anybody."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import krippendorff
import numpy as np
import pytest

from arbiter.audit.entry import Entry
from arbiter.documents.canonical import decode
from arbiter.errors import VerificationError
from arbiter.model import CaseId
from arbiter.panels.seating import facts_read
from arbiter.store.drifts import SealedState, keep_state, load_alarms, load_windows
from arbiter.store.house_chain import HOUSE_CHAIN
from arbiter.store.log.leaves import load_leaves_from
from arbiter.telemetry.catalogue import PROTOCOL
from arbiter.telemetry.metrics import DRIFT_ALARMS, DRIFT_STANDING
from arbiter.workflow.auditing import verify_log
from arbiter.workflow.dossier import load_dossier
from arbiter.workflow.drift.standings import drift_standings
from arbiter.workflow.drift.taking import catch_up
from arbiter.workflow.gauges import gauges
from arbiter.workflow.house import House
from tests.houses import types_of
from tests.telemetry.recording import recording
from tests.workflow.drift.wards import (
    AFTER,
    BEFORE,
    CALM,
    MOVED,
    REFERENCE,
    TEMPERATURE,
    Logs,
    counts_in,
    entered,
    seal,
    temperature_in,
    watched_in,
)
from tests.workflow.test_telemetry import counted


async def standing(house: House) -> dict[str, float]:
    return {
        str(figure.said[PROTOCOL]): figure.value
        for figure in await gauges(house)
        if figure.metric is DRIFT_STANDING
    }


async def test_a_stream_that_moves_alarms_and_no_other_does(
    logs: Logs, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with recording() as recorded:
        async with logs.house(logs.moved, tmp_path) as house:
            await catch_up(house)
            (document,) = await entered(house)
            run = await temperature_in(house)
            protocol = house.shelf.in_force("deterioration").protocol
            assert document | {"cases": 0, "log_value": ""} == {
                "format": "arbiter/drift/v1",
                "protocol": "deterioration",
                "protocol_version": protocol.version,
                "protocol_hash": protocol.content_hash,
                "stream": TEMPERATURE,
                "run": 0,
                "cases": 0,
                "reference": REFERENCE,
                "log_value": "",
                "delta": f"{run.drift.delta:.6g}",
            }
            assert CALM < document["cases"] <= CALM + MOVED
            assert float(document["log_value"]) >= -np.log(run.drift.delta)
            assert (await types_of(house, HOUSE_CHAIN)).count("watch.drifted") == 1
            (alarm,) = await load_alarms(house.store, standing=True)
            assert (alarm.protocol, alarm.stream, alarm.run) == ("deterioration", TEMPERATURE, 0)
            assert await standing(house) == {
                "deterioration": 1, "anticoagulation": 0, "surgery-readiness": 0
            }  # fmt: skip
            await seal(house)
            await verify_log(house, (tmp_path / "data" / "checkpoint").read_bytes())
        assert counted(recorded, DRIFT_ALARMS) == {("deterioration", TEMPERATURE): 1}
    assert "drift: fact.temperature of protocol deterioration has moved since its reference" in caplog.text


async def test_while_nothing_moves_nothing_alarms(
    logs: Logs, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with logs.house(logs.calm, tmp_path) as house:
        await catch_up(house)
        assert (await temperature_in(house)).drift.seen == CALM
        assert await entered(house) == []
        assert await load_alarms(house.store, standing=False) == ()
        assert set((await standing(house)).values()) == {0}
    assert "drift" not in caplog.text


async def test_no_martingale_moves_before_the_sample_is_whole(
    logs: Logs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arbiter.workflow.drift.adding.REFERENCE", CALM + MOVED)
    async with logs.house(logs.moved, tmp_path) as house:
        await catch_up(house)
        run = await temperature_in(house)
        assert (run.drift.seen, run.drift.highest, run.one_in) == (CALM + MOVED, 0.0, None)
        assert await entered(house) == []


async def test_an_alarm_is_told_once_however_long_it_goes_on(logs: Logs, tmp_path: Path) -> None:
    async with logs.house(logs.moved, tmp_path) as house:
        for _ in range(3):
            await catch_up(house)
        assert len(await entered(house)) == 1
        assert len(await load_alarms(house.store, standing=False)) == 1


async def test_a_smaller_delta_alarms_later_or_never(logs: Logs, tmp_path: Path) -> None:
    async with logs.house(logs.moved, tmp_path, drift_delta="0.000000001") as house:
        await catch_up(house)
        run = await temperature_in(house)
        assert run.drift.seen == CALM + MOVED
        assert run.drift.highest > 4
        assert await entered(house) == []


async def test_what_is_watched_is_what_members_read_and_how_they_agree(logs: Logs, tmp_path: Path) -> None:
    async with logs.house(logs.moved, tmp_path) as house:
        await catch_up(house)
        protocol = house.shelf.in_force("deterioration").protocol
        names = {each.stream for each in await drift_standings(house) if each.protocol == "deterioration"}
        assert names == {
            *(f"fact.{name}" for name in facts_read(protocol)),
            "panel.total",
            "panel.between",
            "panel.valid",
        }
        assert "fact.pregnant" not in names, "only an exclusion asks for it"


async def test_streams_of_protocols_without_cases_are_not_shown(logs: Logs, tmp_path: Path) -> None:
    async with logs.house(logs.moved, tmp_path) as house:
        assert await drift_standings(house) == ()
        await catch_up(house)
        found = await drift_standings(house)
        assert {each.protocol for each in found} == {"deterioration"}
        (moved,) = [each for each in found if each.alarmed_at is not None]
        assert moved.stream == TEMPERATURE
        assert moved.one_in is not None
        assert moved.one_in > 2 * len(found)


async def test_windows_hold_the_alpha_of_their_cases_in_the_logs_order(logs: Logs, tmp_path: Path) -> None:
    async with logs.house(logs.moved, tmp_path) as house:
        await catch_up(house)
        rows = [row for row in await load_windows(house.store, 100) if row.asks == "question"]
        assert [(row.number, row.cases) for row in rows] == [(at, 25) for at in range((CALM + MOVED) // 25)]
        said = await votes(house)
        assert len(said) == CALM + MOVED
        for row in rows:
            part = said[25 * row.number : 25 * row.number + 25]
            options = sorted({option for votes in part for option in votes if option})
            if len(options) < 2:
                assert row.alpha is None
                continue
            counts = np.array([[votes.count(option) for option in options] for votes in part])
            expected = krippendorff.alpha(value_counts=counts, level_of_measurement="nominal")
            assert float(row.alpha or "nan") == pytest.approx(expected, abs=1e-6)


async def votes(house: House) -> list[list[str | None]]:
    """What the seats that answer the question said, a list a case, read another way than the watch reads it."""
    async with house.store.read() as transaction:
        leaves = await load_leaves_from(transaction, 0, 100_000)
        found = []
        for _, body in leaves:
            assert body is not None
            entry = Entry.from_bytes(body)
            if (
                entry.type in {"case.decided", "case.escalated"}
                and ("mode", "training") not in entry.versions
            ):
                dossier = await load_dossier(house, transaction, CaseId(entry.case))
                certificate = decode(dossier.latest("certificate").content)
                found.append(
                    [each.get("leading") for each in certificate["opinions"] if each["asks"] == "question"]
                )
    return found


# --- nothing of anybody's -----------------------------------------------------------------------------------------


async def test_nothing_that_is_kept_or_told_holds_a_value_or_a_case(
    logs: Logs, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "arbiter")
    async with logs.house(logs.moved, tmp_path) as house:
        await catch_up(house)
        told = caplog.text + json.dumps(await entered(house))
        for table in ("drift_cursor", "drift_state", "drift_step", "agreement_window"):
            (rows,) = await house.store.run(
                f"SELECT coalesce(string_agg(t::text, ' '), '') FROM {table} AS t", {}
            )
            assert rows[0], f"{table} is empty: nothing was looked at"
            told += rows[0]
        cases = await house.store.run("SELECT id, subject_id FROM case_file", {})
        assert len(cases) > CALM
        for word in (
            *BEFORE,
            *AFTER,
            "calm-1",
            "moved-1",
            "visit-1",
            *(word for row in cases for word in row),
        ):
            assert f'"{word}"' not in told
            assert f" {word}" not in told
            assert f",{word}" not in told


async def test_counts_do_not_lie_open_and_open_for_their_version_alone(logs: Logs, tmp_path: Path) -> None:
    async with logs.house(logs.calm, tmp_path) as house:
        await catch_up(house)
        ((version, kek, sealed),) = await house.store.run(
            "SELECT protocol_hash, kek_id, sealed FROM drift_state", {}
        )
        assert b"temperature" not in sealed
        other = house.shelf.in_force("anticoagulation").protocol.content_hash
        await keep_state(house.store, other, SealedState(kek, bytes(sealed)))
        with pytest.raises(VerificationError, match="does not open"):
            await drift_standings(house)
        bent = bytes(sealed[:-1]) + bytes([sealed[-1] ^ 1])
        await keep_state(house.store, version, SealedState(kek, bent))
        with pytest.raises(VerificationError, match="does not open"):
            await watched_in(house)


async def test_bins_are_counted_as_the_cases_were(logs: Logs, tmp_path: Path) -> None:
    async with logs.house(logs.moved, tmp_path) as house:
        await catch_up(house)
        counts = (await counts_in(house))[TEMPERATURE]
        edges = np.linspace(20, 46, 33)  # the range that the protocol states
        parts = {
            text: 1 + int(np.searchsorted(edges, float(text), side="right")) - 1 for text in (*BEFORE, *AFTER)
        }
        assert sum(counts) == CALM + MOVED
        assert sum(counts[at] for at in {parts[text] for text in BEFORE}) == CALM
        assert sum(counts[at] for at in {parts[text] for text in AFTER}) == MOVED
