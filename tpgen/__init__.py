"""tpgen: finds out which values a Linux tracepoint passes to a program, and generates accessors for them."""

__version__ = "0.2.0"
