"""The catalog: resolved kernels on disk, in SQLite; docs/catalog.md describes the tables for those who query them."""
