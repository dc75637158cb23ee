"""Rules about other needs of a program: types and members, instructions, helpers, maps, symbols.

The BTF of the kernel decides if there is one, else its release, where that was tried.
"""

from __future__ import annotations

from collections.abc import Iterator

from tpgen.doctor.findings import Expected, Finding, Verdict
from tpgen.doctor.kernels import SYMBOL_KINDS
from tpgen.doctor.relocated import Failed, Resolved
from tpgen.doctor.rules.case import Case, Told, found, refused_load
from tpgen.doctor.rules.helpers import helper_findings
from tpgen.doctor.rules.needs import CALL, CALLBACK, SORTS, Sort
from tpgen.sources.bpf_object.facts import Place, Reference, ReferenceKind


def feature_findings(case: Case) -> Iterator[Finding]:
    """Findings about what the kernel lacks of all that the program needs."""
    yield from _core(case)
    yield from _instructions(case)
    yield from helper_findings(case)
    yield from _maps(case)
    yield from _symbols(case)


def _core(case: Case) -> Iterator[Finding]:
    for place, failed in case.outcomes.refused.items():
        told = Told(place, expected=Expected(failed.what, None, "relocation"))
        message = f"asks for {failed.what}, and so nothing of the object is loaded: {failed.refused}"
        yield refused_load(case, "core-missing", message, told, failed.errno or "EINVAL")
    yield from _of_modules(case)
    for place in sorted(case.found.failed):
        outcome = case.outcomes.relocations.get(place)
        if isinstance(outcome, Failed) and not outcome.refused:
            told = Told(place, expected=Expected(outcome.what, None, "relocation"))
            message = f"needs {outcome.what}, which this kernel has not, or of another kind"
            hint = "ask first: bpf_core_field_exists(), bpf_core_type_exists()"
            yield found(case, Verdict.REFUSED_LOAD, "core-missing", message, told, "EINVAL", hint)


def _of_modules(case: Case) -> Iterator[Finding]:
    """Findings about types that are those of modules."""
    if case.kernel.is_live:
        return
    resolved = ((place, case.outcomes.relocations.get(place)) for place in sorted(case.found.reached))
    places = {each.module: place for place, each in resolved if isinstance(each, Resolved) and each.module}
    for module, place in places.items():
        told = Told(place, expected=Expected(module, None, "relocation"))
        message = f"needs a type of module {module}: it works while that is loaded"
        yield found(case, Verdict.DEPENDS, "module", message, told, hint=f"load it first: modprobe {module}")


def _instructions(case: Case) -> Iterator[Finding]:
    needs = case.needs.of(case.program)
    for sort in (*SORTS, CALLBACK):
        has = case.kernel.has(sort.turn)
        places = () if has else (place for function in needs for place in function.sorts.get(sort, ()))
        counting = (place for place in places if sort.in_dead_code or place in case.found.reached)
        if (place := min(counting, default=None)) is not None:
            yield _instruction(case, sort, place, has)


def _instruction(case: Case, sort: Sort, place: Place, has: bool | None) -> Finding:
    told = Told(place, expected=Expected(sort.name, None, "instruction"))
    where = "" if place in case.found.reached else ", in code that never runs, which is checked too"
    if has is None:
        message = f"has {sort.name}; whether this release has them is not known"
        return found(case, Verdict.DEPENDS, "instruction", message, told)
    hint = "compile for an older one: -mcpu=v3 or -mcpu=v2"
    return found(
        case, Verdict.REFUSED_LOAD, "instruction", f"has {sort.name}, which this kernel has not{where}", told, "EINVAL",
        hint,
    )  # fmt: skip


# --- maps and symbols


def _maps(case: Case) -> Iterator[Finding]:
    known = case.kernel.enumerators("bpf_map_type")
    if not known:
        return
    used = frozenset[str]().union(*(function.maps for function in case.needs.of(case.program)))
    for definition in case.obj.maps:
        if definition.name in used and definition.type is not None and definition.type not in known:
            told = Told(expected=Expected(definition.name, f"map type {definition.type}", "struct"))
            message = f"uses map {definition.name} of type {definition.type}, which this kernel has not"
            yield refused_load(case, "map-type", message, told, "EINVAL")


def _symbols(case: Case) -> Iterator[Finding]:
    """Symbols that are missing. Of an object with one that is not weak libbpf loads nothing."""
    if not case.kernel.images:
        return
    missing = {name for name, kind in case.obj.kernel_symbols.items() if _is_missing(case, name, kind)}
    wanted = {
        reference.name: place
        for place, reference in sorted(case.obj.references.items(), reverse=True)
        if reference.name in missing and reference.kind == ReferenceKind.EXTERN and _counts(case, place, reference)
    }
    for name, place in sorted(wanted.items()):
        told = Told(place, expected=Expected(name, None, "struct"))
        message = f"needs {name} of the kernel, which its BTF has not"
        hint = "ask first: bpf_ksym_exists()"
        if not case.obj.references[place].weak:
            hint = "declare it __weak, and ask bpf_ksym_exists()"
        yield found(case, Verdict.REFUSED_LOAD, "ksym", message, told, "EINVAL", hint)


def _is_missing(case: Case, name: str, kind: str) -> bool:
    return kind in SYMBOL_KINDS and not case.kernel.has_symbol(name, kind)


def _counts(case: Case, place: Place, reference: Reference) -> bool:
    """Whether a reference to a missing symbol matters: a weak one does where it is called."""
    if not reference.weak:
        return True
    instruction = case.obj.code[place.section][place.at]
    is_call = instruction is not None and instruction.opcode == CALL
    return is_call and place in case.found.reached
