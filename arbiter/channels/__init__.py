"""How a notice leaves the house: as a signed webhook or as mail. No notice holds a patient's data."""
