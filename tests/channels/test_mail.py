"""Mail goes out encrypted or not at all, except to this machine; nothing that a server says is kept."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from arbiter.channels import mail
from arbiter.channels.attempt import Failed, Sent
from arbiter.channels.mail import read_credentials, send_mail
from arbiter.channels.notice import CALLED, Notice
from arbiter.errors import ConfigurationError
from arbiter.settings import Settings
from tests.mailboxes import Mailbox, a_mailbox

NOTICE = Notice(
    id="msg_1",
    type=CALLED,
    at=datetime(2026, 3, 1, 12, tzinfo=UTC),
    case="c_1",
    protocol="deterioration",
    title="Deterioration on the ward",
    site="north",
    risk_class="emergency",
    phase="escalated",
    due_at=datetime(2026, 3, 1, 12, 30, tzinfo=UTC),
    rung=0,
    acknowledge_by=datetime(2026, 3, 1, 12, 3, tzinfo=UTC),
)
ADDRESS = "outreach@hospital.example"


def settings_of(mailbox: Mailbox, credentials: Path | None = None) -> Settings:
    return Settings(
        mail_server=mailbox.url, mail_from="arbiter@hospital.example", mail_credentials=credentials
    )


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loopback address counts as another machine."""
    monkeypatch.setattr(mail, "is_loopback", lambda _host: False)


@pytest.fixture
def certified(tmp_path: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's TLS, and the certificate by which it is known."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path, private = tmp_path / "certificate.pem", tmp_path / "key.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, private)
    return context, path


async def test_a_call_is_mailed_as_plain_text() -> None:
    async with a_mailbox() as mailbox:
        assert await send_mail(settings_of(mailbox), ADDRESS, NOTICE) == Sent()
    ((address, arrived),) = mailbox.arrived
    assert address == ADDRESS
    assert arrived.get_content_type() == "text/plain"
    assert arrived["Subject"] == "EMERGENCY case waits: Deterioration on the ward"
    assert arrived["Message-ID"] == "<msg_1@hospital.example>"
    assert "Due: 2026-03-01T12:30:00Z" in arrived.get_content()


async def test_a_server_elsewhere_that_does_not_encrypt_gets_nothing(elsewhere: None) -> None:
    async with a_mailbox() as mailbox:
        attempt = await send_mail(settings_of(mailbox), ADDRESS, NOTICE)
    assert isinstance(attempt, Failed)
    assert mailbox.arrived == []


async def test_a_server_whose_certificate_nobody_vouches_for_gets_nothing(
    elsewhere: None, certified: tuple[ssl.SSLContext, Path]
) -> None:
    async with a_mailbox(tls_context=certified[0]) as mailbox:
        attempt = await send_mail(settings_of(mailbox), ADDRESS, NOTICE)
    assert isinstance(attempt, Failed)
    assert mailbox.arrived == []


async def test_a_server_elsewhere_is_spoken_to_by_starttls_and_logged_in_at(
    elsewhere: None,
    certified: tuple[ssl.SSLContext, Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    context, certificate = certified
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    credentials = tmp_path / "credentials"
    credentials.write_text("arbiter\ns3cret\n")
    credentials.chmod(0o600)
    proven: list[tuple[bytes, bytes]] = []

    def authenticate(
        _server: object, session: object, _envelope: object, _how: str, what: object
    ) -> AuthResult:
        assert isinstance(what, LoginPassword)
        assert getattr(session, "ssl", None), "the password was said in the clear"
        proven.append((what.login, what.password))
        return AuthResult(success=True)

    async with a_mailbox(
        tls_context=context, require_starttls=True, authenticator=authenticate, auth_required=True
    ) as mailbox:
        assert await send_mail(settings_of(mailbox, credentials), ADDRESS, NOTICE) == Sent()
    assert proven == [(b"arbiter", b"s3cret")]
    assert mailbox.addresses() == [ADDRESS]


@pytest.mark.parametrize("line", ["550 5.1.1 no such person made-up-1", "451 4.3.0 later"])
async def test_a_refusal_is_kept_as_its_number_alone(line: str) -> None:
    async with a_mailbox() as mailbox:
        mailbox.refuse = line
        assert await send_mail(settings_of(mailbox), ADDRESS, NOTICE) == Failed(f"SMTP {line[:3]}")


async def test_a_server_that_is_not_there_is_a_failed_attempt() -> None:
    async with a_mailbox() as mailbox:
        pass
    assert await send_mail(settings_of(mailbox), ADDRESS, NOTICE) == Failed("SMTPConnectError")


@pytest.mark.parametrize(
    "content", ["", "arbiter", "arbiter\n", "arbiter\n\n", "arbiter\ns3cret\nmore\n", "\ns3cret\n"]
)
def test_credentials_of_another_form_are_refused_and_not_shown(tmp_path: Path, content: str) -> None:
    file = tmp_path / "credentials"
    file.write_text(content)
    file.chmod(0o600)
    with pytest.raises(ConfigurationError, match="two lines") as caught:
        read_credentials(file)
    assert "s3cret" not in str(caught.value)


def test_credentials_that_others_may_read_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_text("arbiter\ns3cret\n")
    file.chmod(0o640)
    with pytest.raises(ConfigurationError, match="may be read by others"):
        read_credentials(file)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_credentials(tmp_path / "nowhere")
    file.chmod(0o600)
    assert "s3cret" not in repr(read_credentials(file))


async def test_a_server_that_answers_slowly_throughout_is_given_up_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def slow(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.CancelledError, ConnectionError):
            for byte in b"220-hello\r\n" * 100:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0.02)
        writer.transport.abort()

    monkeypatch.setattr(mail, "ATTEMPT_SECONDS", 0.3)
    server = await asyncio.start_server(slow, "127.0.0.1", 0)
    mailbox = Mailbox(url=f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    async with asyncio.timeout(5):
        assert isinstance(await send_mail(settings_of(mailbox), ADDRESS, NOTICE), Failed)
    server.close()
    await asyncio.sleep(0.1)
    await server.wait_closed()
