"""What came out, as a table, as JSON and as drawings; drawn here, since vLLM's environment has nothing that draws."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Final

from benchmarks.gpu.asking import Panel, Point

HEAD: Final = (
    "shape  adapters members  n  in flight  salt    schema  cases   cases/s   case p50   case p99  member p99"
    "   tokens/s  cache peak  fits  waiting  preempted  prefix hits"
)


def row(point: Point) -> str:
    """Return a point as a line of the table under `HEAD`."""
    panel = point.panel
    told = (
        f"{point.shape:5s}  {point.adapters:8d} {panel.members:7d} {panel.samples:2d}  {panel.at_once:9d}"
        f"  {'shared' if panel.shared_salt else 'case':6s}  {'yes' if panel.schema else 'no':6s}"
        f"  {point.cases:5d}  {point.case_rate:8.2f}  {point.p50:7.2f} s  {point.p99:7.2f} s   {point.member_p99:7.2f} s"
        f"  {point.token_rate:9.0f}  {100 * point.cache_peak:8.1f} %  {point.cases_that_fit:4.0f}"
        f"  {point.waiting_peak:7.0f}  {point.preemptions:9.0f}  {100 * point.prefix_hits:9.1f} %"
    )
    failures = ", ".join(f"{how}: {count}" for how, count in sorted(point.failures.items()))
    return f"{told}   FAILED {failures}" if failures else told


FULL: Final = 0.95


def limits(points: Sequence[Point]) -> Iterable[str]:
    """Say, for each server, what its cache holds and where it became the limit."""
    servers = dict.fromkeys((point.shape, point.adapters, point.cache_tokens) for point in points)
    for shape, adapters, cache in servers:
        own = [p for p in points if (p.shape, p.adapters, p.cache_tokens) == (shape, adapters, cache)]
        full = [p for p in own if p.cache_peak >= FULL or p.preemptions]
        said = f"{shape}, {adapters} adapters: the cache holds {cache:,.0f} tokens"
        if not full:
            waited = (
                " (what waited, waited for its turn to compute)" if any(p.waiting_peak for p in own) else ""
            )
            yield f"{said}; it never was the limit, {100 * max(p.cache_peak for p in own):.0f} % at most{waited}"
            continue
        first = min(full, key=lambda p: p.panel.at_once * p.case_tokens)
        yield (
            f"{said}; it was full from {first.panel.at_once} cases in flight on"
            f" ({first.case_tokens:,.0f} tokens a case, of which {first.cases_that_fit:.1f} fit;"
            f" {first.waiting_peak:.0f} samples waiting at most, {first.preemptions:.0f} put back to be computed again)"
        )


def growth(points: Sequence[Point], centre: Panel) -> Iterable[tuple[str, str, list[Point]]]:
    """Yield each sweep that has at least two points: its name, its axis, its points in order."""
    axes: dict[str, Callable[[Point], float]] = {
        "in-flight": lambda point: point.panel.at_once,
        "members": lambda point: point.panel.members,
        "samples": lambda point: point.panel.samples,
        "adapters": lambda point: point.adapters,
    }
    for shape in dict.fromkeys(point.shape for point in points):
        own = [point for point in points if point.shape == shape]
        whole = max(point.cache_tokens for point in own)
        for axis, value in axes.items():
            there = [
                point
                for point in own
                if _differs_in(point, centre, own[0].adapters) <= {axis} and point.cache_tokens > whole / 2
            ]
            ordered = sorted({value(point): point for point in there}.items())
            if len(ordered) > 1:
                yield f"{shape}-{axis}", axis, [point for _, point in ordered]


def _differs_in(point: Point, centre: Panel, adapters: int) -> set[str]:
    panel = point.panel
    differs = {
        "in-flight": panel.at_once != centre.at_once,
        "members": panel.members != centre.members,
        "samples": panel.samples != centre.samples,
        "adapters": point.adapters != adapters,
        "salt": panel.shared_salt != centre.shared_salt,
        "schema": panel.schema != centre.schema,
    }
    return {name for name, does in differs.items() if does}


def position(point: Point, axis: str) -> float:
    """Return where a point stands on an axis."""
    panel = point.panel
    return {
        "in-flight": panel.at_once,
        "members": panel.members,
        "samples": panel.samples,
        "adapters": point.adapters,
    }[axis]


def draw(points: Sequence[Point], centre: Panel, folder: Path) -> list[Path]:
    """Draw each sweep: cases a second, the time to the slowest opinion, the cache; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for name, axis, swept in growth(points, centre):
        at = [position(point, axis) for point in swept]
        for what, unit, lines in (
            ("rate", "cases a second", {"cases/s": [point.case_rate for point in swept]}),
            (
                "slowest",
                "seconds to the slowest opinion",
                {"p50": [p.p50 for p in swept], "p99": [p.p99 for p in swept]},
            ),
            ("cache", "% of the KV cache, at most", {"peak": [100 * p.cache_peak for p in swept]}),
        ):
            path = folder / f"{name}-{what}.svg"
            path.write_text(chart(f"{name}: {unit}", axis, unit, at, lines), "utf-8")
            drawn.append(path)
    return drawn


_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP, _RIGHT = 560, 320, 70, 50, 36, 80
_COLOURS: Final = ("#005eb8", "#d5281b", "#007f3b")


def chart(title: str, axis: str, unit: str, at: Sequence[float], lines: Mapping[str, Sequence[float]]) -> str:
    """Return an SVG with the lines over `at`, both from zero."""
    greatest = max((v for line in lines.values() for v in line if math.isfinite(v)), default=0.0) or 1.0
    furthest = max(at) or 1.0

    def x(value: float) -> float:
        return _LEFT + value / furthest * (_WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return _HEIGHT - _BOTTOM - value / greatest * (_HEIGHT - _BOTTOM - _TOP)

    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif"'
        f' font-size="12" role="img"><title>{escape(title)}</title><rect width="100%" height="100%" fill="white"/>'
    )
    parts = [
        head,
        f'<text x="{_LEFT}" y="20" font-weight="bold">{escape(title)}</text>',
        f'<path d="M{_LEFT} {_TOP}V{y(0)}H{_WIDTH - _RIGHT}" fill="none" stroke="#768692"/>',
        f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 12}" text-anchor="middle">{escape(axis)}</text>',
        f'<text transform="rotate(-90)" x="{-(_TOP + y(0)) / 2}" y="16" text-anchor="middle">{escape(unit)}</text>',
    ]
    parts += [
        f'<text x="{x(value):.1f}" y="{y(0) + 18:.1f}" text-anchor="middle">{value:g}</text>' for value in at
    ]
    parts += [
        f'<text x="{_LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:.3g}</text>'
        for tick in (0, greatest / 2, greatest)
    ]
    for colour, (name, values) in zip(_COLOURS, lines.items(), strict=False):
        there = [(x(a), y(v)) for a, v in zip(at, values, strict=True) if math.isfinite(v)]
        if not there:
            continue
        path = "L".join(f"{a:.1f} {b:.1f}" for a, b in there)
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colour}"/>' for a, b in there]
        parts.append(
            f'<text x="{there[-1][0] + 8:.1f}" y="{there[-1][1] + 4:.1f}" fill="{colour}">{name}</text>'
        )
    return "".join(parts) + "</svg>\n"
