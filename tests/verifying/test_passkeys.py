"""A passkey's signature as an outsider checks it: nothing in it can be changed, and a second implementation agrees."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from webauthn import verify_authentication_response
from webauthn.helpers.exceptions import InvalidAuthenticationResponse

from arbiter.audit.entry import FIRST_PREV, Entry, commit
from arbiter.documents.canonical import encode
from arbiter.documents.scalars import instant_text
from arbiter.documents.signing import DecisionToSign, Shown, reason_hash_of
from arbiter.errors import ArbiterError, VerificationError
from arbiter.verifying.cose import public_key
from arbiter.verifying.passkeys import check_passkey, check_registered, is_for, spelt
from tests.passkeys import KINDS, PRESENT, VERIFIED, SoftPasskey, content, text

AT = datetime(2026, 11, 27, 9, 0, tzinfo=UTC)
PAGE = Shown("c_case", "1" * 64, "2" * 64, "3" * 64, "I have judged.", own="4" * 64, readers=("5" * 64,))
SALT = b"s" * 32
REASON = "the trend"


@cache
def a_passkey(kind: str) -> SoftPasskey:
    return SoftPasskey(kind, rp_id="arbiter.example", origin="https://arbiter.example")


def decision(**changes: Any) -> DecisionToSign:
    said: dict[str, Any] = {
        "case": "c_case",
        "reviewer": "a_anna",
        "option": "urgent-review",
        "own_option": "continue-monitoring",
        "reason_hash": reason_hash_of(REASON),
        "meaning": PAGE.meaning,
        "shown": PAGE.hash,
        "requested_at": AT,
    }
    return DecisionToSign(**said | changes)


def signed(kind: str = "ES256", asked: DecisionToSign | None = None, **lies: Any) -> dict[str, Any]:
    """A signature's document with what a passkey signed, lying as told."""
    passkey = a_passkey(kind)
    challenge = text((asked or decision()).challenge)
    response = json.loads(passkey.sign(json.dumps({"challenge": challenge}), **lies))["response"]
    register = {
        "account": "a_anna",
        "credential": sha256(passkey.credential_id).hexdigest(),
        "name": "key",
        "public_key": text(passkey.cose),
        "rp_id": passkey.rp_id,
    }
    return {
        "format": "arbiter/signature/v2",
        "reviewer": "a_anna",
        "name": "Anna",
        "option": "urgent-review",
        "own_option": "continue-monitoring",
        "own_opinion": "changed",
        "meaning": PAGE.meaning,
        "reason": REASON,
        "shown": PAGE.certificate,
        "page": PAGE.document(),
        "way": "passkey",
        "signed_at": instant_text(AT + timedelta(seconds=20)),
        "passkey": {
            "rp_id": passkey.rp_id,
            "credential_id": text(passkey.credential_id),
            "public_key": text(passkey.cose),
            "authenticator_data": response["authenticatorData"],
            "client_data": response["clientDataJSON"],
            "signature": response["signature"],
            "requested_at": instant_text(AT),
            "registered": {"entry": 7, "salt": text(SALT), "document": encode(register).decode()},
        },
    }


@cache
def kept(kind: str) -> dict[str, Any]:
    return signed(kind)


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_passkey_signed_checks_out_and_py_webauthn_agrees(kind: str) -> None:
    document = signed(kind)
    found = check_passkey(document)
    assert found.public_key == a_passkey(kind).cose
    assert by_the_other_implementation(document)


def by_the_other_implementation(document: dict[str, Any]) -> bool:
    told = document["passkey"]
    answer = SoftPasskey.answer(
        a_passkey("ES256"),
        {
            "authenticatorData": told["authenticator_data"],
            "clientDataJSON": told["client_data"],
            "signature": told["signature"],
        },
    )
    try:
        verify_authentication_response(
            credential=answer,
            expected_challenge=decision().challenge,
            expected_rp_id=told["rp_id"],
            expected_origin=f"https://{told['rp_id']}",
            credential_public_key=content(told["public_key"]),
            credential_current_sign_count=0,
            require_user_verification=True,
        )
    except InvalidAuthenticationResponse:
        return False
    return True


LIES: dict[str, dict[str, Any]] = {
    "made, not asked to sign": {"type": "webauthn.create"},
    "for another origin": {"origin": "https://arbiter.example.evil.example"},
    "for a host beside ours": {"origin": "https://notarbiter.example"},
    "without encryption": {"origin": "http://arbiter.example"},
    "by an authenticator of another place": {"rp_id": "evil.example"},
    "without verifying its user": {"flags": PRESENT},
    "without anybody there": {"flags": VERIFIED},
    "over other bytes": {"signed": b"other bytes"},
    "over another challenge": {"challenge": text(b"c" * 32)},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lie", LIES)
def test_a_passkey_that_signed_otherwise_is_refused_by_both(kind: str, lie: str) -> None:
    document = signed(kind, **LIES[lie])
    with pytest.raises(VerificationError):
        check_passkey(document)
    assert not by_the_other_implementation(document)


def test_a_passkey_asked_from_within_another_sites_page_is_refused() -> None:
    with pytest.raises(VerificationError, match="another site"):
        check_passkey(signed(cross_origin=True))


@pytest.mark.parametrize(
    "changes",
    [
        {"case": "c_other"},
        {"reviewer": "a_ben"},
        {"option": "continue-monitoring"},
        {"own_option": None},
        {"own_option": "urgent-review"},
        {"reason_hash": None},
        {"reason_hash": reason_hash_of("another reason")},
        {"meaning": "I was there."},
        {"shown": "0" * 64},
        {"requested_at": AT - timedelta(microseconds=1)},
    ],
    ids=str,
)
def test_a_signature_over_another_decision_proves_nothing_of_this_one(changes: dict[str, Any]) -> None:
    with pytest.raises(VerificationError, match="another decision"):
        check_passkey(signed(asked=decision(**changes)))


PLACES = ("credential_id", "public_key", "authenticator_data", "client_data", "signature")


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_no_byte_of_what_a_passkey_signed_can_be_changed(kind: str, data: st.DataObject) -> None:
    document = deepcopy(kept(kind))
    name = data.draw(st.sampled_from(PLACES))
    bent = bytearray(content(document["passkey"][name]))
    at = data.draw(st.integers(0, len(bent) - 1))
    bent[at] ^= data.draw(st.integers(1, 255))
    document["passkey"][name] = text(bytes(bent))
    with pytest.raises(ArbiterError):
        check_passkey(document)


@pytest.mark.parametrize("name", PLACES)
def test_every_single_byte_of_an_es256_signature_counts(name: str) -> None:
    """Without chance: each byte once, changed by one bit and cut off."""
    whole = content(kept("ES256")["passkey"][name])
    for at in range(len(whole)):
        for bent in (whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :], whole[:at]):
            document = deepcopy(kept("ES256"))
            document["passkey"][name] = text(bent)
            with pytest.raises(ArbiterError):
                check_passkey(document)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("reviewer",), "a_ben"),
        (("option",), "continue-monitoring"),
        (("own_option",), ""),
        (("reason",), "another reason"),
        (("meaning",), "I was there."),
        (("page", "facts"), "0" * 64),
        (("page", "certificate"), "0" * 64),
        (("page", "readers"), []),
        (("page", "own"), "0" * 64),
        (("page", "case"), "c_other"),
        (("signed_at",), instant_text(AT + timedelta(minutes=6))),
        (("signed_at",), instant_text(AT - timedelta(seconds=1))),
        (("passkey", "rp_id"), "example"),
        (("passkey", "requested_at"), instant_text(AT + timedelta(seconds=1))),
    ],
    ids=str,
)
def test_what_was_signed_cannot_be_told_otherwise(path: tuple[str, ...], value: object) -> None:
    document = deepcopy(kept("ES256"))
    place = document
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    with pytest.raises(ArbiterError):
        check_passkey(document)


@pytest.mark.parametrize(
    "respelt",
    [
        lambda spelling: spelling + "=",
        lambda spelling: spelling + "AA",
        lambda spelling: spelling.replace("_", "/").replace("-", "+") + "+",
        lambda _spelling: "",
        lambda spelling: f" {spelling}",
    ],
)
def test_bytes_have_one_spelling(respelt: Callable[[str], str]) -> None:
    document = deepcopy(kept("ES256"))
    document["passkey"]["signature"] = respelt(document["passkey"]["signature"])
    with pytest.raises(ArbiterError):
        check_passkey(document)


# --- whose key it is ------------------------------------------------------------------------------------------------


def entry(document: dict[str, Any], **changes: Any) -> Entry:
    register = document["passkey"]["registered"]
    said: dict[str, Any] = {
        "type": "passkey.added",
        "case": "house",
        "seq": register["entry"],
        "prev": "0" * 63 + "1",
        "at": AT,
        "actor": "a_anna",
        "trace": "",
        "versions": (),
        "commits": (("register", commit("register", SALT, register["document"].encode())),),
    }
    return Entry(**said | changes)


def test_the_registers_entry_ties_the_key_to_the_account() -> None:
    document = kept("ES256")
    found = check_passkey(document)
    assert check_registered(found, AT, [entry(document, seq=6), entry(document)])
    assert not check_registered(found, AT, [entry(document, seq=6)])


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "passkey.removed"},
        {"type": "account.made"},
        {"commits": (("register", commit("register", b"t" * 32, b"{}")),)},
        {"commits": ()},
        {"at": AT + timedelta(hours=1)},
    ],
    ids=str,
)
def test_another_entry_there_is_a_forgery(changes: dict[str, Any]) -> None:
    document = kept("ES256")
    with pytest.raises(VerificationError):
        check_registered(check_passkey(document), AT, [entry(document, **changes)])


@pytest.mark.parametrize("name", ["account", "credential", "public_key", "rp_id"])
def test_a_register_about_another_key_or_person_is_refused(name: str) -> None:
    document = deepcopy(kept("ES256"))
    register = json.loads(document["passkey"]["registered"]["document"])
    register[name] = "another"
    document["passkey"]["registered"]["document"] = encode(register).decode()
    with pytest.raises(VerificationError, match="not about this passkey"):
        check_passkey(document)


def test_a_first_entry_of_the_house_is_no_exception() -> None:
    document = kept("ES256")
    first = entry(document, seq=0, prev=FIRST_PREV)
    assert not check_registered(check_passkey(document), AT, [first])


# --- keys -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_is_read_as_cbor2_spells_it(kind: str) -> None:
    assert public_key(a_passkey(kind).cose) == a_passkey(kind).key.public_key()


def es256(**changes: Any) -> dict[int, Any]:
    members: dict[int, Any] = cbor2.loads(a_passkey("ES256").cose)
    return members | {int(name.removeprefix("m").replace("_", "-")): value for name, value in changes.items()}


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"\xa0",
        b"\xf6",
        cbor2.dumps([1, 2]),
        cbor2.dumps(es256(m_4=1), canonical=True),
        cbor2.dumps(es256(m3=-35), canonical=True),
        cbor2.dumps(es256(m_1=2), canonical=True),
        cbor2.dumps(es256(m_2=b"x" * 31), canonical=True),
        cbor2.dumps(es256(m_2="x" * 32), canonical=True),
        cbor2.dumps(es256(m_3=b"\xff" * 32), canonical=True),
        cbor2.dumps({1: 3, 3: -257, -1: b"\xff" * 128, -2: b"\x01\x00\x01"}, canonical=True),
        cbor2.dumps({1: 3, 3: -257, -1: b"\x00" + b"\xff" * 256, -2: b"\x01\x00\x01"}, canonical=True),
        cbor2.dumps({1: 1, 3: -8, -1: 4, -2: b"x" * 32}, canonical=True),
        a_passkey("ES256").cose + b"\x00",
        a_passkey("ES256").cose[:-1],
        b"\xb8\x05" + a_passkey("ES256").cose[1:],
        b"\xbf" + a_passkey("ES256").cose[1:] + b"\xff",
    ],
    ids=(f"spelling {number}" for number in range(17)),
)
def test_anything_but_the_one_spelling_of_a_key_is_refused(bad: bytes) -> None:
    with pytest.raises(VerificationError, match="expected a passkey's public key"):
        public_key(bad)


@given(st.binary(max_size=120))
def test_a_strangers_bytes_are_refused_or_are_a_key(bad: bytes) -> None:
    try:
        public_key(bad)
    except VerificationError as error:
        assert "expected a passkey" in str(error)  # noqa: PT017 - most bytes are none, and none may raise otherwise


# --- places ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("origin", "rp_id"),
    [
        ("https://arbiter.example", "arbiter.example"),
        ("https://ward.arbiter.example:8443", "arbiter.example"),
        ("http://localhost:8400", "localhost"),
    ],
)
def test_a_place_is_its_host_and_those_below_it(origin: str, rp_id: str) -> None:
    assert is_for(origin, rp_id)


@pytest.mark.parametrize(
    ("origin", "rp_id"),
    [
        ("https://example", "arbiter.example"),
        ("https://xarbiter.example", "arbiter.example"),
        ("https://arbiter.example.evil.example", "arbiter.example"),
        ("https://arbiter.example@evil.example", "arbiter.example"),
        ("https://evil.example/arbiter.example", "arbiter.example"),
        ("https://evil.example?.arbiter.example", "arbiter.example"),
        ("http://arbiter.example", "arbiter.example"),
        ("http://localhost.evil.example", "localhost"),
        ("android:apk-key-hash:abc", "arbiter.example"),
        ("https://[::1", "arbiter.example"),
        ("", "arbiter.example"),
    ],
)
def test_other_places_are_not_it(origin: str, rp_id: str) -> None:
    assert not is_for(origin, rp_id)


@given(st.binary(min_size=1, max_size=80))
def test_bytes_are_spelt_as_the_rfc_has_them(raw: bytes) -> None:
    assert content(spelt(raw)) == raw
    assert not set(spelt(raw)) & set("+/=")
