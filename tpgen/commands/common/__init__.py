"""Parsers, options and tables that several commands share."""
