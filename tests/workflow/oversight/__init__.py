"""Figures of panels and clinicians."""
