"""History: which kernels share an event's prototype and record, since when, until when; docs/history.md explains it."""
