"""Flow: what the instructions of a program do with its context, by abstract interpretation."""
