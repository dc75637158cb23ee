"""Annotations: what is found of an input, at its place there, as GitHub and code scanning services read it."""
