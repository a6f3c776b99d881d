"""Fits what adjudication rests on, from labelled cases: reliability, correlation, temperature, a guarantee. Pure.

Beside it stands what a guarantee is watched with once cases are decided by it: `betting`, `watch`, `weighted`; and what
inputs and agreement are watched with, `drifting`. What else may weigh a panel (`dawid_skene` for a cold start, `stacking`)
no service decides by: `arbiter evaluate` tells what they would be worth.
"""
