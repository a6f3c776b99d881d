"""What a passkey is asked to sign, and its answer: taken once, from its owner, about nothing else.

The challenge is the hash of the decision. The request is kept until it is answered or five minutes are over; whatever comes of
an answer, it uses its request up, so that nothing can be sent twice, and nothing signed in advance.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from webauthn import (
    base64url_to_bytes,
    generate_authentication_options,
    options_to_json,
    verify_authentication_response,
)
from webauthn.helpers.structs import PublicKeyCredentialDescriptor, UserVerificationRequirement

from arbiter.documents.scalars import instant_text
from arbiter.documents.signing import ASKED_FOR
from arbiter.errors import ConfigurationError, UnauthenticatedError
from arbiter.identity.principals import Principal
from arbiter.store.passkeys import SIGNING, PasskeyRow, ask_passkey, load_passkeys, note_use, take_request
from arbiter.verifying.passkeys import Registered, spelt
from arbiter.workflow import register
from arbiter.workflow.house import House
from arbiter.workflow.passkeys.owning import UNFIT, challenge_in, may_sign
from arbiter.workflow.passkeys.places import place_of


@dataclass(frozen=True, slots=True)
class Asserted:
    """What a passkey of the signer's has signed: its challenge, since when that was asked, and all that proves it later."""

    row: PasskeyRow
    challenge: bytes
    requested_at: datetime
    authenticator_data: bytes
    client_data: bytes
    signature: bytes
    registered: Registered

    def document(self) -> dict[str, Any]:
        """Return what a signature's document keeps of it."""
        return {
            "rp_id": self.row.rp_id,
            "credential_id": spelt(self.row.credential_id),
            "public_key": spelt(self.row.public_key),
            "authenticator_data": spelt(self.authenticator_data),
            "client_data": spelt(self.client_data),
            "signature": spelt(self.signature),
            "requested_at": instant_text(self.requested_at),
            "registered": {
                "entry": self.registered.seq,
                "salt": spelt(self.registered.salt),
                "document": self.registered.content.decode("utf-8"),
            },
        }


async def ask_to_sign(house: House, principal: Principal, challenge: bytes, now: datetime) -> str:
    """Return what a browser is asked in order to sign (PublicKeyCredentialRequestOptions as JSON).

    Raises:
        ConfigurationError: where passkeys do not work; UnauthenticatedError: for somebody who has none;
        ConflictError: when this very thing was asked at this very instant.
    """
    place = place_of(house.settings)
    rows = [row for row in await load_passkeys(house.store, principal.id) if may_sign(row, place)]
    if not rows:
        raise UnauthenticatedError("this account has no passkey that may sign")
    await ask_passkey(house.store, challenge, principal.id, SIGNING, now, now - ASKED_FOR)
    options = generate_authentication_options(
        rp_id=place.rp_id,
        challenge=challenge,
        timeout=int(ASKED_FOR.total_seconds() * 1000),
        allow_credentials=[PublicKeyCredentialDescriptor(id=row.credential_id) for row in rows],
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return options_to_json(options)


async def take_assertion(house: House, principal: Principal, answer: str) -> Asserted:
    """Return what one of this account's own passkeys has signed (AuthenticationResponseJSON); its request is used up.

    That it is about the decision at hand is for whoever knows that to compare (`challenge`).

    Raises:
        UnauthenticatedError: for an answer that was not asked of this account, came too late or twice, or does not check out.
    """
    now = house.clock.now()
    try:
        place = place_of(house.settings)
        challenge = challenge_in(answer)
        asked_at = await take_request(house.store, challenge, principal.id, SIGNING)
        if asked_at is None or not asked_at <= now < asked_at + ASKED_FOR:
            raise UnauthenticatedError("a passkey's answer was not asked for, or came too late or twice")
        told = json.loads(answer)
        credential_id = base64url_to_bytes(told["rawId"])
        row = next(
            row
            for row in await load_passkeys(house.store, principal.id)
            if row.credential_id == credential_id and may_sign(row, place)
        )
        verified = verify_authentication_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=place.rp_id,
            expected_origin=place.origin,
            credential_public_key=row.public_key,
            credential_current_sign_count=row.sign_count,
            require_user_verification=True,
        )
        response = told["response"]
        parts = (
            base64url_to_bytes(response[name])
            for name in ("authenticatorData", "clientDataJSON", "signature")
        )
        authenticator_data, client_data, signature = parts
    except (*UNFIT, ConfigurationError, StopIteration) as error:
        raise UnauthenticatedError("a passkey's answer does not check out") from error
    # Two answers at once: one of them counts.
    if not await note_use(house.store, row, verified.new_sign_count, backed_up=verified.credential_backed_up):
        raise UnauthenticatedError("the passkey was removed, or was used meanwhile")
    registered = await register.registered(house, row)
    return Asserted(row, challenge, asked_at, authenticator_data, client_data, signature, registered)
