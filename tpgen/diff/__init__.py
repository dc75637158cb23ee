"""Differences between two kernels that matter to a BPF program; docs/diff.md explains what counts as one and why."""
