"""Exports of the log for people outside: what may be taken, the archive, papers of cases, and the jobs that make them."""
