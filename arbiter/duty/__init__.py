"""Who is on duty and in which order they are called: the hospital's duty file, checked, frozen, and asked. Pure."""
