"""`arbiter doctor`: whether this installation is fit to serve, and what to do where it is not; a module a subject."""
