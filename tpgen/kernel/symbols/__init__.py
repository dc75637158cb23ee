"""The names of values: what the values of arguments and fields are called in C, and what the kernel prints for them."""
