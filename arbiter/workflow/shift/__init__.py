"""Being on duty: calls that nobody has answered, and what is open when one shift hands over to the next."""
