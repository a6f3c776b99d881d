"""The addresses and what happens there: each module asks the workflow, and a presenter for the words."""
