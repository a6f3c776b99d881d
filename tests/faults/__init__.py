"""Faults of sealing, on a real PostgreSQL, and what holds afterwards.

After each: no gap, no duplicate, each committed entry sealed once, no signed head that the entries do not support, nothing
signed that left before its commit, and the whole log verifies (`ledger.py`).

| fault | what holds | test |
|---|---|---|
| `kill -9` of a sealer before any message to the server, the commit included | as above; the next sealer finds no gap | `test_killed_while_sealing.py` |
| the same when the server has answered and the sealer does not know yet; before each act on the kept file | as above; what was committed and not kept is kept before anything under it is released | `test_killed_while_sealing.py` |
| the connection cut before any answer, the commit's included | the same process goes on from what is committed, whatever it remembered | `test_killed_while_sealing.py` |
| the server's first process killed before any answer | as above; the server comes back, the sealer goes on | `test_server_killed_while_sealing.py` |
| no room for the kept checkpoint | nothing is released; whoever waits waits; with room again all is, once | `test_full_disk.py` |
| no room for the tables | cases are refused, none that was taken is lost, a repeated request makes one case | `test_full_disk.py` |
| fsync of the kept checkpoint fails | nothing more is released; the file is written anew before an fsync is believed; stopping says so | `test_failing_fsync.py` |
| two processes seal at once under load | each size signed once, each entry sealed once | `test_two_sealers.py` |
| a flipped bit in a stored node, a lost one; a checkpoint's row that says other than its note | verification names it, nothing is sealed on it | `test_stored_tree.py` |
| the database stopped and started under load; the serving process or the database killed under load | the service lives, each accepted case is in the log once | `../system/test_database_stopped.py`, `../system/test_kill_nine.py` |

Which statements there are is not written down anywhere here: a tripwire (`tripwire.py`) counts them on the wire.
"""
