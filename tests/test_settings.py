"""Settings: what is misspelt, unfit or contradictory stops the start, and no password is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from arbiter.errors import ConfigurationError
from arbiter.settings import Mode, Settings, read_settings


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
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


def test_model_servers_are_named_and_known_by_their_base_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "ARBITER_MODEL_SERVERS",
        "gpu-a=http://10.0.0.5:8000, gpu-b=https://gpu-b.example/vllm/,gpu-c=http://[::1]:8000",
    )
    monkeypatch.setenv("ARBITER_MODEL_SERVER_TOKEN_FILE", "/run/secrets/vllm")
    monkeypatch.setenv("ARBITER_PROTOCOLS", "/srv/protocols")
    settings = read_settings()
    assert settings.model_servers == (
        ("gpu-a", "http://10.0.0.5:8000"),
        ("gpu-b", "https://gpu-b.example/vllm"),
        ("gpu-c", "http://[::1]:8000"),
    )
    assert settings.model_server_token_file == Path("/run/secrets/vllm")
    assert settings.protocols == Path("/srv/protocols")


@pytest.mark.parametrize(
    "value",
    [
        "http://10.0.0.5:8000",
        "gpu-a",
        "gpu-a=",
        "=http://10.0.0.5:8000",
        "GPU=http://10.0.0.5:8000",
        "gpu a=http://10.0.0.5:8000",
        "gpu-a=10.0.0.5:8000",
        "gpu-a=ftp://10.0.0.5",
        "gpu-a=file:///etc/passwd",
        "gpu-a=http://",
        "gpu-a=http://:8000",
        "gpu-a=http://10.0.0.5:port",
        "gpu-a=http://10.0.0.5:99999",
        "gpu-a=http://[::1",
        "gpu-a=http://user:s3cret@10.0.0.5:8000",
        "gpu-a=http://s3cret@10.0.0.5:8000",
        "gpu-a=http://10.0.0.5:8000?key=s3cret",
        "gpu-a=http://10.0.0.5:8000/?",
        "gpu-a=http://10.0.0.5:8000#s3cret",
        "gpu-a=http://10.0.0.5:8000/a b",
        "gpu-a=http://10.0.0.5:8000/\u00e9",
        "gpu-a=http://10.0.0.5:8000,",
        "gpu-a=http://10.0.0.5:8000,gpu-a=http://10.0.0.6:8000",
        '[["gpu-a", "http://10.0.0.5:8000"]]',
    ],
)
def test_a_malformed_model_server_is_refused_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("ARBITER_MODEL_SERVERS", value)
    with pytest.raises(ConfigurationError, match="ARBITER_MODEL_SERVERS") as caught:
        read_settings()
    assert "s3cret" not in str(caught.value)


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
