"""Cases erased: what refuses it, what is destroyed in which order, and when it is complete."""
