"""Catalogs of many kernels: merging them, finding a kernel without opening files, and what a catalog knows of one."""
