"""Other ways to ask seven models at once, run by the Python of an environment of their own (`requirements.txt`)."""
