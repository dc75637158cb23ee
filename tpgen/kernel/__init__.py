"""One kernel: its sources joined into one answer for each event."""
