"""Published clinical scores as pure functions: one module a score, its table as data, its source in the docstring."""
