"""The vault: whatever was sealed opens in its own place and nowhere else, and nothing changed opens at all."""

from __future__ import annotations

import hmac
import itertools
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from arbiter.errors import ConfigurationError, VerificationError
from arbiter.model import CaseId
from arbiter.store.keys import Keyring
from arbiter.store.vault import CaseKey, Vault
from tests.conftest import SeededChance, keyring_of

CASE = CaseId("case-1")
SALT = bytes(range(32))
CONTENT = b'{"facts":[{"name":"respiratory-rate","value":"26"}]}'

VAULT = Vault(keyring_of(SeededChance(1)), SeededChance(2))
KEY = VAULT.new_key(CASE)
SEALED = VAULT.seal(KEY, 3, "facts", SALT, CONTENT)


@given(
    seq=st.integers(0, 2**31 - 1),
    name=st.text(max_size=40),
    salt=st.binary(min_size=32, max_size=32),
    content=st.binary(),
)
def test_what_is_sealed_opens_in_its_place(seq: int, name: str, salt: bytes, content: bytes) -> None:
    assert VAULT.open(KEY, seq, name, VAULT.seal(KEY, seq, name, salt, content)) == (salt, content)


def test_any_changed_bit_is_refused() -> None:
    for position, bit in itertools.product(range(len(SEALED)), range(8)):
        changed = bytearray(SEALED)
        changed[position] ^= 1 << bit
        with pytest.raises(VerificationError):
            VAULT.open(KEY, 3, "facts", bytes(changed))


@pytest.mark.parametrize("length", range(len(SEALED)))
def test_any_cut_is_refused(length: int) -> None:
    with pytest.raises(VerificationError):
        VAULT.open(KEY, 3, "facts", SEALED[:length])


def test_an_appended_byte_is_refused() -> None:
    with pytest.raises(VerificationError):
        VAULT.open(KEY, 3, "facts", SEALED + b"\0")


@pytest.mark.parametrize(
    ("seq", "name"), [(2, "facts"), (4, "facts"), (3, "fact"), (3, "request"), (3, ""), (3, "facts ")]
)
def test_a_document_moved_to_another_place_is_refused(seq: int, name: str) -> None:
    with pytest.raises(VerificationError, match="changed or moved"):
        VAULT.open(KEY, seq, name, SEALED)


def test_a_document_moved_to_another_case_with_the_same_key_is_refused() -> None:
    with pytest.raises(VerificationError, match="changed or moved"):
        VAULT.open(replace(KEY, case_id=CaseId("case-2")), 3, "facts", SEALED)


@pytest.mark.parametrize(
    ("sealed_as", "opened_as"),
    [(("case-1", "1x"), ("case-11", "x")), (("a", "bc"), ("ab", "c")), (("a:b", ""), ("a", ":b"))],
)
def test_case_and_name_do_not_run_into_each_other(
    sealed_as: tuple[str, str], opened_as: tuple[str, str]
) -> None:
    sealed = VAULT.seal(replace(KEY, case_id=CaseId(sealed_as[0])), 1, sealed_as[1], SALT, CONTENT)
    with pytest.raises(VerificationError):
        VAULT.open(replace(KEY, case_id=CaseId(opened_as[0])), 1, opened_as[1], sealed)


def test_a_document_under_another_case_key_is_refused() -> None:
    with pytest.raises(VerificationError):
        VAULT.open(VAULT.new_key(CASE), 3, "facts", SEALED)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_salt_of_the_wrong_size_is_never_sealed(size: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        VAULT.seal(KEY, 0, "facts", bytes(size), CONTENT)


def test_equal_documents_look_different() -> None:
    assert VAULT.seal(KEY, 3, "facts", SALT, CONTENT) != VAULT.seal(KEY, 3, "facts", SALT, CONTENT)


def test_the_sealed_form_is_what_a_second_reader_expects() -> None:
    """The format by hand: nonce (12), then AES-256-GCM over salt and content with length-prefixed associated data."""
    parts = [b"arbiter/document/v1", b"case-1", (3).to_bytes(8, "big"), b"facts"]
    place = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    assert AESGCM(KEY.key).decrypt(SEALED[:12], SEALED[12:], place) == SALT + CONTENT


def test_a_case_key_opens_again() -> None:
    assert VAULT.open_key(CASE, KEY.kek_id, KEY.wrapped) == KEY


def test_the_wrapped_key_of_one_case_does_not_open_under_another() -> None:
    with pytest.raises(VerificationError, match="case-2"):
        VAULT.open_key(CaseId("case-2"), KEY.kek_id, KEY.wrapped)


def test_any_changed_bit_of_a_wrapped_key_is_refused() -> None:
    for position, bit in itertools.product(range(len(KEY.wrapped)), range(8)):
        changed = bytearray(KEY.wrapped)
        changed[position] ^= 1 << bit
        with pytest.raises(VerificationError):
            VAULT.open_key(CASE, KEY.kek_id, bytes(changed))


@pytest.mark.parametrize("wrapped", [b"", b"short", KEY.wrapped[:-1], KEY.wrapped[:12], KEY.wrapped + b"\0"])
def test_a_cut_or_padded_wrapped_key_is_refused(wrapped: bytes) -> None:
    with pytest.raises(VerificationError):
        VAULT.open_key(CASE, KEY.kek_id, wrapped)


def test_a_wrapped_key_relabelled_to_another_wrapping_key_is_refused(keyring: Keyring) -> None:
    """Even when both wrapping keys are the same bytes, the label is authenticated."""
    same = keyring.keks["kek-1"]
    vault = Vault(replace(keyring, keks={"kek-1": same, "kek-2": same}), SeededChance(3))
    key = vault.new_key(CASE)
    with pytest.raises(VerificationError):
        vault.open_key(CASE, "kek-2", key.wrapped)


def test_an_unknown_wrapping_key_is_named() -> None:
    with pytest.raises(ConfigurationError, match="kek-7"):
        VAULT.open_key(CASE, "kek-7", KEY.wrapped)


def test_keys_wrapped_before_a_rotation_still_open(keyring: Keyring) -> None:
    before = Vault(keyring, SeededChance(3)).new_key(CASE)
    rotated = Vault(
        replace(keyring, keks={**keyring.keks, "kek-2": bytes(32)}, current_kek="kek-2"), SeededChance(4)
    )
    assert rotated.open_key(CASE, before.kek_id, before.wrapped).key == before.key
    assert rotated.new_key(CASE).kek_id == "kek-2"


def test_a_case_key_does_not_show_itself() -> None:
    assert repr(KEY) == "CaseKey(case_id='case-1', kek_id='kek-1')"
    assert isinstance(KEY, CaseKey)


def test_a_mac_is_hmac_sha256_of_prefixed_parts(keyring: Keyring, vault: Vault) -> None:
    parts = [b"arbiter/mac/v1", b"subject", b"nhs-number", b"9434765919"]
    message = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    expected = hmac.new(keyring.index_key, message, "sha256").digest()
    assert vault.mac("subject", b"nhs-number", b"9434765919") == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("subject", b"a"), ("encounter", b"a")),
        (("subject", b"ab"), ("subject", b"a", b"b")),
        (("subject", b"a", b"bc"), ("subject", b"ab", b"c")),
        (("subject", b""), ("subject",)),
        (("subject", b"x"), ("subjec", b"tx")),
    ],
)
def test_macs_of_different_things_differ(
    vault: Vault, one: tuple[str, bytes], other: tuple[str, bytes]
) -> None:
    assert vault.mac(*one) != vault.mac(*other)


def test_a_mac_under_another_index_key_differs(keyring: Keyring, vault: Vault) -> None:
    other = Vault(replace(keyring, index_key=bytes(32)), SeededChance())
    assert vault.mac("subject", b"a") != other.mac("subject", b"a")


# --- secrets of endpoints -----------------------------------------------------------------------------------------

SECRET = bytes(range(100, 132))


def test_a_secret_opens_for_its_owner_alone() -> None:
    kek_id, sealed = VAULT.seal_secret("we_one", SECRET)
    assert VAULT.open_secret("we_one", kek_id, sealed) == SECRET
    assert SECRET not in sealed
    for owner in ("we_two", "we_on", "we_one ", ""):
        with pytest.raises(VerificationError):
            VAULT.open_secret(owner, kek_id, sealed)


def test_a_changed_or_cut_secret_is_refused() -> None:
    kek_id, sealed = VAULT.seal_secret("we_one", SECRET)
    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1
        with pytest.raises(VerificationError):
            VAULT.open_secret("we_one", kek_id, bytes(changed))
        with pytest.raises(VerificationError):
            VAULT.open_secret("we_one", kek_id, sealed[:position])


def test_a_secret_under_a_key_that_is_not_here_names_the_key() -> None:
    _, sealed = VAULT.seal_secret("we_one", SECRET)
    with pytest.raises(ConfigurationError, match="kek-9"):
        VAULT.open_secret("we_one", "kek-9", sealed)


def test_a_secret_sealed_under_an_older_key_still_opens() -> None:
    before = keyring_of(SeededChance(1))
    kek_id, sealed = Vault(before, SeededChance(2)).seal_secret("we_one", SECRET)
    rotated = replace(before, keks={**before.keks, "kek-2": bytes(32)}, current_kek="kek-2")
    assert Vault(rotated, SeededChance(3)).open_secret("we_one", kek_id, sealed) == SECRET


def test_a_cases_key_is_no_secret_and_a_secret_no_cases_key() -> None:
    kek_id, sealed = VAULT.seal_secret(CASE, SECRET)
    with pytest.raises(VerificationError):
        VAULT.open_key(CASE, kek_id, sealed)
    with pytest.raises(VerificationError):
        VAULT.open_secret(CASE, KEY.kek_id, KEY.wrapped)
