"""The live watch: decisions are drawn to be audited, what audits find is counted, and what it proves stops deciding alone."""
