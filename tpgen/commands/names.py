"""The names of the commands."""

from __future__ import annotations

#: Only the command that is meant is imported. A word that is none of these is an event to generate for.
COMMANDS = ("show", "list", "check", "diff", "build", "backends", "catalog", "probe", "explain")
