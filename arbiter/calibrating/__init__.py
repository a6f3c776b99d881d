"""Fits what adjudication rests on, from labelled cases: reliability, correlation, temperature, a guarantee. Pure."""
