"""Settings: what is misspelt, unfit or contradictory stops the start, and no password is shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from arbiter.errors import ConfigurationError
from arbiter.settings import ClientSettings, Mode, Settings, read_client_settings, read_settings


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields | ClientSettings.model_fields:
        monkeypatch.delenv(f"ARBITER_{name.upper()}", raising=False)


def test_without_variables_it_is_a_production_installation_on_loopback() -> None:
    settings = read_settings()
    assert settings.data == Path(".arbiter")
    assert settings.mode is Mode.PRODUCTION
    assert (settings.host, settings.port) == ("127.0.0.1", 8400)
    assert settings.database_url is None
    assert settings.secure_cookies is True


def test_every_field_is_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARBITER_DATA", "/srv/arbiter")
    monkeypatch.setenv("ARBITER_MODE", "demonstration")
    monkeypatch.setenv("ARBITER_PORT", "9000")
    monkeypatch.setenv("ARBITER_DATABASE_URL", "postgresql://app@db/arbiter")
    monkeypatch.setenv("ARBITER_DATABASE_OWNER_URL", "postgres://owner@db/arbiter")
    monkeypatch.setenv("ARBITER_WORKERS", "false")
    settings = read_settings()
    assert settings.data == Path("/srv/arbiter")
    assert settings.mode is Mode.DEMONSTRATION
    assert settings.port == 9000
    assert settings.database_url == "postgresql+psycopg://app@db/arbiter"
    assert settings.database_owner_url == "postgresql+psycopg://owner@db/arbiter"
    assert settings.workers is False


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("CANARY_AT", value) for value in ("3:00", "24:00", "03:60", "03:00:00", "never")),
        *(
            ("CANARY_FALSE_ALARMS_A_YEAR", value)
            for value in ("0", "-1", "NaN", "Infinity", "367", "often", "1e-9")
        ),
    ],
)
def test_a_canary_that_would_never_ask_or_never_alarm_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"ARBITER_{name}", value)
    with pytest.raises(ConfigurationError, match=f"ARBITER_{name}: "):
        read_settings()


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [
        ("ARBITER_DATABASE_URI", "ARBITER_DATABASE_URL"),
        ("ARBITER_PORTS", "ARBITER_PORT"),
        ("ARBITER_MOD", "ARBITER_MODE"),
        ("arbiter_dta", "ARBITER_DATA"),
        ("ARBITER_SECURE_COOKIE", "ARBITER_SECURE_COOKIES"),
    ],
)
def test_a_misspelt_variable_names_its_neighbour(
    monkeypatch: pytest.MonkeyPatch, wrong: str, nearest: str
) -> None:
    monkeypatch.setenv(wrong, "s3cret")
    with pytest.raises(
        ConfigurationError, match=rf"unknown setting {wrong}: did you mean {nearest}\?"
    ) as caught:
        read_settings()
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ARBITER_PORT", "0"),
        ("ARBITER_PORT", "65536"),
        ("ARBITER_PORT", "http"),
        ("ARBITER_MODE", "test"),
        ("ARBITER_WORKERS", "perhaps"),
        ("ARBITER_DATABASE_POOL_SIZE", "0"),
        ("ARBITER_DATABASE_POOL_SIZE", "1"),
        ("ARBITER_TIME_ZONE", "Europe/Londn"),
        ("ARBITER_TIME_ZONE", "Europe"),
        ("ARBITER_TIME_ZONE", "../../etc/passwd"),
        ("ARBITER_TIME_ZONE", "/etc/localtime"),
        ("ARBITER_TIME_ZONE", "+01:00"),
        ("ARBITER_TIME_ZONE", "Europe Zürich"),
        ("ARBITER_DOWNTIME_ADVICE", "x"),
        ("ARBITER_DOWNTIME_ADVICE", "x" * 1001),
        ("ARBITER_DATABASE_URL", "sqlite:///arbiter.db"),
        ("ARBITER_DATABASE_URL", "mysql://app:s3cret@db/arbiter"),
        ("ARBITER_DATABASE_URL", "db.hospital.example"),
    ],
)
def test_an_unfit_value_is_refused_by_name_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=name) as caught:
        read_settings()
    assert "s3cret" not in str(caught.value)
    assert "db.hospital.example" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "hours"),
    [("Europe/London", 1), ("America/St_Johns", -2.5), ("Asia/Kathmandu", 5.75), ("UTC", 0)],
)
def test_a_time_zone_is_the_published_one(monkeypatch: pytest.MonkeyPatch, name: str, hours: float) -> None:
    monkeypatch.setenv("ARBITER_TIME_ZONE", name)
    summer = datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert summer.astimezone(read_settings().zone).utcoffset() == timedelta(hours=hours)


def test_without_a_time_zone_it_is_the_machines() -> None:
    assert read_settings().zone is None


def test_an_owner_without_a_server_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARBITER_DATABASE_OWNER_URL", "postgresql://owner:s3cret@db/arbiter")
    with pytest.raises(ConfigurationError, match="without ARBITER_DATABASE_URL") as caught:
        read_settings()
    assert "s3cret" not in str(caught.value)


def test_two_faults_are_told_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARBITER_PORT", "http")
    monkeypatch.setenv("ARBITER_MODE", "test")
    with pytest.raises(ConfigurationError, match=r"ARBITER_MODE.*; ARBITER_PORT"):
        read_settings()


def test_a_database_password_is_not_in_the_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARBITER_DATABASE_URL", "postgresql://app:s3cret@db/arbiter")
    assert "s3cret" not in repr(read_settings())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ARBITER_MAIL_SERVER", "mail.hospital.example"),
        ("ARBITER_MAIL_SERVER", "http://mail.hospital.example"),
        ("ARBITER_MAIL_SERVER", "smtp://arbiter:s3cret@mail.hospital.example"),
        ("ARBITER_MAIL_SERVER", "smtp://"),
        ("ARBITER_MAIL_SERVER", "smtp://mail.hospital.example/path"),
        ("ARBITER_MAIL_FROM", "nobody"),
        ("ARBITER_MAIL_FROM", "a@h.example, b@h.example"),
        ("ARBITER_MAIL_FROM", "a@h.example\nBcc: b@h.example"),
        ("ARBITER_PUBLIC_URL", "arbiter.hospital.example"),
        ("ARBITER_PUBLIC_URL", "javascript:alert(1)"),
        ("ARBITER_PUBLIC_URL", "https://arbiter.hospital.example/?next=x"),
    ],
)
def test_an_unfit_way_to_reach_people_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv("ARBITER_MAIL_SERVER", "smtp://mail.hospital.example")
    monkeypatch.setenv("ARBITER_MAIL_FROM", "arbiter@hospital.example")
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=name) as caught:
        read_settings()
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("name", ["ARBITER_MAIL_SERVER", "ARBITER_MAIL_FROM", "ARBITER_MAIL_CREDENTIALS"])
def test_half_a_mail_setting_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    values = {"ARBITER_MAIL_SERVER": "smtp://h.example", "ARBITER_MAIL_FROM": "a@h.example"}
    monkeypatch.setenv(name, values.get(name, "/etc/arbiter/mail"))
    with pytest.raises(ConfigurationError, match=name):
        read_settings()


def test_a_public_address_has_no_slash_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARBITER_PUBLIC_URL", "https://arbiter.hospital.example/panel/")
    assert read_settings().public_url == "https://arbiter.hospital.example/panel"


def test_a_callers_settings_have_their_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_client_settings() == ClientSettings(url="http://127.0.0.1:8400", token_file=None)
    monkeypatch.setenv("ARBITER_URL", "https://arbiter.hospital.example")
    monkeypatch.setenv("ARBITER_TOKEN_FILE", "/run/secrets/arbiter")
    settings = read_client_settings()
    assert settings.url == "https://arbiter.hospital.example"
    assert settings.token_file == Path("/run/secrets/arbiter")


def test_caller_and_service_may_share_an_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARBITER_URL", "https://arbiter.hospital.example")
    monkeypatch.setenv("ARBITER_PORT", "9000")
    assert read_settings().port == 9000
    assert read_client_settings().url == "https://arbiter.hospital.example"


@pytest.mark.parametrize(
    ("wrong", "nearest"), [("ARBITER_URI", "ARBITER_URL"), ("ARBITER_TOKEN", "ARBITER_TOKEN_FILE")]
)
def test_a_callers_misspelt_variable_names_its_neighbour(
    monkeypatch: pytest.MonkeyPatch, wrong: str, nearest: str
) -> None:
    monkeypatch.setenv(wrong, "s3cret")
    for read in (read_settings, read_client_settings):
        with pytest.raises(ConfigurationError, match=rf"did you mean {nearest}\?") as caught:
            read()
        assert "s3cret" not in str(caught.value)
