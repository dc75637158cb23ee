"""Rules: what kernels refuse of programs at tracepoints, and what is read there instead of what was meant."""
