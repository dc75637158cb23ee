"""The generated headers of the running kernel: some of every kind, or with TPGEN_EVERY_EVENT=1 all (`tox -e live`)."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from support import kinds
from support.accessors import Header, read_headers
from support.headers import ROOT
from support.kernel_facts import Field, TracepointImage, fields, systems
from support.live import VMLINUX_BTF

EVERY_EVENT = "TPGEN_EVERY_EVENT"


@dataclass(frozen=True)
class Population:
    """What tpgen made of the running kernel (`generated`), of which either all (`every`) or a sample is tested.

    `image` and `systems` are the kernel's own word: its BTF, and the system of each event that tracefs has.
    """

    folder: Path
    generated: tuple[Header, ...]
    every: bool
    image: TracepointImage
    systems: Mapping[str, str]
    tracefs: Path

    @property
    def headers(self) -> tuple[Header, ...]:
        """The headers that are tested."""
        return self.generated if self.every else self.sample

    @cached_property
    def sample(self) -> tuple[Header, ...]:
        """A few headers, with something of each kind that there is."""
        chosen = kinds.sample({header: self._kinds(header) for header in self.generated})
        return tuple(header for header in self.generated if header in chosen)

    def of(self, form: str) -> tuple[Header, ...]:
        """The headers of one form that are tested."""
        return tuple(header for header in self.headers if header.form == form)

    def fields(self, event: str) -> tuple[Field, ...]:
        """The fields of an event's record, which for a system call are those that programs are given.

        Those which 7.2 adds behind them are not: perf_call_bpf_enter() knows the registers alone.
        """
        system = self.systems[event]
        found = fields(self.tracefs, system, event)
        return tuple(field for field in found if not (system == "syscalls" and field.dynamic))

    def _kinds(self, header: Header) -> frozenset[str]:
        """What there is to see in a header, by what the kernel says of its event."""
        types = frozenset(section.partition("/")[0] for section in header.sections)
        params, system = self.image.params.get(header.event), self.systems.get(header.event)
        if header.form == "raw" and params is not None:
            return types | kinds.raw_kinds(header.event, params, bare=system is None)
        assert system is not None
        found = kinds.classic_kinds(header.event, system, self.fields(header.event), self.image)
        return types | {f"{header.form} {kind}" for kind in found}


def generate(folder: Path, tracefs: Path) -> Population:
    """Every header of the running kernel, made in `folder` from the command line, as a user would."""
    command = (sys.executable, "-m", "tpgen", "*", "-o", str(folder))
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # Bare tracepoints have no record.
    assert re.fullmatch(r"(tpgen: note: no classic form of \d+ events .*\n)?", done.stderr), done.stderr
    every = os.environ.get(EVERY_EVENT, "") not in ("", "0")
    return Population(folder, read_headers(folder), every, TracepointImage(VMLINUX_BTF), systems(tracefs), tracefs)
