"""The model servers of an installation: where they are, how they are started, what is known of them at a moment."""
