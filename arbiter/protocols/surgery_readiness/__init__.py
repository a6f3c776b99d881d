"""The shipped protocol `surgery-readiness`: is this adult ready for the planned operation as planned?"""
