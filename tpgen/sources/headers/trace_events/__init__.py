"""From the text of trace headers to classes and events."""
