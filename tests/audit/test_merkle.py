"""The tree against the RFC's recursive definitions, the reference roots of Certificate Transparency, and forgers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbiter.audit.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_parts,
    frontier_parts,
    inclusion_parts,
    leaf_hash,
    node_hash,
    prove_consistency,
    prove_inclusion,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from arbiter.errors import VerificationError
from tests.audit import naive
from tests.audit.logs import nodes_of

# The reference tree of Certificate Transparency: transparency-dev/merkle, testonly/constants.go (LeafInputs, RootHashes).
REFERENCE_LEAVES = (
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
)
REFERENCE_ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
LEAVES = tuple(leaf_hash(b"%d" % i) for i in range(1200))
NODES = nodes_of(LEAVES)
ROOTS = tuple(naive.mth(LEAVES[:n]) for n in range(41))


@pytest.mark.parametrize("size", range(9))
def test_roots_of_the_certificate_transparency_reference(size: int) -> None:
    leaves = [leaf_hash(bytes.fromhex(entry)) for entry in REFERENCE_LEAVES[:size]]
    assert root_of(leaves).hex() == REFERENCE_ROOTS[size]


@pytest.mark.parametrize("size", [*range(41), 255, 256, 257, 511, 1000])
def test_roots_equal_the_recursive_definition(size: int) -> None:
    assert root_of(LEAVES[:size]) == naive.mth(LEAVES[:size])


def test_a_leaf_is_not_a_node() -> None:
    left, right = LEAVES[:2]
    assert leaf_hash(left + right) != node_hash(left, right)
    assert leaf_hash(b"") != EMPTY_ROOT


@given(st.lists(st.integers(0, 300), max_size=4))
def test_growing_in_any_steps_gives_the_same_tree(steps: list[int]) -> None:
    frontier, size, kept = Frontier(), 0, {}
    for step in steps:
        extension = frontier.extend(LEAVES[size : size + step])
        frontier, size = extension.frontier, size + step
        kept.update({(node.level, node.index): node.hash for node in extension.nodes})
    assert frontier == Frontier().extend(LEAVES[:size]).frontier
    assert frontier.root() == root_of(LEAVES[:size])
    assert kept == {
        (level, i): naive.mth(LEAVES[i << level : (i + 1) << level])
        for level in (4, 8, 9, 10)
        for i in range(size >> level)
    }


@pytest.mark.parametrize("size", [0, 1, 2, 3, 255, 256, 257, 1000])
def test_a_frontier_is_found_again_from_stored_nodes(size: int) -> None:
    assert Frontier.load(size, NODES) == Frontier().extend(LEAVES[:size]).frontier
    assert len(frontier_parts(size)) == size.bit_count()


def test_nodes_of_level_4_and_of_each_from_8_on_are_kept_in_place() -> None:
    leaves = [leaf_hash(b"%d" % i) for i in range(2**16 + 3)]
    first = Frontier().extend(leaves[:70])
    nodes = first.nodes + first.frontier.extend(leaves[70:]).nodes
    assert [(node.level, node.index) for node in nodes] == [
        (level, i) for level in (4, *range(8, 17)) for i in range(2**16 >> level)
    ]
    assert nodes[-1].hash == root_of(leaves[: 2**16])


def test_every_inclusion_proof_up_to_size_40_is_the_rfcs_and_verifies() -> None:
    for size in range(1, 41):
        for index in range(size):
            proof = prove_inclusion(index, size, NODES)
            assert list(proof) == naive.path(index, LEAVES[:size])
            verify_inclusion(LEAVES[index], index, size, proof, ROOTS[size])


def test_every_consistency_proof_up_to_size_40_is_the_rfcs_and_verifies() -> None:
    for new in range(1, 41):
        for old in range(1, new + 1):
            proof = prove_consistency(old, new, NODES)
            assert list(proof) == naive.proof(old, LEAVES[:new])
            verify_consistency(old, ROOTS[old], new, ROOTS[new], proof)


def test_the_parts_of_a_proof_are_the_nodes_it_asks_for() -> None:
    asked: list[tuple[int, int]] = []

    def node(level: int, index: int) -> bytes:
        asked.append((level, index))
        return NODES(level, index)

    prove_inclusion(700, 1000, node)
    prove_consistency(700, 1000, node)
    parts = inclusion_parts(700, 1000) + consistency_parts(700, 1000)
    assert asked == [part for folded in parts for part in folded]


def mutations(proof: tuple[bytes, ...]) -> list[list[bytes]]:
    """Return the proof with each hash flipped, dropped, doubled, swapped with the next; cut, and lengthened."""
    changed = []
    for i, hash_ in enumerate(proof):
        flipped = bytes([hash_[0] ^ 1]) + hash_[1:]
        changed.append([*proof[:i], flipped, *proof[i + 1 :]])
        changed.append([*proof[:i], *proof[i + 1 :]])
        changed.append([*proof[:i], hash_, *proof[i:]])
        changed.append([*proof[:i], hash_[:31], *proof[i + 1 :]])
        if i + 1 < len(proof) and proof[i + 1] != hash_:
            changed.append([*proof[:i], proof[i + 1], hash_, *proof[i + 2 :]])
    return [*changed, [*proof, LEAVES[-1]], [LEAVES[-1], *proof]]


def test_no_mutated_inclusion_proof_up_to_size_40_verifies() -> None:
    for size in range(1, 41):
        for index in range(size):
            proof = prove_inclusion(index, size, NODES)
            for changed in mutations(proof):
                with pytest.raises(VerificationError):
                    verify_inclusion(LEAVES[index], index, size, changed, ROOTS[size])


def test_no_mutated_consistency_proof_up_to_size_40_verifies() -> None:
    for new in range(1, 41):
        for old in range(1, new + 1):
            for changed in mutations(prove_consistency(old, new, NODES)):
                with pytest.raises(VerificationError):
                    verify_consistency(old, ROOTS[old], new, ROOTS[new], changed)


def test_an_inclusion_proof_holds_for_its_leaf_index_size_and_root_alone() -> None:
    for size in range(1, 25):
        for index in range(size):
            proof = prove_inclusion(index, size, NODES)
            claims = [
                (LEAVES[(index + 1) % 25], index, size, ROOTS[size]),
                (LEAVES[index], index, size, ROOTS[size + 1]),
            ]
            claims += [
                (LEAVES[index], other, size, ROOTS[size]) for other in range(-1, size + 2) if other != index
            ]
            for leaf, claimed, claimed_size, root in claims:
                with pytest.raises(VerificationError):
                    verify_inclusion(leaf, claimed, claimed_size, proof, root)


def test_a_consistency_proof_holds_for_its_sizes_and_roots_alone() -> None:
    for new in range(2, 25):
        for old in range(1, new):
            proof = prove_consistency(old, new, NODES)
            claims = [
                (old, ROOTS[new], new, ROOTS[old]),
                (old, ROOTS[old + 1], new, ROOTS[new]),
                (old, ROOTS[old], new, ROOTS[new + 1]),
                (0, EMPTY_ROOT, new, ROOTS[new]),
                (new, ROOTS[new], old, ROOTS[old]),
                (old, ROOTS[old], old, ROOTS[old]),
                (new, ROOTS[new], new, ROOTS[new]),
            ]
            for old_size, old_root, new_size, new_root in claims:
                with pytest.raises(VerificationError):
                    verify_consistency(old_size, old_root, new_size, new_root, proof)


def test_a_proof_that_climbs_past_the_root_is_refused_even_to_a_root_made_for_it() -> None:
    beyond = node_hash(LEAVES[1], LEAVES[0])
    with pytest.raises(VerificationError, match="too long"):
        verify_inclusion(LEAVES[0], 0, 1, [LEAVES[1]], beyond)
    proof = (*prove_consistency(3, 5, NODES), LEAVES[9])
    with pytest.raises(VerificationError, match="too long"):
        verify_consistency(3, node_hash(LEAVES[9], ROOTS[3]), 5, node_hash(LEAVES[9], ROOTS[5]), proof)


def test_a_byte_moved_from_the_leaf_to_its_sibling_is_refused() -> None:
    leaf, sibling = LEAVES[:2]
    assert node_hash(leaf[:31], leaf[31:] + sibling) == ROOTS[2]
    with pytest.raises(VerificationError, match="32 bytes"):
        verify_inclusion(leaf[:31], 0, 2, [leaf[31:] + sibling], ROOTS[2])


def test_equal_sizes_with_different_roots_are_a_fork() -> None:
    with pytest.raises(VerificationError, match="one size"):
        verify_consistency(7, ROOTS[7], 7, ROOTS[8], ())


@pytest.mark.parametrize(("index", "size"), [(0, 0), (-1, 3), (3, 3), (9, 3)])
def test_a_proof_of_no_leaf_is_not_made(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="no leaf"):
        prove_inclusion(index, size, NODES)


@pytest.mark.parametrize(("old", "new"), [(0, 0), (0, 3), (4, 3), (-1, 3)])
def test_a_proof_between_impossible_sizes_is_not_made(old: int, new: int) -> None:
    with pytest.raises(ValueError, match="no consistency"):
        prove_consistency(old, new, NODES)


@pytest.mark.parametrize(("size", "stack"), [(1, ()), (3, (LEAVES[0],)), (-1, ()), (4, LEAVES[:2])])
def test_a_frontier_that_does_not_fit_its_size_is_refused(size: int, stack: tuple[bytes, ...]) -> None:
    with pytest.raises(ValueError, match="does not stand"):
        Frontier(size, stack)
