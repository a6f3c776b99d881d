"""Keys given into escrow: the act is an entry, which names the recipient and the file and nothing that is secret."""

from __future__ import annotations

from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from arbiter.model import ActorId
from arbiter.store.keys.escrow import fingerprint, seal_escrow
from arbiter.workflow.house import House
from arbiter.workflow.log.chronicle import note_in_house

ESCROWED = "keys.escrowed"
DOCUMENT = "escrow"


async def escrow_keys(house: House, actor: ActorId, recipient: X25519PublicKey) -> bytes:
    """Enter that every secret key is given to `recipient`, and return the file that only the recipient opens."""
    texts = house.key_folder.texts()
    content = seal_escrow(house.keyring.origin, texts, recipient, house.clock.now())
    said = (
        f"arbiter/escrow/v1\norigin {house.keyring.origin}\nrecipient {fingerprint(recipient)}\n"
        f"file sha256 {sha256(content).hexdigest()}\nholds {' '.join(sorted(texts))}\n"
    )
    await note_in_house(house, house.store, ESCROWED, actor, {DOCUMENT: said.encode()})
    await house.sealer.round()
    return content
