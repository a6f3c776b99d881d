"""The panel: members that answer a seat's question alone, and the run that asks them all at once."""
