"""Findings about a program on a kernel, and the verdict that they add up to."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from tpgen.basics.frozen import frozen


class Verdict(StrEnum):
    """Fates of a program on a kernel, best first."""

    FINE = "fine"
    DEPENDS = "depends"  # on a variable, a module, or on what is not known of the kernel
    WRONG = "wrong"  # it loads and attaches, and reads something else than its author meant
    REFUSED_ATTACH = "refused-attach"
    REFUSED_LOAD = "refused-load"

    @property
    def rank(self) -> int:
        """How bad it is: 0 is fine."""
        return _RANKS[self]


_RANKS = {verdict: rank for rank, verdict in enumerate(Verdict)}


class Stage(StrEnum):
    LOAD = "load"
    ATTACH = "attach"
    RUN = "run"


class Expected(NamedTuple):
    """The value that the author meant. `source` says from what that is known: "text", "struct", "relocation"."""

    name: str | None
    type: str | None
    source: str


class Finding(NamedTuple):
    """One thing that a program does which matters on this kernel.

    `code` is a word of docs/doctor.md. `errno` is the symbolic name (`EACCES`) that load or attach fails with. `slot`
    is for raw arguments, `offset` and `size` in bytes of the context. `actual` is a value of the event as `show --json`
    has it. `file` and `line` are the source's, from .BTF.ext. `message` is one line; `hint` a way on.
    """

    verdict: Verdict
    code: str
    stage: Stage | None
    errno: str | None
    message: str
    slot: int | None = None
    offset: int | None = None
    size: int | None = None
    expected: Expected | None = None
    actual: dict[str, object] | None = None
    file: str | None = None
    line: int | None = None
    hint: str | None = None


@frozen
class Judgement:
    """A program of an object on one kernel; the verdict is the worst of its findings', `FINE` without any.

    `section` is the name of the program's section as the object has it, `kernel` as in `tpgen catalog list`, or "live".
    `notes` do not change the verdict.
    """

    object: str
    program: str
    section: str
    kernel: str
    verdict: Verdict
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()
