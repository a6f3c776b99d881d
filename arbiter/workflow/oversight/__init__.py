"""How panels and clinicians work together, for whoever answers for the service: figures of reviews, and cases planted to measure them."""
