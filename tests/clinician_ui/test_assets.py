"""The built assets: their absence is an advice, their content calls nobody."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from arbiter.errors import ConfigurationError
from clinician_ui.assets import NEEDED, STATIC, require_built

SOURCES = STATIC.parent


def _built(folder: Path, **changes: object) -> Path:
    names = {name: f"{name}.hashed" for name in NEEDED} | changes
    for hashed in names.values():
        if isinstance(hashed, str) and hashed and "/" not in hashed:
            (folder / hashed).write_text("", encoding="utf-8")
    (folder / "manifest.json").write_text(json.dumps(names), encoding="utf-8")
    return folder


def test_complete_assets_are_served_under_their_hashed_names(tmp_path: Path) -> None:
    assert require_built(_built(tmp_path)).address("arbiter.css") == "/static/arbiter.css.hashed"


def test_missing_assets_stop_the_start_with_advice(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="make assets"):
        require_built(tmp_path / "nowhere")


@pytest.mark.parametrize("manifest", ["", "[]", "{", '{"arbiter.css": "arbiter.css"}', "null", "\ud800"])
def test_a_damaged_manifest_stops_the_start_with_advice(tmp_path: Path, manifest: str) -> None:
    _built(tmp_path)
    (tmp_path / "manifest.json").write_bytes(manifest.encode("utf-8", "surrogatepass"))
    with pytest.raises(ConfigurationError, match="make assets"):
        require_built(tmp_path)


@pytest.mark.parametrize("hashed", ["../../etc/passwd", "/etc/passwd", "", 7, None])
def test_a_manifest_leads_to_no_file_but_its_own(tmp_path: Path, hashed: object) -> None:
    with pytest.raises(ConfigurationError, match="make assets"):
        require_built(_built(tmp_path, **{"pages.js": hashed}))


def test_a_deleted_asset_stops_the_start_and_is_named(tmp_path: Path) -> None:
    _built(tmp_path)
    (tmp_path / "pages.js.hashed").unlink()
    with pytest.raises(ConfigurationError, match=r"pages\.js"):
        require_built(tmp_path)


def test_the_lock_names_no_registry() -> None:
    assert "resolved" not in (SOURCES / "package-lock.json").read_text(encoding="utf-8")


def test_the_style_sheet_calls_nobody_and_carries_no_font_or_logo_of_others(built: Path) -> None:
    css = (built / json.loads((built / "manifest.json").read_text())["arbiter.css"]).read_text(
        encoding="utf-8"
    )
    addresses = re.findall(r"url\(\s*[\"']?([^\"')]+)", css)
    assert all(re.fullmatch(r"nhsuk-icon-[a-z-]+\.svg", address) for address in addresses)
    assert all((built / address).is_file() for address in addresses)
    for foreign in ("@import", "@font-face", "frutiger", "http:", "https:"):
        assert foreign not in css.lower(), foreign
    assert re.search(r"html\{[^}]*font-family:arial,\s*sans-serif", css)
