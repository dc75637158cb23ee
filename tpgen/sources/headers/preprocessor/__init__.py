"""C's preprocessor, as far as trace headers need it: sources, directives, conditions, macros, constant expressions."""
