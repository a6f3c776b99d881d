"""Who is looking: the session cookie, the token in every form, and where a log-in may lead.

The cookie is HttpOnly and SameSite=Strict; outside a demonstration on the loopback address it is also Secure and
carries the `__Host-` prefix, so that no other host or path can set it. A form is taken only with its session's token,
and only when the browser does not say that another site sent it.
"""

from __future__ import annotations

import base64
import hmac
import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from arbiter.errors import ForbiddenError, UnauthenticatedError
from arbiter.identity.accounts import authenticate
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.identity.sessions import LIFETIME, Session, check_csrf, close_session, open_session, resume
from arbiter.settings import Mode, Settings
from arbiter.workflow.house import House
from arbiter.workflow.watching.looking import may_look
from clinician_ui.fields import CSRF_FIELD, Fields, only_value
from clinician_ui.navigation import FLEET, HOME, WATCH, is_ours

_LONGEST_TOKEN = 128


@dataclass(frozen=True, slots=True)
class Cookies:
    """The names of our cookies and whether a browser may send them over an encrypted connection alone."""

    session: str
    log_in: str
    secure: bool


@dataclass(frozen=True, slots=True)
class Visitor:
    """A person who is logged in, the token that proves their forms, and the path of the page they ask for."""

    principal: Principal
    session: Session
    token: str
    at: str = ""

    @property
    def home(self) -> str:
        """Where this person's work begins."""
        return home_of(self.principal)

    @property
    def csrf_token(self) -> str:
        """The value of the hidden field in this person's forms."""
        return self.session.csrf_token


def cookies_for(settings: Settings) -> Cookies:
    """Return how cookies are set: secure, unless this is a demonstration on the loopback address that asks otherwise."""
    secure = (
        settings.secure_cookies or settings.mode is not Mode.DEMONSTRATION or not _is_loopback(settings.host)
    )
    prefix = "__Host-" if secure else ""
    return Cookies(f"{prefix}arbiter-session", f"{prefix}arbiter-log-in", secure)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def home_of(principal: Principal) -> str:
    """Return where somebody's work begins: the work list for who reviews, else the fleet, or the watch, where one may see it."""
    if Permission.REVIEW_WORK in principal.permissions:
        return HOME
    if Permission.FLEET_WATCH in principal.permissions:
        return FLEET
    return WATCH if may_look(principal) else HOME


def safe_next(path: str | None) -> str:
    """Return a path of ours to go to after a log-in; anything but the address of one of our pages leads to the work list."""
    return path if path is not None and is_ours(path) else HOME


def log_in_address(path: str) -> str:
    """Return the address of the log-in page that leads back to `path`."""
    return "/login" if safe_next(path) == HOME else f"/login?next={quote(safe_next(path))}"


class Doorkeeper:
    """Opens, resumes and closes the sessions of one house."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.cookies = cookies_for(house.settings)

    async def visitor(self, request: Request, *, acting: bool = True) -> Visitor:
        """Return who is looking; raise UnauthenticatedError when nobody is logged in.

        `acting` is false where a page asks by itself, which does not count as a use of the session.
        """
        token = request.cookies.get(self.cookies.session)
        if not token or len(token) > _LONGEST_TOKEN:
            raise UnauthenticatedError("there is no session cookie")
        session = await resume(self._house.sessions, self._house.clock, token, acting=acting)
        return Visitor(session.principal, session, token, request.url.path)

    async def admit(self, login: str, password: str) -> tuple[Principal, str]:
        """Open a session for whoever login and password prove and return the cookie's token; UnauthenticatedError otherwise."""
        house = self._house
        principal = await authenticate(house.identities, house.clock, login, password)
        _, token = await open_session(house.sessions, house.clock, house.chance, principal)
        return principal, token

    async def prove_again(self, principal: Principal, login: str, password: str) -> None:
        """Raise UnauthenticatedError unless login and password are this account's own; failures count towards its lock.

        Somebody else's login is never tried: it costs this account an attempt, whatever its password.
        """
        house = self._house
        own = login.strip().lower() == principal.login
        proven = await authenticate(
            house.identities, house.clock, principal.login or "", password if own else ""
        )
        if not own or proven.id != principal.id:
            raise UnauthenticatedError("login and password are not this account's")

    async def dismiss(self, visitor: Visitor) -> None:
        """End this person's session."""
        await close_session(self._house.sessions, visitor.token)

    # --- forms ---------------------------------------------------------------------------------------------------

    def check_form(self, request: Request, visitor: Visitor, fields: Fields) -> None:
        """Raise ForbiddenError unless this person's own page sent the form."""
        _refuse_other_sites(request)
        check_csrf(visitor.session, only_value(fields, CSRF_FIELD))

    def log_in_token(self, request: Request) -> str:
        """Return the token that ties a log-in form to this browser, before there is a session: the one it has, or a new one."""
        token = request.cookies.get(self.cookies.log_in, "")
        if re.fullmatch(r"[A-Za-z0-9_-]{43}", token, re.ASCII):
            return token
        return base64.urlsafe_b64encode(self._house.chance.token(32)).decode().rstrip("=")

    def check_log_in_form(self, request: Request, fields: Fields) -> None:
        """Raise ForbiddenError unless the log-in form was shown to this very browser."""
        _refuse_other_sites(request)
        expected = request.cookies.get(self.cookies.log_in, "")
        presented = only_value(fields, CSRF_FIELD) or ""
        if not expected or not hmac.compare_digest(expected.encode(), presented.encode()):
            raise ForbiddenError("the log-in form did not come from a page shown to this browser")

    # --- cookies -------------------------------------------------------------------------------------------------

    def give_session(self, response: Response, token: str) -> None:
        """Set the session cookie and forget the log-in form's."""
        self._set(response, self.cookies.session, token, int(LIFETIME.total_seconds()))
        self._set(response, self.cookies.log_in, "", 0)

    def give_log_in_token(self, response: Response, token: str) -> None:
        """Set the log-in form's cookie."""
        self._set(response, self.cookies.log_in, token, 3600)

    def take_session(self, response: Response) -> None:
        """Let the browser forget the session."""
        self._set(response, self.cookies.session, "", 0)

    def _set(self, response: Response, name: str, value: str, seconds: int) -> None:
        response.set_cookie(
            name,
            value,
            max_age=seconds,
            path="/",
            secure=self.cookies.secure,
            httponly=True,
            samesite="strict",
        )


def _refuse_other_sites(request: Request) -> None:
    # Second line behind SameSite and the token: browsers say truthfully who sent a form (Fetch Metadata).
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise ForbiddenError("another site sent the form")
