"""An export of the log that an outsider checks alone: its members, its manifest, its signature, and the checks.

Pure like the rest of `arbiter.audit`: files come in as objects that somebody else has opened. What each member holds is
said in `arbiter.audit.export.layout`; how the file as a whole is signed in `arbiter.audit.export.manifest`.
"""
