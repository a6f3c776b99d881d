"""`arbiter submit`, `arbiter watch` and `arbiter outcome`: a case handed to a running Arbiter, followed to its end, and what became of it."""
