"""Arbiter: adjudicates a panel of clinical models under a hospital's policy and proves every step."""

__version__ = "0.4.0"
