"""BPF programs at an event: its forms, their sections, and their view of another kernel's values."""
