"""A witness of transparency logs (C2SP tlog-witness): a small service of its own, run by somebody else than the log.

It has its own key and its own store, and nothing of a log's operators': no database server, no settings of a house. Whoever
runs it need not be trusted by the log, and sees nothing but sizes and hashes.
"""
