"""Where the running kernel shows its trace events. Imports nothing: the answer to it is part of a key."""

from __future__ import annotations

import os

#: Where tracefs is mounted by itself, and where debugfs shows it.
MOUNT_POINTS = ("/sys/kernel/tracing", "/sys/kernel/debug/tracing")


def live_tracefs() -> str | None:
    """Where tracefs is mounted on this machine, None where it is not."""
    for path in MOUNT_POINTS:
        if os.path.isdir(os.path.join(path, "events")):
            return path
    try:
        with open("/proc/self/mounts", encoding="utf-8", errors="replace") as mounts:
            return next((line.split()[1] for line in mounts if line.split()[2] == "tracefs"), None)
    except OSError:
        return None
