"""tpgen: what a Linux tracepoint hands to a program, found out and compiled into accessors."""

__version__ = "0.2.0"
