"""Caches of this user, and the fingerprints by which they stay valid. All of it may be removed at any time."""
