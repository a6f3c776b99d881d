"""What the fleet's client costs a case, beside other ways to ask seven models, and what one bad replica of three costs."""
