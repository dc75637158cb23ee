"""Rules for programs that follow an argument: which arguments are pointers to the verifier, and who may follow them.

Source: btf_ctx_access() of kernel/bpf/btf.c, check_ptr_to_btf_access() and check_mem_access() of kernel/bpf/verifier.c.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tpgen.doctor.accesses import PointerUse
from tpgen.doctor.findings import Finding, Verdict
from tpgen.doctor.rules.case import GPL_COMPATIBLE, Case, Told, found, refused_load, value_json
from tpgen.doctor.verifier import GPL_TO_FOLLOW
from tpgen.layout import SLOT_BYTES
from tpgen.model import Event, Nullness, Struct
from tpgen.programs.sections import ProgramType
from tpgen.typequery import stripped
from tpgen.values import WRITABLE_TRACEPOINTS, Value

_PROBE_READ = "bpf_probe_read_kernel() reads it, and CO-RE: BPF_CORE_READ()"


def pointer_findings(case: Case, event: Event | None) -> Iterator[Finding]:
    """Findings about pointers in raw arguments that the program follows; without an event as far as none is needed."""
    if case.section.type == ProgramType.TP:
        yield from _followed_numbers(case)
        return
    values = case.kernel.arguments(event) if event is not None else None
    uses = sorted((use for use in case.found.pointers if use.followed), key=lambda use: (use.offset, use.place))
    if case.section.type == ProgramType.RAW_TP:
        yield from _raw_tp(case, event, values, uses)
        return
    for use in uses:
        if values is not None and event is not None and 0 <= use.offset // SLOT_BYTES < len(values):
            yield from _tp_btf(case, event, values[use.offset // SLOT_BYTES], use)
    if uses and case.obj.license not in GPL_COMPATIBLE:
        yield from _licence(case, uses[0])


def _followed_numbers(case: Case) -> Iterator[Finding]:
    """To the verifier a record has only numbers."""
    for use in sorted((use for use in case.found.pointers if use.followed), key=lambda use: use.place):
        message = f"follows what is at {use.offset} of the record, a number to the verifier"
        yield found(
            case, Verdict.REFUSED_LOAD, "deref-scalar", message, Told(use.place, None, use.offset), "EACCES",
            _PROBE_READ,
        )  # fmt: skip


def _raw_tp(
    case: Case, event: Event | None, values: Sequence[Value] | None, uses: Sequence[PointerUse]
) -> Iterator[Finding]:
    for use in uses:
        slot = use.offset // SLOT_BYTES
        value = values[slot] if values is not None and 0 <= slot < len(values) else None
        actual = None if event is None else value_json(event, value, case.target)
        told = Told(use.place, slot, use.offset, None, None, actual)
        if case.section.writable and not slot:
            if event is not None and event.attach_name not in WRITABLE_TRACEPOINTS:
                message = f"{event.attach_name} has nothing that a program may write or read directly"
                yield found(case, Verdict.REFUSED_ATTACH, "writable", message, told, "EINVAL", _PROBE_READ)
            continue
        message = f"follows ctx[{slot}], a number to the verifier in raw_tp"
        yield found(case, Verdict.REFUSED_LOAD, "deref-scalar", message, told, "EACCES", _PROBE_READ)


# --- tp_btf


def _tp_btf(case: Case, event: Event, value: Value, use: PointerUse) -> Iterator[Finding]:
    told = Told(use.place, value.slot, use.offset, None, None, value_json(event, value, case.target))
    what = f"ctx[{value.slot}], `{value.declaration}`"
    if not _is_pointer_to_struct(value):
        yield found(
            case, Verdict.REFUSED_LOAD, "deref-scalar", f"follows {what}, a number to the verifier", told, "EACCES",
            _PROBE_READ if value.kind == "ptr" else None,
        )  # fmt: skip
        return
    match value.nullness:
        case Nullness.NEVER:
            pass
        case Nullness.ERROR:
            message = f"follows {what}, which may be an error, so that the verifier treats it as a number"
            yield found(case, Verdict.REFUSED_LOAD, "deref-scalar", message, told, "EACCES", _PROBE_READ)
        case Nullness.MAYBE if not use.checked:
            message = f"follows {what} without a test for NULL, and it may be NULL"
            yield found(case, Verdict.REFUSED_LOAD, "null-argument", message, told, "EACCES", "test it first")
        case Nullness.MAYBE:
            pass
        case None:
            yield from _unknown_nullness(case, what, told, use)


def _unknown_nullness(case: Case, what: str, told: Told, use: PointerUse) -> Iterator[Finding]:
    """A finding if it is unknown whether the verifier expects NULL there, and the program does not test for it."""
    if use.checked or case.kernel.tests_null is False:
        return
    message = f"follows {what} without a test for NULL; whether the verifier expects one is not known of this kernel"
    hint = "test it first; or ask as root on that kernel, or give its headers"
    yield found(case, Verdict.DEPENDS, "null-argument", message, told, hint=hint)


def _is_pointer_to_struct(value: Value) -> bool:
    if value.kind != "ptr" or value.pointee is None:
        return False
    pointee = stripped(value.pointee)
    return isinstance(pointee, Struct) and not pointee.forward


def _licence(case: Case, use: PointerUse) -> Iterator[Finding]:
    asked = case.kernel.has(GPL_TO_FOLLOW)
    told = Told(use.place, use.offset // SLOT_BYTES, use.offset)
    licence = repr(case.obj.license) if case.obj.license else "none"
    message = (
        f"follows ctx[{told.slot}] under the licence {licence}, but the kernel requires one compatible with the GPL"
    )
    if asked is None:
        yield found(case, Verdict.DEPENDS, "not-gpl", f"{message}, or does not yet, in this release", told)
    elif asked:
        yield refused_load(case, "not-gpl", message, told, "EINVAL")
