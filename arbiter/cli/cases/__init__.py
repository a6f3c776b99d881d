"""`arbiter submit` and `arbiter watch`: a case handed to a running Arbiter, and followed to its end."""
