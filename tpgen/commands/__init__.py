"""The commands of the command line, a module each: `parser()` and `run(options)`, which returns the exit code."""
