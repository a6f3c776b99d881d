"""Whose passkeys are whose: adding one to one's own account, listing and removing them.

A passkey is added by whoever has just proven the account's password: the request that the browser answers exists only then,
is this account's, and is used up by one answer. Each addition and removal is an entry of the register.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from webauthn import (
    base64url_to_bytes,
    generate_registration_options,
    options_to_json,
    verify_registration_response,
)
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.exceptions import InvalidCBORData, WebAuthnException
from webauthn.helpers.structs import (
    AttestationConveyancePreference,
    AuthenticatorSelectionCriteria,
    CredentialDeviceType,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from arbiter.documents.signing import ASKED_FOR
from arbiter.errors import ConfigurationError, NotFoundError, Problem, RefusedError, VerificationError
from arbiter.identity.principals import Principal
from arbiter.store.passkeys import ADDING, PasskeyRow, ask_passkey, load_passkeys, take_request
from arbiter.verifying.cose import ALGORITHMS, public_key
from arbiter.verifying.passkeys import credential_hash
from arbiter.workflow import register
from arbiter.workflow.house import House
from arbiter.workflow.passkeys.places import Place, place_of

LONGEST_NAME: Final = 60
MOST: Final = 10
"""Passkeys of one account that may sign at one time."""

UNFIT: Final = (
    WebAuthnException,
    InvalidCBORData,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    IndexError,
)
"""What stands for an answer that no browser of ours gave: the library parses what strangers send."""

_CHALLENGE_BYTES = 32


@dataclass(frozen=True, slots=True)
class PasskeyView:
    """A passkey for its owner; `id` is the SHA-256 (hex) of its credential's id, `synced` whether it is copied between devices."""

    id: str
    name: str
    added_at: datetime
    removed_at: datetime | None
    synced: bool


async def list_passkeys(house: House, principal: Principal) -> tuple[PasskeyView, ...]:
    """Return one's own passkeys, removed ones too, oldest first."""
    return tuple(
        PasskeyView(credential_hash(row.credential_id), row.name, row.added_at, row.removed_at, row.backed_up)
        for row in await load_passkeys(house.store, principal.id)
    )


async def usable(house: House, principal: Principal) -> bool:
    """Tell whether somebody has a passkey that may sign here."""
    try:
        place = place_of(house.settings)
    except ConfigurationError:
        return False
    return any(may_sign(row, place) for row in await load_passkeys(house.store, principal.id))


def may_sign(row: PasskeyRow, place: Place) -> bool:
    """Return whether a passkey of whoever asks may sign here: it was made for this place, and not removed."""
    return row.removed_at is None and row.rp_id == place.rp_id


async def ask_to_add(house: House, principal: Principal, name: str) -> str:
    """Return what a browser is asked in order to make a passkey (PublicKeyCredentialCreationOptions as JSON).

    The caller has just proven the account's password.

    Raises:
        ConfigurationError: where passkeys do not work; RefusedError: for an unfit name, or one passkey too many.
    """
    _fit_name(name)
    place = place_of(house.settings)
    rows = await load_passkeys(house.store, principal.id)
    if sum(row.removed_at is None for row in rows) >= MOST:
        told = f"expected at most {MOST} passkeys of an account; remove one first"
        raise RefusedError("one passkey too many", (Problem("/name", "too-many", told),))
    challenge = house.chance.token(_CHALLENGE_BYTES)
    now = house.clock.now()
    await ask_passkey(house.store, challenge, principal.id, ADDING, now, now - ASKED_FOR)
    options = generate_registration_options(
        rp_id=place.rp_id,
        rp_name="Arbiter",
        user_id=principal.id.encode("utf-8"),
        user_name=principal.login or principal.id,
        user_display_name=principal.name,
        challenge=challenge,
        timeout=int(ASKED_FOR.total_seconds() * 1000),
        attestation=AttestationConveyancePreference.NONE,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=row.credential_id) for row in rows],
        supported_pub_key_algs=[COSEAlgorithmIdentifier(algorithm) for algorithm in ALGORITHMS],
    )
    return options_to_json(options)


async def finish_adding(house: House, principal: Principal, name: str, answer: str) -> None:
    """Keep the passkey that a browser made (RegistrationResponseJSON).

    Raises:
        RefusedError: for an answer that was not asked for, or came too late; ConflictError: when it is known already.
    """
    _fit_name(name)
    place = place_of(house.settings)
    now = house.clock.now()
    try:
        challenge = challenge_in(answer)
        asked_at = await take_request(house.store, challenge, principal.id, ADDING)
        if asked_at is None or not asked_at <= now < asked_at + ASKED_FOR:
            raise RefusedError("the passkey's answer was not asked for, or came too late")
        made = verify_registration_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=place.rp_id,
            expected_origin=place.origin,
            require_user_verification=True,
            supported_pub_key_algs=[COSEAlgorithmIdentifier(algorithm) for algorithm in ALGORITHMS],
        )
        # A key that the offline check cannot read must never sign.
        public_key(made.credential_public_key)
    except (*UNFIT, VerificationError) as error:
        raise RefusedError("the passkey's answer does not check out") from error
    row = PasskeyRow(
        credential_id=made.credential_id,
        account_id=principal.id,
        public_key=made.credential_public_key,
        rp_id=place.rp_id,
        name=name.strip(),
        sign_count=made.sign_count,
        backup_eligible=made.credential_device_type is CredentialDeviceType.MULTI_DEVICE,
        backed_up=made.credential_backed_up,
        entry_seq=0,
        added_at=now,
    )
    await register.add_passkey(house, register.By(principal.id), row)


async def remove(house: House, principal: Principal, passkey: str) -> None:
    """Take the right to sign from one's own passkey, named by its view's id; one that is removed already stays so.

    Raises:
        NotFoundError: when the account never had it.
    """
    for row in await load_passkeys(house.store, principal.id):
        if credential_hash(row.credential_id) == passkey and row.removed_at is not None:
            return
        if credential_hash(row.credential_id) == passkey:
            by = register.By(principal.id)
            await register.remove_passkey(house, by, principal.id, row.credential_id)
            return
    raise NotFoundError("this account has no such passkey")


def challenge_in(answer: str) -> bytes:
    """Return the challenge that a browser's answer says it answers; raises one of `UNFIT` for what is no answer."""
    told = json.loads(base64url_to_bytes(json.loads(answer)["response"]["clientDataJSON"]))
    return base64url_to_bytes(told["challenge"])


def _fit_name(name: str) -> None:
    text = name.strip()
    if not 1 <= len(text) <= LONGEST_NAME or not text.isprintable():
        detail = f"expected a name of 1 to {LONGEST_NAME} characters"
        raise RefusedError("the passkey's name does not fit", (Problem("/name", "unfit", detail),))
