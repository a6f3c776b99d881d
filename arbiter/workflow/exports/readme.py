"""The first thing a person reads in an export: what lies where, how it is checked, and what the check can say."""

from __future__ import annotations

README = """\
An export of an Arbiter's audit log
===================================

Check it before you rely on it. Python 3.11 or newer and the package `cryptography` suffice; nothing of Arbiter's is needed.

    python -I verify.py EXPORT.zip --keys hospital-log.keys
    python -I verify.py EXPORT.zip --key 'log.hospital.example/arbiter+f41aaf94+AXzM3t...'
    python -I verify.py FOLDER     --keys hospital-log.keys      (the archive, unpacked)

Take the key and, best, `verify.py` from somewhere you trust, not from this archive: from the hospital's own publication, a
colleague, an earlier export. `--key` takes a verifier key, or the lines of `arbiter keys show`; `--keys` takes a file of them,
or what `arbiter keys export-public` writes. One key is enough, also if the log has had others since: the export carries the
statements by which those followed, each signed by the key before and by the new one. Witnesses' keys may be given too.

What it answers, as exit status and as the last line:

    0   VERIFIED     everything agrees, under a key that you gave
    1   REFUSED      something was changed, is missing, or is not signed as it must be; the lines before say what
    2   NOT CHECKED  the file could not be read, or the command line does not fit
    6   NOT PROVEN   no key was given: the export agrees with itself, as any forger's would. This is no proof of anything

With --json the same is in `verdict`; `verified` is true for status 0 alone.

The ML-DSA-44 signature beside Ed25519's is checked where the installed `cryptography` can do so: its wheels from 48.0.0 on. With
an older one the report says NOT CHECKED of it, and everything rests on Ed25519.

What lies here
--------------

    entries.jsonl            what counts: one entry a line, byte for byte as the log holds it, in the log's order
    entries.csv              the same for a spreadsheet
    events.ndjson            the same as FHIR R4 AuditEvents, each with its proof
    proofs/                  C2SP tlog-proofs: a file an entry, or for more than 1,000 entries one line each
    tile/                    the log's hash tiles that the proofs are made of (C2SP tlog-tiles)
    checkpoints/newest       the signed tree head that everything stands under
    checkpoints/all.jsonl    every signed tree head, in an export of the whole log
    keys.txt                 the log's keys as the log names them; believed only where statements lead there from yours
    keys/statements.jsonl    those statements, with the entries that commit to them and their proofs
    payloads/, cases/        decrypted documents and papers, where they were asked for and allowed
    protocols/, calibrations/, replay/   what deciding again needs
    source/, verify.py       the program that checks all this
    manifest.json, .note     every member with its SHA-256, signed; the archive's comment signs every byte of the file

`manifest.json` also says, under `proves` and `proves_not`, what a check can show and what none can.
"""
