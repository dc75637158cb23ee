"""The facts of trace headers: classes, events and tracepoints, out of their text."""
