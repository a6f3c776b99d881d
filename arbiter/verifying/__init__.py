"""Checks an export with nothing of an installation: what the archive carries as `source/`, and what the command runs.

Joins the log's checks with deciding again, which know nothing of each other. The standard library and `cryptography`
suffice; where the CEL library is there too, the hospital's rules are evaluated anew instead of being taken as recorded.
"""
