"""Cases in the database. Every function works on a connection whose transaction its caller owns.

The statements on a case's hot path are single ones (data-modifying CTEs over arrays): round trips, not rows, are what
a step costs. `taking_in` writes a new case, `steps` what happens to cases, `sharing` lets steps of the same moment share
a statement, `heads` reads where cases stand, `contents` what they hold, and `state` is the JSON form of the reducer's state.
"""
