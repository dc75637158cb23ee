"""Analyses assembled programs, and picks out what tests ask of the result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from support.bpf_text import Assembled, assembled
from tpgen.doctor.accesses import AccessKind, ProgramAccesses, Unfollowed
from tpgen.doctor.flow.analysis import Flow
from tpgen.doctor.flow.interpreter import Limits
from tpgen.doctor.relocated import Relocated


def analysed(
    made: Assembled, relocations: Mapping[str, Relocated] | None = None, limits: Limits | None = None, **given: Any
) -> ProgramAccesses:
    """The accesses of a program; `relocations` are by the names of places in its text."""
    placed = {made.places[name]: outcome for name, outcome in (relocations or {}).items()}
    return Flow(made.obj, limits).accesses(made.program, placed, **given)


def accesses(text: str, **parts: Any) -> ProgramAccesses:
    return analysed(assembled(text, **parts))


def loads(found: ProgramAccesses) -> set[tuple[int | None, int | None]]:
    return {(access.offset, access.size) for access in found.accesses if access.kind == AccessKind.LOAD}


def read_by(found: ProgramAccesses, kind: AccessKind) -> set[tuple[int | None, int | None]]:
    return {(access.offset, access.size) for access in found.accesses if access.kind == kind}


def reasons(found: ProgramAccesses) -> set[Unfollowed]:
    return {gap.reason for gap in found.gaps}


def uses(found: ProgramAccesses) -> set[tuple[int, str | None, bool, bool]]:
    return {(use.offset, use.struct_name, use.followed, use.checked) for use in found.pointers}
