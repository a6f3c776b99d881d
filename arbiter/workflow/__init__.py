"""The use cases: load, step, save, perform. One step, one transaction; everything impure that is not a door."""
