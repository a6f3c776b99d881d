"""JSON forms of the core values: canonical on the way out, strict on the way in.

Only strings, integers, booleans, arrays and objects are ever written: numbers travel as normalised plain
strings (`"38.5"`), instants as `"2026-11-22T03:00:00.000000Z"`, absent values as absent keys.

`canonical` makes bytes of a document and a document of bytes, `scalars` spells numbers and instants, `reader` takes a
document apart, and `facts`, `opinions`, `outcomes` and `verdicts` each hold the form of one value, both ways.
"""
