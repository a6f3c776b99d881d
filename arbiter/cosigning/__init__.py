"""The log's side of witnessing: which witnesses it asks, how many must have cosigned, and how one is asked.

`circle` says who counts, `loader` reads the file that names them, and `asking` speaks C2SP tlog-witness over HTTP.
"""
