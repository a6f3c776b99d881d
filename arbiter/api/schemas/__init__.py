"""The shapes at `/v1` as strict models, from which the OpenAPI document is made.

`incoming` holds what is sent to Arbiter, `outgoing` what it answers, `protocols` a protocol as it is read there.
"""
