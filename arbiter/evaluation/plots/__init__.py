"""Draws the report's plots as SVG with matplotlib: the same bytes every time, text as text, never by colour alone."""
