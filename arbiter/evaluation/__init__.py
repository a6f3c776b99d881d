"""Runs a panel over labelled cases and says, in numbers and plots, what it is worth."""
