"""The analysis of a header tree, with the results of the previous run reused where their inputs are unchanged."""
