"""The audit log in the database. What is read is not believed: whoever asked refuses what does not check out.

`sealing` gives pending entries their places, `runs` reads the places back, `leaves` the log in order, `chains` one chain's
entries, `nodes` the tree, and `checkpoints` what was signed. Stored are the leaves' hashes, a row a round (`sealed_run`),
and the tree's nodes at levels 4, 8 and above; every other node is computed from those. All but `pending` is insert-only.
"""
