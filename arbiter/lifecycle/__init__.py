"""The life of a case, pure: where it can stand, what can happen to it, and what the log and the world must hear of it.

`states` says where a case stands, `events` what happens to it, `entries` and `effects` what a move says and asks for,
`table` which moves there are, and `reducer` makes them: those that call clinicians stand in `escalating`, those of whoever
holds a case in `reviewing`, and what becomes of an audit in `auditing`.
"""
