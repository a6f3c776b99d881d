"""A running Arbiter as the commands call it: its address, the token, and its refusals as errors of ours.

The token comes from a file, never from the command line, and stands in no message. Plain HTTP leaves this machine for
nowhere: the token and the patient's data would be readable on the way.
"""

from __future__ import annotations

import ipaddress
import json
import re
import ssl
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from arbiter import __version__
from arbiter.cli.failing import RequestRefusedError, UsageError
from arbiter.cli.output import err
from arbiter.errors import ConfigurationError, Problem, UnavailableError
from arbiter.settings import read_client_settings

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 30.0
_LONGEST_FILE = 64 * 1024
_TOKEN = re.compile(r"arb_(c[a-z2-7]{16})_[A-Za-z0-9_-]{43}")
_PROBLEM_LIMIT = 200


@dataclass(frozen=True, slots=True)
class Server:
    """Where a running Arbiter is, and as whom it is called."""

    url: str
    token: str = field(repr=False)

    @property
    def client_id(self) -> str:
        """The public part of the token."""
        found = _TOKEN.fullmatch(self.token)
        assert found is not None
        return found[1]

    def open(self, answer_seconds: float = ANSWER_SECONDS) -> httpx.Client:
        """Return a connection; it follows no redirect and takes no proxy from the environment."""
        return httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {self.token}", "User-Agent": f"arbiter/{__version__}"},
            timeout=httpx.Timeout(answer_seconds, connect=CONNECT_SECONDS),
            trust_env=False,
            # The system's certificates: a hospital's own authority is among those, and in no list from elsewhere.
            verify=ssl.create_default_context() if self.url.startswith("https:") else False,
        )


def find_server(url: str | None, token_file: Path | None) -> Server:
    """Return the server that the options, or else the environment, name.

    Raises:
        UsageError, ConfigurationError: when the address or the token file is missing or unfit.
    """
    settings = read_client_settings()
    path = token_file or settings.token_file
    if path is None:
        raise UsageError(
            "expected --token-file or ARBITER_TOKEN_FILE to name the file that holds the client's token; neither is set"
        )
    return Server(check_url(url or settings.url), read_token(path))


def check_url(url: str) -> str:
    """Return the address without a slash at its end; raise UsageError unless it is HTTPS, or HTTP on this machine."""
    expected = "expected the address as https://host[:port], or http://127.0.0.1:8400 on this machine"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise UsageError(f"{expected}; what came is no URL") from None
    # Never the address itself: it may hold a password, or a token as its query.
    if parts.scheme not in {"http", "https"} or not host:
        raise UsageError(f"{expected}; one came with scheme {parts.scheme or 'none'}, host {host or 'none'}")
    if parts.query or parts.fragment:
        raise UsageError(f"{expected}; one to {host} came with more behind its path")
    if parts.username is not None or parts.password is not None:
        raise UsageError(f"{expected}; one with a user came, and only the token says who calls")
    if parts.scheme == "http" and not _is_this_machine(host):
        raise UsageError(
            f"{expected}; plain HTTP to {host} came, on which anyone between could read the token"
        )
    return url.rstrip("/")


def read_token(path: Path) -> str:
    """Return the token in a file: alone, or as the member `token` of a JSON object, as `arbiter demo` keeps it.

    Raises:
        ConfigurationError: when there is none in it. OSError: when the file cannot be read.
    """
    with path.open("rb") as file:
        content = file.read(_LONGEST_FILE).strip()
    if path.stat().st_mode & 0o077:
        err.print(
            f"arbiter: others may read {path}, and whoever does can call as this client", style="yellow"
        )
    if content.startswith(b"{"):
        try:
            content = str(json.loads(content)["token"]).encode()
        except (ValueError, KeyError, TypeError):
            raise ConfigurationError(
                f"{path}: expected a token alone, or JSON with the member token; what came begins as JSON and is not that"
            ) from None
    token = content.decode("ascii", errors="replace")
    if _TOKEN.fullmatch(token) is None:
        raise ConfigurationError(
            f"{path}: expected a client's token, arb_… as `arbiter clients register` printed it; something else came"
        )
    return token


def call(client: httpx.Client, method: str, path: str, **options: Any) -> httpx.Response:
    """Send a request and return its reply, a success or 304; raises as `exchange` and `check` do."""
    reply = exchange(client, method, path, **options)
    check(reply)
    return reply


def exchange(client: httpx.Client, method: str, path: str, **options: Any) -> httpx.Response:
    """Send a request and return its reply, whatever it says; raise UnavailableError when there is none."""
    try:
        return client.request(method, path, **options)
    except httpx.HTTPError as error:
        raise unreachable(client, error) from error


def check(reply: httpx.Response) -> None:
    """Return for a success or 304.

    Raises:
        RequestRefusedError: for a 4xx, with each place that does not fit.
        UnavailableError: for anything else, also an answer that is no Arbiter's.
    """
    if reply.is_success or reply.status_code == HTTPStatus.NOT_MODIFIED:
        return
    told, problems = _told(reply)
    if reply.is_client_error:
        raise RequestRefusedError(f"{told}{_advice(reply.status_code)} ({reply.status_code})", problems)
    raise UnavailableError(f"{told} ({reply.status_code})")


def reason_of(reply: httpx.Response) -> str:
    """Return why the door refuses, in its own words."""
    told, _ = _told(reply)
    return told


def unreachable(client: httpx.Client, error: httpx.HTTPError) -> UnavailableError:
    """Return the error to raise for a request that got no reply."""
    where = str(client.base_url).rstrip("/")
    match error:
        case httpx.ConnectTimeout() | httpx.PoolTimeout():
            return UnavailableError(f"{where} did not take the connection in {CONNECT_SECONDS:.0f} seconds")
        case httpx.TimeoutException():
            return UnavailableError(f"{where} did not answer in time; what it was sent may have been taken")
        case httpx.ConnectError():
            return UnavailableError(
                f"nobody answers at {where}: is `arbiter serve` running, and is that its address?"
            )
        case _:
            return UnavailableError(
                f"{where} broke off: {type(error).__name__}; what it was sent may have been taken"
            )


def json_of(reply: httpx.Response) -> Any:
    """Return the reply's JSON; raises as `json_in`."""
    return json_in(reply.text)


def json_in(text: str) -> Any:
    """Return what a server said as JSON; raise UnavailableError when it is none, because then it is no Arbiter."""
    try:
        return json.loads(text)
    except ValueError:
        raise UnavailableError("expected JSON, something else came: is that an Arbiter's address?") from None


def case_in(value: Any) -> dict[str, Any]:
    """Return a case's standing as the server tells it; raise UnavailableError when it is something else."""
    match value:
        case {"id": str(), "phase": str(), "settled": bool()}:
            return dict(value)
        case _:
            raise UnavailableError("expected a case from the server, something else came")


def _told(reply: httpx.Response) -> tuple[str, tuple[Problem, ...]]:
    """Return what a refusal says: problem details (RFC 9457), FHIR's OperationOutcome, or neither."""
    try:
        body = reply.json()
    except ValueError:
        body = None
    match body:
        case {"resourceType": "OperationOutcome", "issue": list(issues)}:
            return "the server refused the bundle", tuple(_issues(issues))
        case {"title": str(title), "detail": str(detail)}:
            incident = body.get("incident")
            named = f"; incident {incident}" if isinstance(incident, str) else ""
            return f"{title[:1].lower()}{title[1:]}: {detail}{named}", tuple(_problems(body.get("errors")))
        case _:
            return f"the server answered {reply.status_code} and not as an Arbiter would", ()


def _problems(errors: Any) -> Iterable[Problem]:
    for error in (errors if isinstance(errors, list) else [])[:_PROBLEM_LIMIT]:
        match error:
            case {"pointer": str(pointer), "code": str(code), "detail": str(detail)}:
                yield Problem(pointer, code, detail)


def _issues(issues: list[Any]) -> Iterable[Problem]:
    for issue in issues[:_PROBLEM_LIMIT]:
        if not isinstance(issue, dict):
            continue
        places = issue.get("expression") or issue.get("location") or ["Bundle"]
        details = issue.get("details")
        words = issue.get("diagnostics") or (details.get("text") if isinstance(details, dict) else None) or ""
        yield Problem(
            str(places[0] if isinstance(places, list) else places), str(issue.get("code", "")), str(words)
        )


def _advice(status: int) -> str:
    match status:
        case HTTPStatus.UNAUTHORIZED:
            return "; the token is unknown or disabled: `arbiter clients list` shows which are valid"
        case HTTPStatus.FORBIDDEN:
            return "; the client's roles do not allow this: `arbiter clients show` shows them"
        case _:
            return ""


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
