"""The types and constants that headers define, looked up for what trace headers use."""
