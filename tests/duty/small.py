"""A small duty file with everything in it, and ways to spoil it."""

from __future__ import annotations

DUTY = b"""\
groups:
  - id: outreach
    title: Critical care outreach
    contacts:
      - id: day-bleep
        mail: outreach-day@hospital.example
      - id: night-bleep
        mail: outreach-night@hospital.example
      - id: pager
        webhook: we_aaaaaaaaaaaaaaaa
    rota:
      zone: Europe/London
      shifts:
        - days: [mon, tue, wed, thu, fri]
          from: 08:00
          to: 20:00
          contacts: [day-bleep, pager]
        - days: [mon, tue, wed, thu]
          from: 20:00
          to: 08:00
          contacts: [night-bleep]
      gaps_go_to: [pager]
  - id: registrar
    title: Medical registrar
    contacts:
      - id: phone
        mail: registrar@hospital.example
ladders:
  - duty_groups: [critical-care-outreach]
    routine:
      - group: outreach
        acknowledge_within: PT2H
    urgent:
      - group: outreach
        acknowledge_within: PT10M
      - group: registrar
        acknowledge_within: PT20M
    emergency:
      - group: outreach
        acknowledge_within: PT3M
      - group: registrar
        acknowledge_within: PT3M
      - group: outreach
        acknowledge_within: 120
"""


def spoiled(text: str, replacement: str) -> bytes:
    """The file with one place of it replaced."""
    source = DUTY.decode()
    assert source.count(text) == 1, text
    return source.replace(text, replacement).encode()


def line_of(text: str) -> int:
    """The line in which a text stands that is there once."""
    source = DUTY.decode()
    assert source.count(text) == 1, text
    return source[: source.index(text)].count("\n") + 1
