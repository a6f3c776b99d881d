"""Language models on the reviewer's page: which one answered, how its samples fell, and what became of those that failed."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

from arbiter.settings import Mode, Settings
from arbiter.store.database import Database
from clinician_ui.pages import create_pages
from tests.clinician_ui.conftest import Ward
from tests.fleet.files import fleet_file
from tests.houses import ShiftableClock, a_client, a_house
from tests.panels.misbehaving_server import VERSION
from tests.panels.model_bundles import protocol_text, seat, write_bundle
from tests.panels.model_servers import misbehaving, refusing_url


def card(page: str, title: str) -> str:
    """The words of one member's card."""
    cards = [part.split("</li>")[0] for part in page.split('<li class="arbiter-member ')[1:]]
    (found,) = [part for part in cards if f">{title}" in part]
    return " ".join(re.sub(r"<[^>]+>", " ", found).split())


async def test_a_reviewer_sees_samples_identity_and_failure_of_each_model(
    database: Database, built: Path, tmp_path: Path
) -> None:
    seats = (
        seat("one", "split"),
        seat("two", "truncated"),
        seat("three", "status-500"),
        seat("four", "good", "gone"),
        seat("five", "abstains"),
        seat("six", "ungrounded"),
    )
    write_bundle(tmp_path / "own" / "mine", protocol_text("deterioration", *seats))
    clock = ShiftableClock()
    with misbehaving() as url:
        settings = Settings(
            data=tmp_path / "data",
            mode=Mode.DEMONSTRATION,
            secure_cookies=False,
            workers=False,
            protocols=tmp_path / "own",
            fleet=fleet_file(tmp_path, {"gpu-a": url, "gone": refusing_url()}),
        )
        async with a_house(tmp_path / "data", database, clock, settings=settings) as house:
            client, _ = await a_client(house)
            ward = Ward(house, create_pages(house), clock, client, {})
            await ward.person("anna")
            case = await ward.case({})
            browser = await ward.claimed(case)
            blind = (await browser.get(f"/cases/{case}")).text
            assert "Language model" not in blind
            assert "9999" not in blind
            await browser.opinion(case)
            await browser.send(f"/cases/{case}/reveal")
            page = unescape((await browser.get(f"/cases/{case}")).text)
    model = f"Language model split, revision r1, served by vllm {VERSION}. Family: Model one"
    assert model in card(page, "Model split")
    assert "1 of 3 samples: Continue monitoring as planned." in card(page, "Model split")
    assert "2 of 3 samples: Urgent review by a clinician" in card(page, "Model split")
    assert "Its samples are in two minds: self-consistency 0.08" in card(page, "Model split")
    assert "3 of 3 samples: Could not be read." in card(page, "Model truncated")
    assert "Invalid" in card(page, "Model truncated")
    assert "the model server answered with status 500" in card(page, "Model status-500")
    assert "as asked" not in page
    assert "the model server cannot be reached" in card(page, "Model good")
    assert "served by vllm unknown" in card(page, "Model good")
    assert "Abstained" in card(page, "Model abstains")
    assert "Lactate" in card(page, "Model abstains") or "lactate" in card(page, "Model abstains")
    assert "3 of 3 samples: Abstained." in card(page, "Model abstains")
    sung = card(page, "Model ungrounded")
    assert "refused: ungrounded: a cited value is not the case's" in sung
    assert "3 of 3 samples: Refused." in sung
    assert "Refused for citing this case falsely" in sung
    assert "Heart rate Not the value in the case high 9999 in 3 samples" in sung
    assert page.count('Cites <bdi class="arbiter-said">9999</bdi>') == 1, "in that member's own cell"
    assert "1 citation is not true of this case." in page
    assert "Language model" not in card(page, "NEWS2 (RCP 2017)")
