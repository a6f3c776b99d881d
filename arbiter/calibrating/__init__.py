"""Fits what adjudication rests on, from labelled cases: reliability, correlation, temperature, a guarantee. Pure.

Beside it stands what a guarantee is watched with once cases are decided by it (`betting`, `watch`, `weighted`, `exchangeability`)
and what else may weigh a panel (`dawid_skene` for a cold start, `stacking`). No service calls these yet.
"""
