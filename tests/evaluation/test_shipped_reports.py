"""`arbiter evaluate` over each shipped protocol's own generator, as an operator runs it, and its report in a real browser."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.async_api import Browser

from arbiter.protocols.loader import shipped
from tests.cli.commands import invoked
from tests.evaluation.browser import open_details, opened, plots_without_text, violations
from tests.evaluation.small import invented, write

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

CASES = {"deterioration": 400, "anticoagulation": 400, "surgery-readiness": 150}
each_protocol = pytest.mark.parametrize("protocol", CASES)


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folder of each protocol's report."""
    folder, made = tmp_path_factory.mktemp("reports"), {}
    for protocol, number in CASES.items():
        cases = write(folder / f"{protocol}.jsonl", invented(protocol, number, seed=11))
        made[protocol] = folder / protocol
        status, said, error = invoked("evaluate", protocol, str(cases), "--out", str(made[protocol]))
        assert status == 0, said + error
        assert f"{number} cases asked" in said
    return made


async def test_every_shipped_protocol_is_looked_at() -> None:
    assert set(CASES) == set(shipped())


@each_protocol
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_report_loads_nothing_and_axe_finds_nothing(
    chromium: Browser, reports: dict[str, Path], protocol: str, scheme: str
) -> None:
    complaints: list[str] = []
    shown = await opened(chromium, reports[protocol] / "report.html", complaints, color_scheme=scheme)
    await open_details(shown)
    assert complaints == []
    assert await violations(shown) == []


@each_protocol
async def test_each_plot_of_a_report_can_be_had_as_text(
    chromium: Browser, reports: dict[str, Path], protocol: str
) -> None:
    shown = await opened(chromium, reports[protocol] / "report.html", [])
    assert await shown.locator("figure svg").count() >= 3
    assert await plots_without_text(shown) == []


@each_protocol
async def test_a_report_says_that_its_cases_are_invented_before_any_figure(
    chromium: Browser, reports: dict[str, Path], protocol: str
) -> None:
    shown = await opened(chromium, reports[protocol] / "report.html", [])
    banner = shown.get_by_role("complementary", name="Synthetic labels")
    assert f"All {CASES[protocol]} cases are synthetic." in await banner.inner_text()
    first = await shown.locator("figure").first.bounding_box()
    told = await banner.bounding_box()
    assert first is not None
    assert told is not None
    assert told["y"] < first["y"]


# --- a panel that only advises ----------------------------------------------------------------------------------------------


async def test_a_panel_that_never_decides_is_measured_by_what_it_tells_a_clinician(
    chromium: Browser, reports: dict[str, Path]
) -> None:
    report = json.loads((reports["surgery-readiness"] / "report.json").read_text(encoding="utf-8"))
    assert report["decisions"] is None
    asked = sum(part["asked"] for part in report["seen"]["parts"])
    assert report["seen"]["verdicts"] == [{"name": "escalate", "count": asked}]
    lacking = {each["name"]: each["count"] for each in report["seen"]["reasons"]}["facts-missing"]
    assert 0 < lacking < asked
    valid = {
        member["title"]: {each["name"]: each["count"] for each in member["statuses"]}["valid"]
        for member in report["members"]
    }
    least = min(valid, key=lambda title: valid[title])
    shown = await opened(chromium, reports["surgery-readiness"] / "report.html", [])
    text = (await shown.locator("body").inner_text()).replace("\N{NO-BREAK SPACE}", " ")
    for told in (
        f"A clinician would see each of the {asked} cases put to the panel",
        f"in {lacking} ({100 * lacking / asked:.1f} %) one of them lacked a fact",
        f"{least} could answer least often, in {valid[least]} ",
        "With one member alone, and so nobody to agree with: “pulmonary-risk”, “sleep-apnoea-risk”.",
        "Nothing is fitted to these cases and nothing certified from them",
        "The file holds no id of a case",
    ):
        assert told in text, told


async def test_a_panel_that_never_decides_claims_no_accuracy_interval_or_certificate(
    chromium: Browser, reports: dict[str, Path]
) -> None:
    """What is said of panels that vote would be untrue of it, or about nothing."""
    texts = {}
    for protocol in CASES:
        shown = await opened(chromium, reports[protocol] / "report.html", [])
        texts[protocol] = (await shown.locator("body").inner_text()).lower()
    for words in (
        "wilson",
        "intervals are of 95",
        "how right the panel was",
        "the guarantee",
        "held-out",
        "posterior",
        "hardest cases",
        "chosen before looking",
    ):
        assert words not in texts["surgery-readiness"], words
        assert words in texts["deterioration"] or words in texts["anticoagulation"], words
    lines = (reports["surgery-readiness"].parent / "surgery-readiness.jsonl").read_text("utf-8").splitlines()
    page = (reports["surgery-readiness"] / "report.html").read_text(encoding="utf-8")
    assert not any(json.loads(line)["id"] in page for line in lines)


# --- what is looked for is found where it is ----------------------------------------------------------------------------------


def spoilt(reports: dict[str, Path], folder: Path, old: str, new: str) -> Path:
    """A report in which something stands otherwise."""
    page = (reports["surgery-readiness"] / "report.html").read_text(encoding="utf-8")
    assert old in page
    path = folder / "spoilt.html"
    path.write_text(page.replace(old, new), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("old", "new", "asked_for"),
    [
        ("</main>", "<img src='https://tracker.invalid/seen.png' alt='x'></main>", "tracker.invalid"),
        ("</head>", "<link rel='stylesheet' href='https://fonts.invalid/a.css'></head>", "fonts.invalid"),
        ("</style>", "body { background: url(https://paint.invalid/a.png) }</style>", "paint.invalid"),
        ("</main>", "<script src='beside.js'></script></main>", "beside.js"),
    ],
)
async def test_a_page_that_asks_for_something_is_told(
    chromium: Browser, reports: dict[str, Path], tmp_path: Path, old: str, new: str, asked_for: str
) -> None:
    complaints: list[str] = []
    await opened(chromium, spoilt(reports, tmp_path, old, new), complaints)
    assert any(asked_for in complaint for complaint in complaints)


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ('aria-label="What each member says"', "", "svg-img-alt"),
        ('<html lang="en">', "<html>", "html-has-lang"),
        ("--soft: #4c4c4c", "--soft: #c0c0c0", "color-contrast"),
        ('role="region"', 'role="regional"', "aria-roles"),
    ],
)
async def test_a_page_that_some_cannot_read_is_told(
    chromium: Browser, reports: dict[str, Path], tmp_path: Path, old: str, new: str, rule: str
) -> None:
    shown = await opened(chromium, spoilt(reports, tmp_path, old, new), [], color_scheme="light")
    assert rule in {name for name, _ in await violations(shown)}


@pytest.mark.parametrize(
    ("old", "new", "lacks"),
    [
        ('aria-label="What each member says"', 'aria-label="plot"', "a name that says what it shows"),
        ('aria-label="What each member says"', 'aria-label="What became of asking each member"', "twice"),
        ("<strong>How to read it.</strong>", "", "how to read it"),
        ("<details>", "<details hidden><p>nothing</p></details><details>", "the numbers behind it"),
        ("<main", "<svg role='img' aria-label='a stray drawing'></svg><main", "outside a figure"),
    ],
)
async def test_a_plot_that_cannot_be_had_as_text_is_told(
    chromium: Browser, reports: dict[str, Path], tmp_path: Path, old: str, new: str, lacks: str
) -> None:
    shown = await opened(chromium, spoilt(reports, tmp_path, old, new), [])
    assert any(lacks in each for each in await plots_without_text(shown))
