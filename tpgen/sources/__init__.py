"""One module per kind of input. They turn text or bytes into facts with provenance and know nothing of each other."""
