"""Go's code and ours on ten thousand random proofs and as many spoilt ones: each accepts what the other makes, and no more.

What neither can see is tested too: a proof alone does not tell its tree's size, where two sizes have paths of one shape.
The size stands in the signed checkpoint, so no proof that comes with one can lie about it.
"""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from arbiter.audit.merkle import (
    leaf_hash,
    prove_consistency,
    prove_inclusion,
    verify_consistency,
    verify_inclusion,
)
from arbiter.audit.note import encode_base64
from arbiter.errors import VerificationError
from tests.audit.go_checker import GoChecker, build_go
from tests.audit.logs import nodes_of
from tests.audit.test_interop import export
from tests.patience import PATIENCE_SECONDS

SEED = 20_261_126
LARGEST = 3_000
PROOFS = 5_000
"""So many of inclusion, and of consistency."""

SOURCE = Path(__file__).parent / "interop" / "proofs" / "main.go"
LEAVES = [leaf_hash(b"%d" % i) for i in range(LARGEST)]
NODE = nodes_of(LEAVES)


@dataclass(frozen=True)
class Claim:
    """That a proof leads from `start`, leaf number `from_` or the root of `from_` leaves, to the root of `size` leaves."""

    from_: int
    size: int
    root: bytes
    start: bytes
    proof: tuple[bytes, ...]

    def as_json(self) -> dict[str, object]:
        return {
            "from": self.from_,
            "size": self.size,
            "root": self.root,
            "start": self.start,
            "proof": self.proof,
        }


@dataclass(frozen=True)
class Answers:
    """What Go says of the claims, and the proofs and roots that it makes."""

    inclusion: Sequence[bool]
    consistency: Sequence[bool]
    made_inclusion: Sequence[tuple[bytes, ...]]
    made_consistency: Sequence[tuple[bytes, ...]]
    roots: Sequence[bytes]


Ask = Callable[..., Answers]


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """Ask Go, in one process for all the questions of a call."""
    binary = build_go(SOURCE, tmp_path_factory.mktemp("go-proofs") / "proofs")

    def asked(
        inclusion: Sequence[Claim] = (),
        consistency: Sequence[Claim] = (),
        make_inclusion: Sequence[tuple[int, int]] = (),
        make_consistency: Sequence[tuple[int, int]] = (),
    ) -> Answers:
        questions = {
            "leaves": LEAVES,
            "inclusion": [claim.as_json() for claim in inclusion],
            "consistency": [claim.as_json() for claim in consistency],
            "make_inclusion": make_inclusion,
            "make_consistency": make_consistency,
        }
        done = subprocess.run(
            [str(binary)],
            input=json.dumps(questions, default=encode_base64).encode(),
            capture_output=True,
            check=True,
            timeout=PATIENCE_SECONDS,
        )
        said = json.loads(done.stdout)
        return Answers(
            said["inclusion"] or (),
            said["consistency"] or (),
            [hashes(proof) for proof in said["made_inclusion"] or ()],
            [hashes(proof) for proof in said["made_consistency"] or ()],
            hashes(said["roots"]),
        )

    return asked


def hashes(texts: Sequence[str] | None) -> tuple[bytes, ...]:
    return tuple(base64.b64decode(text) for text in texts or ())


@pytest.fixture(scope="module")
def roots(ask: Ask) -> list[bytes]:
    """Go's root of every size; the one before the first is of no leaves, and nobody proves anything about it."""
    return [b"\0" * 32, *ask().roots]


def a_size(chance: Random) -> int:
    """Return a size, often one beside a power of two."""
    if chance.random() < 0.4:
        return max(1, min(LARGEST, (1 << chance.randrange(12)) + chance.choice((-1, 0, 1))))
    return chance.randint(1, LARGEST)


def pairs(chance: Random, *, consistency: bool) -> list[tuple[int, int]]:
    """Return places: a leaf in a size, or an old size, at least 1, and a new one."""
    sizes = [a_size(chance) for _ in range(PROOFS)]
    if consistency:
        return [(chance.choice((1, n, chance.randint(1, n))), n) for n in sizes]
    return [(chance.choice((0, n - 1, chance.randrange(n))), n) for n in sizes]


def ours(pair: tuple[int, int], roots: Sequence[bytes], *, consistency: bool) -> Claim:
    """Return our proof of a place, under Go's roots."""
    from_, size = pair
    if consistency:
        return Claim(from_, size, roots[size], roots[from_], prove_consistency(from_, size, NODE))
    return Claim(from_, size, roots[size], LEAVES[from_], prove_inclusion(from_, size, NODE))


def accepted(claim: Claim, *, consistency: bool) -> bool:
    """Say whether we accept a claim."""
    try:
        if consistency:
            verify_consistency(claim.from_, claim.start, claim.size, claim.root, claim.proof)
        else:
            verify_inclusion(claim.start, claim.from_, claim.size, claim.proof, claim.root)
    except VerificationError:
        return False
    return True


def spoilt(chance: Random, claim: Claim) -> Claim:
    """Return a claim with one thing about it that cannot be: a hash changed, lost, added, out of place; another root."""
    proof, change = list(claim.proof), chance.randrange(7)
    other = LEAVES[chance.randrange(LARGEST)]
    place = chance.randrange(len(proof)) if proof else 0
    if change == 0 and proof:
        proof[place] = bytes([proof[place][0] ^ 1]) + proof[place][1:]
    elif change == 1 and proof:
        del proof[place]
    elif change == 2 and len(proof) > 1 and proof[place] != proof[place - 1]:
        proof[place], proof[place - 1] = proof[place - 1], proof[place]
    elif change == 3:
        return Claim(claim.from_, claim.size, other, claim.start, claim.proof)
    elif change == 4 and claim.start != other:
        return Claim(claim.from_, claim.size, claim.root, other, claim.proof)
    elif change == 5 and proof:
        proof = []
    else:
        proof.insert(chance.randint(0, len(proof)), other)
    return Claim(claim.from_, claim.size, claim.root, claim.start, tuple(proof))


def misplaced(chance: Random, claim: Claim) -> Claim:
    """Return a claim with another index or size, next to its own, far, negative."""
    from_, size = claim.from_, claim.size
    # Beyond 2**62 Go's own search for a power of two does not end.
    by = chance.choice((-1, 1, -size, size, 2**31, -(2**31), 2**60))
    if chance.random() < 0.5:
        from_ += by
    else:
        size += by
    return Claim(from_, size, claim.root, claim.start, claim.proof)


@pytest.mark.parametrize("consistency", [False, True], ids=["inclusion", "consistency"])
def test_go_accepts_five_thousand_of_our_proofs_and_makes_the_same(
    ask: Ask, roots: list[bytes], consistency: bool
) -> None:
    chance = Random(SEED)
    places = pairs(chance, consistency=consistency)
    claims = [ours(pair, roots, consistency=consistency) for pair in places]
    if consistency:
        answers = ask(consistency=claims, make_consistency=places)
        verdicts, made = answers.consistency, answers.made_consistency
    else:
        answers = ask(inclusion=claims, make_inclusion=places)
        verdicts, made = answers.inclusion, answers.made_inclusion
    assert list(verdicts) == [True] * PROOFS
    assert list(made) == [claim.proof for claim in claims]
    for (from_, size), proof in zip(places, made, strict=True):
        theirs = Claim(from_, size, roots[size], roots[from_] if consistency else LEAVES[from_], proof)
        assert accepted(theirs, consistency=consistency)


@pytest.mark.parametrize("consistency", [False, True], ids=["inclusion", "consistency"])
def test_go_and_we_refuse_five_thousand_spoilt_proofs(
    ask: Ask, roots: list[bytes], consistency: bool
) -> None:
    chance = Random(SEED + 1)
    claims = [
        spoilt(chance, ours(pair, roots, consistency=consistency))
        for pair in pairs(chance, consistency=consistency)
    ]
    answers = ask(consistency=claims) if consistency else ask(inclusion=claims)
    for claim, verdict in zip(claims, answers.consistency or answers.inclusion, strict=True):
        assert not verdict, claim
        assert not accepted(claim, consistency=consistency), claim


@pytest.mark.parametrize("consistency", [False, True], ids=["inclusion", "consistency"])
def test_go_and_we_say_the_same_of_five_thousand_proofs_for_another_place(
    ask: Ask, roots: list[bytes], consistency: bool
) -> None:
    chance = Random(SEED + 2)
    honest = [ours(pair, roots, consistency=consistency) for pair in pairs(chance, consistency=consistency)]
    claims = [misplaced(chance, claim) for claim in honest]
    answers = ask(consistency=claims) if consistency else ask(inclusion=claims)
    passed = 0
    for claim, true, verdict in zip(claims, honest, answers.consistency or answers.inclusion, strict=True):
        assert accepted(claim, consistency=consistency) == verdict, claim
        if verdict:
            passed += 1
            # Only the size, and only to one under which the path has the same shape.
            assert claim.from_ == true.from_ or consistency
            assert 0 <= claim.from_ <= claim.size
    assert 0 < passed < PROOFS / 4
    print(f"{passed} of {PROOFS} lie about a size that no proof tells")


@pytest.mark.parametrize("size", sorted({Random(SEED + n).randint(1, 20_000) for n in range(6)}))
def test_go_accepts_tiles_bundles_and_proofs_of_random_sizes(
    go_checker: GoChecker, tmp_path: Path, size: int
) -> None:
    export(tmp_path, size)
    assert f"{size} leaves, {size} entries" in go_checker.accepts(tmp_path)
