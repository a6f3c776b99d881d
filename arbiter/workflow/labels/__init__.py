"""What cases here turned out to be, gathered up to a checkpoint: what a chain tells of a case, its label, and reading it."""
