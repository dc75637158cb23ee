"""What changed for a BPF program between two kernels; docs/diff.md explains what counts as a change and why."""
