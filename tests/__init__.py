"""Arbiter's tests, a folder a layer."""
