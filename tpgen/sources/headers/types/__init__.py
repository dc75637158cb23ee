"""Resolution of the types and constants that trace headers use and other headers define."""
