"""What came out, each figure beside its aim."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.cases import Spread
from benchmarks.fleet.houses import MEMBERS, SAMPLES
from benchmarks.fleet.overhead import ARBITER, PLAIN, Measured
from benchmarks.fleet.profiling import Profile
from benchmarks.fleet.tail import SLOW, Phase, Seen

AIM_P50_MS, AIM_P99_MS = 30.0, 150.0
AIM_TAIL = 1.3
HEDGE_CAP = 0.05


def print_overhead(measured: Mapping[str, Measured], delay_ms: float, at_once: int) -> None:
    """Print each contestant, and ratios to the fan-out that guarantees nothing."""
    print(
        f"\n{at_once} cases in flight, {MEMBERS} members, n={SAMPLES}, a server that takes {delay_ms:.0f} ms"
    )
    print(
        f"{'':34s} {f'over {delay_ms:.0f} ms':>25s}   {'over its slowest member':>25s}   {'processor':>10s}   {'cases/s':>7s}"
    )
    failures = {name: came.failures for name, came in measured.items() if came.failures}
    measured = {name: came for name, came in measured.items() if came.seconds}
    for name, came in measured.items():
        print(
            f"  {name:32s} {_told(came.over(delay_ms))}   {_told(Spread.of(came.beyond))}"
            f"   {came.processor_ms:7.2f} ms   {came.rate:7.1f}"
        )
    for name, failed in failures.items():
        print(f"  {name:32s} FAILED {len(failed)} turns: {failed[0]}")
    ours = measured[ARBITER]
    over = ours.over(delay_ms)
    print(
        f"\noverhead over the slowest member: p50 {over.p50:.1f} ms, aim {AIM_P50_MS:.0f} ms; "
        f"p99 {over.p99:.1f} ms, aim {AIM_P99_MS:.0f} ms"
    )
    print(f"cases were turned away by the busy house {ours.turned_away} times, and came again")
    if PLAIN not in measured:
        print("no peer was measured (--peers names their environment): nothing stands beside it")
        return
    print("Arbiter's overhead and processor time as ratios:")
    for name, came in measured.items():
        if name != ARBITER:
            other = came.over(delay_ms)
            print(
                f"  {over.p50 / other.p50:5.2f} (p50) and {over.p99 / other.p99:5.2f} (p99) times the overhead,"
                f" {ours.processor_ms / came.processor_ms:5.2f} times the processor time of {name}"
            )


def _told(spread: Spread) -> str:
    return f"p50 {spread.p50:7.1f} p99 {spread.p99:7.1f}"


def print_tail(seen: Mapping[Phase, Seen], delay_ms: float, at_once: int) -> None:
    """Print each phase beside the healthy fleet, and what was asked beyond one request a member."""
    print(
        f"\n{at_once} cases in flight, {MEMBERS} members, n={SAMPLES}, three replicas that take {delay_ms:.0f} ms"
    )
    healthy = seen[Phase.HEALTHY].spread
    for phase, came in seen.items():
        ratio = f"p99 {came.spread.p99 / healthy.p99:5.2f} times the healthy fleet's, aim at most {AIM_TAIL}"
        print(f"  {phase:30s} {came.spread}" + ("" if phase is Phase.HEALTHY else f"   {ratio}"))
    print(
        "requests that the replicas were asked, by replica; those of members asked twice, as the house recorded why:"
    )
    for phase, came in seen.items():
        calls = MEMBERS * came.spread.count
        asked = " + ".join(str(count) for count in came.asked)
        why = ", ".join(f"{count} {cause}" for cause, count in sorted(came.reroutes.items())) or "none"
        print(f"  {phase:30s} {asked} for {calls} members; twice: {why}; {came.probes} probes")
    calls = MEMBERS * sum(came.cases for came in seen.values())
    hedges = sum(came.reroutes[SLOW] for came in seen.values())
    print(
        f"hedges over the whole run, recoveries and warm-up counted in: {hedges} of {calls} calls, "
        f"{100 * hedges / calls:.2f} %, cap {100 * HEDGE_CAP:.0f} %"
    )


def print_profile(profile: Profile) -> None:
    """Print the shares of the profiled time."""
    print("\nwhere the serving process's time goes, by part (its own time):")
    for part, share in list(profile.parts.items())[:20]:
        print(f"  {100 * share:5.1f} %  {part}")
    print("and our dearest functions (with what they call; one that awaits counts only while it runs):")
    for name, own, whole in profile.functions[:40]:
        print(f"  {100 * whole:5.1f} %  {name}   (itself {100 * own:.1f} %)")
