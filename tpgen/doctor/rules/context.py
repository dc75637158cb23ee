"""Rules for every context: how it may be read at all, and what could not be followed.

Source: check_ctx_access() of kernel/bpf/verifier.c, tp_prog_is_valid_access() and bpf_tracing_ctx_access().
"""

from __future__ import annotations

from collections.abc import Iterator

from tpgen.doctor.accesses import Access, AccessKind, Gap, Unfollowed
from tpgen.doctor.findings import Finding, Verdict
from tpgen.doctor.rules.case import Case, Told, found, refused_load
from tpgen.doctor.verifier import MOST_ARGUMENTS, MOVED_CONTEXT
from tpgen.layout import SLOT_BYTES
from tpgen.programs.sections import ProgramType
from tpgen.sources.bpf_object.instructions import InstructionClass

_MEMORY = (InstructionClass.LDX, InstructionClass.ST, InstructionClass.STX)
# PERF_MAX_TRACE_SIZE
_LONGEST_RECORD = 8192


def context_findings(case: Case) -> Iterator[Finding]:
    """Findings that do not depend on the event."""
    for access in sorted(case.found.accesses, key=lambda access: access.place):
        match access.kind:
            case AccessKind.LOAD:
                yield from _load(case, access)
            case AccessKind.STORE:
                yield _store(case, access)
            case _:
                pass
    for gap in sorted(case.found.gaps, key=lambda gap: gap.place):
        yield _gap(case, gap)


def _load(case: Case, access: Access) -> Iterator[Finding]:
    if access.offset is None or access.size is None:
        return
    told = Told(access.place, None, access.offset, access.size)
    if access.register_offset:
        yield from _moved(case, access, told)
    bytes_at = f"{access.size} byte{'s' * (access.size > 1)} at {access.offset}"
    if case.section.type == ProgramType.TP:
        header = case.target.pointer_size
        if access.offset < header:
            message = f"loads {bytes_at}: the first {header} bytes are not the program's"
            yield refused_load(case, "header", message, told)
            return
        end = _LONGEST_RECORD
    else:
        told = told._replace(slot=access.offset // SLOT_BYTES)
        end = MOST_ARGUMENTS * SLOT_BYTES
        if access.offset < 0:
            yield refused_load(case, "no-argument", f"loads {bytes_at}, before the first argument", told)
            return
        if not access.offset % SLOT_BYTES and access.offset >= end:
            return  # which the rule about the number of arguments tells
    if access.offset % access.size or (case.is_tp_btf and access.offset % SLOT_BYTES):
        divisor = SLOT_BYTES if case.is_tp_btf else access.size
        yield refused_load(case, "unaligned", f"loads {bytes_at}, which is not a multiple of {divisor}", told)
    elif access.offset >= end:
        yield refused_load(case, "past-end", f"loads {bytes_at}, behind every context", told)


def _moved(case: Case, access: Access, told: Told) -> Iterator[Finding]:
    allowed = case.kernel.has(MOVED_CONTEXT)
    message = f"loads through ctx{access.register_offset:+d}: the context's pointer is to be as it came"
    hint = "keep the compiler from joining two loads: read each argument in inline assembly, as tpgen's headers do"
    if allowed is None:
        message = f"loads through ctx{access.register_offset:+d}; whether this release allows that is not known"
        yield found(case, Verdict.DEPENDS, "modified-ctx", message, told)
    elif not allowed:
        yield found(case, Verdict.REFUSED_LOAD, "modified-ctx", message, told, "EACCES", hint)


def _store(case: Case, access: Access) -> Finding:
    told = Told(access.place, None, access.offset, access.size)
    return refused_load(case, "ctx-write", "writes to the context, which is for reading", told)


def _is_memory_access(case: Case, gap: Gap) -> bool:
    """Whether an instruction accesses memory by itself, which the verifier bounds, and calls no helper."""
    instruction = case.obj.code[gap.place.section][gap.place.at]
    return instruction is not None and instruction.kind in _MEMORY


def _gap(case: Case, gap: Gap) -> Finding:
    told = Told(gap.place)
    match gap.reason:
        case Unfollowed.VARIABLE_OFFSET if not _is_memory_access(case, gap):
            message = "passes on the context at an offset that is known only at run time: what is read is unknown"
        case Unfollowed.VARIABLE_OFFSET:
            message = "reads the context at an offset that is known only when it runs"
            return refused_load(case, "variable-access", message, told)
        case Unfollowed.UNKNOWN_RELOCATION:
            message = "reads the context at an offset that depends on an unknown relocation of this kernel: give --btf"
            return found(case, Verdict.DEPENDS, "core-unknown", message, told)
        case Unfollowed.ESCAPED:
            message = "stores the address of the context where it cannot be followed: what is read there is unknown"
        case Unfollowed.LIMIT:
            message = "takes too many steps to follow: what it reads there is unknown"
        case Unfollowed.CORRUPT:
            message = "has an instruction that leads nowhere: what it reads is not known"
    return found(case, Verdict.DEPENDS, "not-followed", message, told)
