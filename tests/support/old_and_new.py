"""A program that older kernels refuse: the fourth argument of sched_switch, which it reads, is there since 5.18."""

from __future__ import annotations

import subprocess
from pathlib import Path

SOURCE = """\
__attribute__((section("raw_tp/sched_switch"), used)) int on_switch(unsigned long long *ctx)
{
	return ctx[3] == 0;
}
char _license[] __attribute__((section("license"), used)) = "GPL";
"""
#: Where the argument is read.
LINE = 3
#: Kernels that come with tpgen, without the argument and with it.
OLD, NEW = "debian-5.10-amd64", "debian-6.12-amd64"


def compile_program(directory: Path, name: str = "tool.bpf.o") -> Path:
    """The object, compiled in the directory of its source, as from a Makefile."""
    (directory / "tool.bpf.c").write_text(SOURCE)
    command = ("clang", "-target", "bpf", "-O2", "-g", "-c", "tool.bpf.c", "-o", name)
    subprocess.run(command, cwd=directory, check=True)
    return directory / name
