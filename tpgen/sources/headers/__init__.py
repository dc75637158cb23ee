"""Trace headers: the TRACE_EVENT macros of a kernel or driver source tree, read as text."""
