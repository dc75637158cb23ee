"""Compiled BPF programs: ELF objects, the instructions in them, and what BTF and BTF.ext say of these."""
