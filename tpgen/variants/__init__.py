"""Variants: the events of several kernels about one tracepoint, joined, and what tells the kernels apart at load."""
