"""Views of the workflow turned into what templates say. Pure and typed: the same view and instant give the same page."""
