"""The REST door: bytes become types here, errors become problem details, and nothing is decided."""
