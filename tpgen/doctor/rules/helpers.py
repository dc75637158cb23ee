"""Rules about helpers: whether the kernel has one, lets programs at tracepoints call it, and asks for a licence.

Source: enum bpf_func_id of include/uapi/linux/bpf.h; bpf_base_func_proto(), bpf_tracing_func_proto() and their like of
kernel/bpf/helpers.c and kernel/trace/bpf_trace.c, of 5.10, 6.1, 6.12 and 7.2.
"""

from __future__ import annotations

from collections.abc import Iterator

from tpgen.doctor.findings import Expected, Finding, Verdict
from tpgen.doctor.kernels import KnownKernel
from tpgen.doctor.rules.case import GPL_COMPATIBLE, Case, Told, found
from tpgen.doctor.verifier import LAST_HELPERS
from tpgen.sources.bpf_object.facts import Place


def _numbers(text: str) -> frozenset[int]:
    """The numbers in a list of these and of ranges."""
    parts = (part.partition("-") for part in text.split())
    return frozenset(number for first, _, last in parts for number in range(int(first), int(last or first) + 1))


# Helpers that some release lets programs call that get a record or the arguments alone.
_OF_TRACEPOINTS = _numbers(
    "1-8 12 14-17 22 25 27 35-37 42 45 55 67 80 87-89 93-94 105-106 109 112-115 117-118 120 123 125 130-134 141 148-149"
    " 153-154 156-158 164-165 169-177 180-182 191 194-195 197-203 208-211"
)
# Those that tp_btf programs may call beside these, whose arguments are pointers with types.
_OF_TYPED_POINTERS = _OF_TRACEPOINTS | _numbers("46 107-108 111 121 126-127 136-140 147 150 162 178 183-185 188 196")
# Those with `gpl_only`.
_FOR_GPL = _numbers("4 6 22 25 27 35-36 45 55 67 112-115 158 165 169-172 175-177 191")
# Others are none that a table here knows.
_LAST_KNOWN = 211


def helper_findings(case: Case) -> Iterator[Finding]:
    """Findings about helpers that the program calls, or may."""
    known = case.kernel.enumerators("bpf_func_id")
    last = None if known else _last_helper(case.kernel)
    for function in case.needs.of(case.program):
        for place, number in function.helpers.items():
            if place not in case.found.reached:
                continue
            if (last is not None and number > last) or (known and number not in known):
                yield _helper(case, place, number, "which this kernel has not")
            elif number <= _LAST_KNOWN and number not in _callable(case):
                yield _helper(case, place, number, f"which no {case.section.type} program may")
            elif number in _FOR_GPL and case.obj.license not in GPL_COMPATIBLE:
                yield _unlicensed(case, place, number)


def _callable(case: Case) -> frozenset[int]:
    return _OF_TYPED_POINTERS if case.is_tp_btf else _OF_TRACEPOINTS


def _helper(case: Case, place: Place, number: int, reason: str) -> Finding:
    name = case.kernel.enumerators("bpf_func_id").get(number, f"helper {number}").replace("BPF_FUNC_", "bpf_")
    told = Told(place, expected=Expected(f"helper {number}", None, "instruction"))
    return found(case, Verdict.REFUSED_LOAD, "helper", f"calls {name}, {reason}", told, "EINVAL")


def _unlicensed(case: Case, place: Place, number: int) -> Finding:
    licence = repr(case.obj.license) if case.obj.license else "none"
    told = Told(place, expected=Expected(f"helper {number}", None, "instruction"))
    message = f"calls helper {number}, which is for licences compatible with GPL: that of the object is {licence}"
    hint = 'char LICENSE[] SEC("license") = "Dual BSD/GPL"; or another of these'
    return found(case, Verdict.REFUSED_LOAD, "not-gpl", message, told, "EINVAL", hint)


def _last_helper(kernel: KnownKernel) -> int | None:
    """The last helper of a kernel of that release; None where that is not known."""
    return next((last for release, last in LAST_HELPERS.items() if release == kernel.release[:2]), None)
