"""The log's Ed25519 key in hardware, behind the PKCS#11 module that its maker ships.

The key is made in the token, is not extractable, and signs there (CKM_EDDSA, PKCS#11 3.0). `log.key` says where it is: a line
`PKCS11+<name>+<key id>+<base64(0x01 || public key)> <URI>`, the URI as RFC 7512 spells it, with `token`, `object`,
`module-path` and `pin-source`, a file that only the service's user can read. What the token gives is verified against that public
key before it is used. The Python package is imported when such a key is, and not before: it is the extra `hsm`.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from arbiter.audit.note import SignatureType, VerifierKey
from arbiter.errors import ConfigurationError, UnavailableError, VerificationError
from arbiter.store.keys.files import read_private

LOG_OBJECT = "arbiter-log"
MOST_OBJECTS = 1000
HARDWARE = "PKCS11+"
_ED25519_OID = bytes.fromhex("06032b6570")
_PIN_ADVICE = "the URI's pin-source names a file of mode 0600 with the PIN on one line"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a key is: the token's and the object's label, the PKCS#11 module, and the file with the PIN.

    Without an object it is a place for a new key, which gets a label that the token has not yet.
    """

    token: str
    object: str
    module: str
    pin: Path = field(repr=False)

    def uri(self) -> str:
        """Return the place as a PKCS#11 URI."""
        token, label, module, pin = (
            quote(part, safe="/.-_") for part in (self.token, self.object, self.module, str(self.pin))
        )
        named = f";object={label}" if label else ""
        return f"pkcs11:token={token}{named}?module-path={module}&pin-source={pin}"

    @classmethod
    def parse(cls, uri: str) -> Place:
        """Return the place that a URI names; raises ConfigurationError. `object` may be left out."""
        scheme, separator, rest = uri.partition(":")
        path, _, query = rest.partition("?")
        parts = [part.partition("=") for part in (*path.split(";"), *query.split("&")) if part]
        named = {name: unquote(value) for name, _, value in parts}
        known = {"token", "object", "module-path", "pin-source"}
        if scheme != "pkcs11" or not separator or len(named) != len(parts) or not named.keys() <= known:
            raise ConfigurationError(
                f"expected a URI pkcs11:token=…?module-path=…&pin-source=…, of {sorted(known)}"
            )
        missing = sorted(known - named.keys() - {"object"})
        if missing or not all(named.values()):
            raise ConfigurationError(f"the PKCS#11 URI lacks {', '.join(missing) or 'a value'}")
        pin = Path(urlsplit(named["pin-source"]).path)
        return cls(named["token"], named.get("object", ""), named["module-path"], pin)


class HardwareSigner:
    """Signs in the token. A token that does not answer raises UnavailableError, so that a seal is tried again."""

    def __init__(self, key: VerifierKey, place: Place) -> None:
        self._key = key
        self.place = place

    @property
    def name(self) -> str:
        """The key's name."""
        return self._key.name

    @property
    def verifier_key(self) -> str:
        """The public half as a verifier key string."""
        return self._key.encode()

    def sign(self, message: bytes) -> bytes:
        """Return the token's 64-byte signature, verified."""
        with token_session(self.place) as (pkcs11, session):
            private = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, label=self.place.object)
            signature = bytes(private.sign(message, mechanism=pkcs11.Mechanism.EDDSA))
        try:
            self._key.verify(message, signature)
        except VerificationError as error:
            raise UnavailableError(
                f"the token {self.place.token} signs with another key than {self._key.key_id.hex()}"
            ) from error
        return signature

    def probe(self) -> None:
        """Raise ConfigurationError when the token cannot sign now."""
        try:
            self.sign(b"arbiter/probe/v1\n")
        except UnavailableError as error:
            raise ConfigurationError(f"{error}: is the token there, and the PIN right?") from error


def make_hardware_key(origin: str, place: Place) -> str:
    """Make the log's key in a token, and return its line for the log key's file.

    A place without an object gets the first label that the token does not have: `arbiter-log`, `arbiter-log-2` and so on.

    Raises:
        ConfigurationError: when the token has a key of that label already, or cannot make one.
    """
    try:
        with token_session(place) as (pkcs11, session):
            place = free_label(pkcs11, session, place, LOG_OBJECT)
            parameters = session.create_domain_parameters(
                pkcs11.KeyType.EC_EDWARDS, {pkcs11.Attribute.EC_PARAMS: _ED25519_OID}, local=True
            )
            public, _ = parameters.generate_keypair(
                mechanism=pkcs11.Mechanism.EC_EDWARDS_KEY_PAIR_GEN,
                store=True,
                label=place.object,
                private_template={
                    pkcs11.Attribute.SENSITIVE: True,
                    pkcs11.Attribute.EXTRACTABLE: False,
                    pkcs11.Attribute.SIGN: True,
                },
            )
            # A DER OCTET STRING of 32 bytes; some modules give the bytes bare.
            point = bytes(public[pkcs11.Attribute.EC_POINT])[-32:]
    except UnavailableError as error:
        raise ConfigurationError(str(error)) from error
    key = VerifierKey(origin, SignatureType.ED25519, point)
    HardwareSigner(key, place).probe()
    return f"{HARDWARE}{key.encode()} {place.uri()}"


def free_label(pkcs11: Any, session: Any, place: Place, wanted: str) -> Place:
    """Return the place with a label that the token does not have: its own, or the wanted one, or that with a number behind.

    Raises:
        ConfigurationError: when its own is taken.
    """
    numbered = (f"{wanted}-{number}" for number in range(2, MOST_OBJECTS))
    for label in (place.object,) if place.object else (wanted, *numbered):
        if not any(True for _ in session.get_objects({pkcs11.Attribute.LABEL: label})):
            return replace(place, object=label)
    raise ConfigurationError(
        f"the token {place.token} has an object {place.object or wanted} already, and keys are never overwritten"
    )


def open_hardware_key(line: str, path: Path) -> HardwareSigner:
    """Return the signer of a line in a log key file; the token is not asked before something is to be signed."""
    key, _, uri = line.removeprefix(HARDWARE).partition(" ")
    try:
        public = VerifierKey.parse(key)
    except VerificationError as error:
        raise ConfigurationError(f"{path} is damaged: {error}") from error
    if public.type is not SignatureType.ED25519:
        raise ConfigurationError(f"{path} is malformed: expected an Ed25519 key in hardware")
    place = Place.parse(uri)
    return HardwareSigner(public, place if place.object else replace(place, object=LOG_OBJECT))


_open: dict[tuple[str, str], Any] = {}
_guard = threading.Lock()


@contextmanager
def token_session(place: Place) -> Iterator[tuple[Any, Any]]:
    """Yield the package and a session of the token, logged in; one a token, used by one thread at a time."""
    try:
        pkcs11 = importlib.import_module("pkcs11")
    except ImportError:
        raise ConfigurationError(
            "a key in hardware needs the Python package python-pkcs11: install arbiter-panel[hsm]"
        ) from None
    with _guard:
        known = (place.module, place.token)
        try:
            if known not in _open:
                _open[known] = _log_in(pkcs11, place)
            yield pkcs11, _open[known]
        except (pkcs11.PKCS11Error, OSError, RuntimeError) as error:
            session = _open.pop(known, None)
            if session is not None:
                _close(pkcs11, session)
            raise UnavailableError(
                f"the token {place.token} does not do what was asked: {type(error).__name__}"
            ) from error


def _log_in(pkcs11: Any, place: Place) -> Any:
    pin = read_private(place.pin, _PIN_ADVICE)
    token = pkcs11.lib(place.module).get_token(token_label=place.token)
    try:
        return token.open(rw=True, user_pin=pin)
    except pkcs11.exceptions.UserAlreadyLoggedIn:
        return token.open(rw=True)


def _close(pkcs11: Any, session: Any) -> None:
    try:
        session.close()
    except pkcs11.PKCS11Error:
        return
