"""The shipped protocol `deterioration`: does this inpatient need urgent review?"""
