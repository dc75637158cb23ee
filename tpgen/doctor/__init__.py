"""Doctor: whether a compiled program works on a kernel, and reads there what its author meant."""
