"""Helpers that every layer needs and Python's library does too slowly, or keeps too long."""
