"""The canary: fixed cases that every seat is asked each night, and what comes of it."""
