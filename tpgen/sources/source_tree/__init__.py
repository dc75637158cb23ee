"""A tree of kernel sources or headers on disk: its files, release, configuration and makefiles."""
