"""The panel against its publications and against hostile members."""
