"""One commitment opened to an outsider, who computes its hash anew; nothing of an erased case, and nothing for who is no auditor."""

from __future__ import annotations

from hashlib import sha256

import pytest

from arbiter.audit.receipt import verify_receipt
from arbiter.errors import ErasedError, ForbiddenError, NotFoundError, NotSealedError, VerificationError
from arbiter.identity.accounts import create_account
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Role
from arbiter.identity.sites import add_site
from arbiter.model import CaseId
from arbiter.store.embedded import EmbeddedPostgres
from arbiter.workflow.erasure.erasing import Order, erase, hold
from arbiter.workflow.house import House
from arbiter.workflow.opening import open_commitment
from tests.conftest import an_insider
from tests.houses import PASSWORD, SITE, types_of
from tests.workflow.erasures import Records, verify


async def an_auditor(house: House, login: str = "ines", site: str = SITE) -> Principal:
    return await create_account(
        house.identities, house.clock, house.chance, login, login.title(), PASSWORD, [Role.AUDITOR], [site]
    )


async def place_of(house: House, case: CaseId, kind: str) -> int:
    return (await types_of(house, case)).index(kind)


async def test_what_is_opened_hashes_to_what_the_entry_says(kept: Records) -> None:
    house, ines = kept.house, await an_auditor(kept.house)
    seq = await place_of(house, kept.case, "case.decided")
    opened = await open_commitment(house, ines, kept.case, seq, "certificate")
    said = b"arbiter/commitment/v1\x00certificate\x00" + opened.opening.salt + opened.opening.content
    assert sha256(said).hexdigest() == opened.commitment == dict(opened.entry.commits)["certificate"]
    verified = verify_receipt(opened.receipt, house.verifiers)
    assert dict(verified.contents) == {"certificate": opened.opening.content}
    assert (await types_of(house, kept.case))[-1] == "content.read", "the look is an entry"
    await verify(house)


async def test_nothing_of_an_erased_case_is_opened(kept: Records) -> None:
    ines = await an_auditor(kept.house)
    await erase(kept.house, Order(kept.olga), kept.case)
    with pytest.raises(ErasedError):
        await open_commitment(kept.house, ines, kept.case, 0, "facts")
    assert (await types_of(kept.house, kept.case))[-1] == "case.erased"


@pytest.mark.parametrize(
    ("seq", "name"), [(0, "certificate"), (0, ""), (0, "Facts"), (1, "facts"), (99, "facts"), (-1, "facts")]
)
async def test_what_an_entry_does_not_commit_to_is_not_there(kept: Records, seq: int, name: str) -> None:
    with pytest.raises(NotFoundError):
        await open_commitment(kept.house, await an_auditor(kept.house), kept.case, seq, name)


@pytest.mark.parametrize("who", ["requester", "records officer", "auditor elsewhere"])
async def test_who_is_no_auditor_of_the_site_opens_nothing(kept: Records, who: str) -> None:
    refusal: type[Exception] = ForbiddenError
    if who == "auditor elsewhere":
        await add_site(kept.house.identities, "south", "South Hospital")
        stranger = await an_auditor(kept.house, "sam", "south")
        refusal = NotFoundError
    else:
        stranger = kept.client if who == "requester" else kept.olga
    before = await types_of(kept.house, kept.case)
    with pytest.raises(refusal):
        await open_commitment(kept.house, stranger, kept.case, 0, "facts")
    assert await types_of(kept.house, kept.case) == before


async def test_an_entry_under_no_checkpoint_is_not_opened_yet(kept: Records) -> None:
    await hold(kept.house, kept.olga, kept.case, "claim 2026-114")
    ines, seq = await an_auditor(kept.house), await place_of(kept.house, kept.case, "hold.placed")
    with pytest.raises(NotSealedError):
        await open_commitment(kept.house, ines, kept.case, seq, "reason")
    await kept.house.sealer.round()
    opened = await open_commitment(kept.house, ines, kept.case, seq, "reason")
    assert opened.opening.content == b'{"reason":"claim 2026-114"}'


async def test_what_is_not_as_committed_is_not_shown(kept: Records, server: EmbeddedPostgres) -> None:
    """Somebody with the keys seals another content in its place: it opens, and is not what the log says."""
    key = kept.house.vault.open_key(kept.case, "kek-1", kept.wrapped())
    forged = kept.house.vault.seal(key, 0, "facts", bytes(32), b'{"facts":[]}')
    with an_insider(server, kept.database) as insider:
        insider.execute("ALTER TABLE sealed_document DISABLE TRIGGER append_only")
        insider.execute(
            "UPDATE sealed_document SET ciphertext = %s WHERE case_id = %s AND seq = 0 AND name = 'facts'",
            (forged, kept.case),
        )
    with pytest.raises(VerificationError, match="not what entry 0"):
        await open_commitment(kept.house, await an_auditor(kept.house), kept.case, 0, "facts")
