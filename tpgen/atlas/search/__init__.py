"""The search of an atlas: the index of names that the browser looks through."""
