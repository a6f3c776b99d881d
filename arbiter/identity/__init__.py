"""Who speaks and what they may do: roles, clients, accounts and sessions."""
