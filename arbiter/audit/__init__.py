"""The audit log's mathematics and formats: pure, published, and liftable by an auditor.

Imports the standard library, `cryptography` and `arbiter.errors`, and does no I/O: bytes come in, bytes or evidence
go out. Readers raise `VerificationError` naming the place; writers handed a value that no format can carry raise
`ValueError`, because that is a fault of the calling code and not of any evidence.
"""
