"""The log at work: sealed, guarded, witnessed, recovered, proved and told."""
