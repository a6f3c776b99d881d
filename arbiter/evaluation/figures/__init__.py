"""What an evaluation finds, as values: `report.json` holds exactly these, under these names, and the page shows no other number.

Shares are from 0 to 1, times in seconds. A figure that cannot be computed is None, `null` in JSON, and the page says so.
What members did stands in `members`, what answers are worth in `answers`, what no service decides by in `unseated`, and `report`
holds all of it together.
"""
