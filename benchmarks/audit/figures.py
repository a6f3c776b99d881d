"""What came out: a row a size of the log, a row a slowed disk, and how they are printed and drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.audit.loads import Receipts
from benchmarks.audit.measures import Proofs, Room, Verification
from benchmarks.cases import Spread

BULK_AIM = 100_000
AT_ONCE_AIM = 15_000
PROOF_AIM_MS = 0.5
VERIFY_AIM_SECONDS = 5.0
ROOM_AIM = 150
RECEIPT_AIM_MS = 10.0
MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class AtSize:
    """The figures at one size of the log. Rates are entries a second."""

    size: int
    bulk: float
    at_once: float
    receipts: Receipts
    proof: Proofs
    verification: Verification
    room: Room


@dataclass(frozen=True, slots=True)
class Slowed:
    """The figures at the largest size with each flush so many milliseconds longer."""

    fsync_ms: int
    commit: Spread
    bulk: float
    at_once: float
    receipts: Receipts


@dataclass(frozen=True, slots=True)
class Figures:
    """All of a run."""

    fsync: Spread
    commit: Spread
    rate: float
    sizes: Sequence[AtSize]
    slowed: Sequence[Slowed]


def of_a_million(seconds: float, verification: Verification) -> float:
    """Return the seconds that a million entries take at this pace."""
    return seconds * MILLION / verification.entries


def print_figures(figures: Figures) -> None:
    """Print the tables, then each figure beside its aim."""
    print(
        f"\n{'entries':>9} {'bulk/s':>8} {'at once/s':>9} {'receipt p50':>11} {'p99':>8} {'proof p50':>9} {'p99':>7}"
        f" {'verify 1M':>9} {'from db':>8} {'bytes beside':>12}"
    )
    for at in figures.sizes:
        verification = at.verification
        print(
            f"{at.size:9,} {at.bulk:8,.0f} {at.at_once:9,.0f} {at.receipts.sealed.p50:8.1f} ms {at.receipts.sealed.p99:5.1f} ms"
            f" {at.proof.again.p50:6.2f} ms {at.proof.again.p99:4.2f} ms {of_a_million(verification.in_memory, verification):7.1f} s"
            f" {of_a_million(verification.from_database, verification):6.1f} s {at.room.overhead:12.1f}"
        )
    print("\nwith each flush of the write-ahead log longer (commit_delay), at the largest size:")
    for slow in figures.slowed:
        print(
            f"  + {slow.fsync_ms} ms: one durable INSERT p50 {slow.commit.p50:.2f} ms, bulk {slow.bulk:,.0f}/s, "
            f"at once {slow.at_once:,.0f}/s, receipts p50 {slow.receipts.sealed.p50:.1f} ms, "
            f"p99 {slow.receipts.sealed.p99:.1f} ms, aim {RECEIPT_AIM_MS + 3 * (figures.fsync.p99 + slow.fsync_ms):.1f} ms"
        )
    _print_aims(figures)


def _print_aims(figures: Figures) -> None:
    last = figures.sizes[-1]
    room, verification, receipts = last.room, last.verification, last.receipts
    print(
        f"\nat {last.size:,} entries, fsync p50 {figures.fsync.p50:.2f} ms, p99 {figures.fsync.p99:.2f} ms:"
    )
    rows = [
        ("append and seal in bulk", f"{last.bulk:,.0f}/s", f"{BULK_AIM:,}/s"),
        ("32 concurrent business transactions", f"{last.at_once:,.0f}/s", f"{AT_ONCE_AIM:,}/s"),
        (
            f"append to signed receipt at {receipts.rate:,.0f}/s, p99",
            f"{receipts.sealed.p99:.1f} ms ({receipts.proved.p99:.1f} ms with its proof)",
            f"{RECEIPT_AIM_MS + 3 * figures.fsync.p99:.1f} ms: 10 ms + 3 fsync",
        ),
        (
            "inclusion proof, p50",
            f"{last.proof.again.p50:.2f} ms ({last.proof.first.p50:.2f} ms for the first under a checkpoint)",
            f"{PROOF_AIM_MS} ms",
        ),
        (
            "verification of a million, one core",
            "{:.1f} s ({:.1f} s of processor time), {:.1f} s from the database".format(
                *(
                    of_a_million(taken, verification)
                    for taken in (verification.in_memory, verification.processor, verification.from_database)
                )
            ),
            f"{VERIFY_AIM_SECONDS:.0f} s",
        ),
        (
            "bytes an entry beside its body",
            f"{room.overhead:.1f} (row and indexes {room.entry:.1f}, leaf {room.leaf:.1f}, tree {room.tree:.1f})",
            f"{ROOM_AIM}",
        ),
    ]
    for what, came, aim in rows:
        print(f"  {what:44s} {came:58s} aim {aim}")
    print(
        f"  a body has {room.body:.0f} bytes; a seal adds {room.seal:.0f} bytes of checkpoint, "
        f"{verification.checkpoints:,} checkpoints here"
    )


def draw_figures(figures: Figures, folder: Path) -> tuple[Path, ...]:
    """Draw how each figure grows with the log, one SVG a figure; return the files."""
    import matplotlib as mpl  # noqa: PLC0415 - takes a second, and only drawing needs it

    mpl.use("svg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - as above

    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for name, label, aim, value in _DRAWN:
        figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
        axes.plot([at.size for at in figures.sizes], [value(at) for at in figures.sizes], marker="o")
        axes.axhline(aim, linestyle="--", color="grey", label="aim")
        axes.set(xscale="log", xlabel="entries in the log", ylabel=label, ylim=(0, None))
        axes.legend()
        path = folder / f"{name}.svg"
        figure.savefig(path)
        plt.close(figure)
        drawn.append(path)
    return tuple(drawn)


_DRAWN: tuple[tuple[str, str, float, Callable[[AtSize], float]], ...] = (
    ("bulk", "entries a second, in bulk", BULK_AIM, lambda at: at.bulk),
    ("at-once", "entries a second, 32 transactions at once", AT_ONCE_AIM, lambda at: at.at_once),
    ("receipt", "ms to a signed receipt, p99", RECEIPT_AIM_MS, lambda at: at.receipts.sealed.p99),
    ("proof", "ms to prove an entry, p50", PROOF_AIM_MS, lambda at: at.proof.again.p50),
    (
        "verification",
        "seconds to verify a million",
        VERIFY_AIM_SECONDS,
        lambda at: of_a_million(at.verification.in_memory, at.verification),
    ),
    ("room", "bytes an entry beside its body", ROOM_AIM, lambda at: at.room.overhead),
)
