"""Reports of judgements: for people, for programs, as annotations of a source, and beside a baseline."""
