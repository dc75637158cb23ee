# pyright: strict
"""A program that uses all of `tpgen.api`: mypy and pyright check it as they check one outside of the repository."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import assert_type

from tpgen import api
from tpgen.api import (
    Break,
    Change,
    Check,
    CheckFailed,
    Comparison,
    Diagnostic,
    Event,
    EventDiff,
    EventHistory,
    EventSymbols,
    Evidence,
    Finding,
    Form,
    FormHistory,
    GeneratedFile,
    GeneratedFiles,
    Group,
    History,
    HistoryKernel,
    Judgement,
    Kernel,
    KernelInfo,
    Kernels,
    KernelsDiff,
    Known,
    Loaded,
    SiteTotal,
    StoredKernel,
    Symbols,
    Target,
    TpgenError,
    Tracepoint,
    Value,
    Verdict,
)
from tpgen.model import Argument, Array, CType, Field, Int, Nullness, Pointer, Record, Struct
from tpgen.spelling import spell
from tpgen.typequery import size_of


def kernels() -> Iterator[str]:
    """The kernels of `tpgen catalog list`."""
    for stored in api.kernels():
        assert_type(stored, StoredKernel)
        info = assert_type(stored.info, KernelInfo)
        yield f"{info.name} {info.release or '-'} {info.target.arch} {stored.events} {stored.path} {stored.shipped}"


def backends() -> Iterator[str]:
    """The backends of `tpgen backends`."""
    for loaded in api.backends():
        assert_type(loaded, Loaded)
        options = ", ".join(option.name for option in loaded.backend.options)
        yield f"{loaded.plugin.name} of {loaded.plugin.distribution}: {options}"


def merged(output: Path, shards: Iterable[Path]) -> str:
    """What `tpgen catalog merge` does."""
    return f"{assert_type(api.merge_catalogs(output, *shards), int)} kernels"


def opened() -> Iterator[Kernel]:
    """A kernel by name, one from files, several."""
    yield api.open_kernel("6.12", arch="amd64")
    yield api.open_kernel(btf=["vmlinux", Path("kvm.ko")], headers="include", defines=["A", "B=1"], use_cache=False)
    several = assert_type(api.open_kernels("debian-*-amd64", arch="amd64"), Kernels)
    for name in several.names:
        yield several[name]
    yield api.join_kernels({"old": several[several.names[0]]})["old"]


def shown(kernel: Kernel, pattern: str) -> Iterator[str]:
    """What `tpgen show` tells of the tracepoints that a pattern means."""
    target = assert_type(kernel.target, Target)
    for tracepoint in kernel.query(pattern, module=None):
        assert_type(tracepoint, Tracepoint)
        event = assert_type(tracepoint.event, Event)
        for arg in event.args or ():
            assert_type(arg, Argument)
            yield f"ctx[{arg.slot}] {spell(arg.type, arg.name or '?')} {size_of(arg.type, target)}"
            if arg.nullness is Nullness.MAYBE:
                yield "maybe NULL"
        record = assert_type(event.record, Record | None)
        for field in record.fields if record else ():
            assert_type(field, Field)
            yield f"{field.name} @{field.offset_bytes} {described(field.type) if field.type else '?'}"
        names = assert_type(tracepoint.names, EventSymbols)
        for slot, symbols in names.args:
            yield from (f"{slot}: {each.value} {each.name}" for each in assert_type(symbols, Symbols).symbols)
        for comparison in tracepoint.comparisons:
            yield f"{assert_type(comparison, Comparison).subject}: {comparison.reason}"


def described(ctype: CType) -> str:
    """A type by its kind."""
    match ctype:
        case Int(size_bytes=size, signed=signed):
            return f"{'s' if signed else 'u'}{8 * size}"
        case Pointer(target=Struct(name=name)):
            return f"-> {name}"
        case Array(element=element, length=length):
            return f"{length} of {described(element)}"
        case _:
            return spell(ctype)


def loaded(kernel: Kernel, pattern: str) -> Iterator[str]:
    """The values of the context, as a translator wants them."""
    for tracepoint in kernel.query(pattern):
        if tracepoint.why_not(Form.RAW) is None:
            for value in tracepoint.values(Form.RAW):
                assert_type(value, Value)
                yield f"{value.name} {value.kind} {value.offset_bytes} {value.size_bytes} {value.dereferencable}"


def checked(kernel: Kernel) -> Iterator[str]:
    """What `tpgen check` finds."""
    check = assert_type(api.check(kernel, "sched:*"), Check)
    yield from (str(finding) for finding in assert_type(check.findings, tuple[Diagnostic, ...]))
    yield from (f"{comparison.what}: {comparison.reason}" for comparison in check.not_compared)
    yield from (str(each) for each in (*check.skipped, *kernel.notes))
    yield "passed" if check.passed and not kernel.check("sched:*") else "failed"
    supported, evidence = kernel.raw_support()
    yield f"{kernel.label}: {assert_type(supported, bool | None)} {[assert_type(each, Evidence) for each in evidence]}"


def changed(before: Kernel, after: Kernel) -> Iterator[str]:
    """What `tpgen diff` tells."""
    found = assert_type(api.diff(before, after, "sched:*", module="vmlinux"), KernelsDiff)
    yield f"{found.before.name} {found.after.release} {found.counts().tracepoints.common}"
    for event in found.changed:
        assert_type(event, EventDiff)
        yield from (f"{event.event.title} {change.what} {change.breaks}" for change in event.changes)


def past(kernels: Iterable[Kernel]) -> Iterator[str]:
    """What `tpgen history` tells, of all stored kernels and of some."""
    api.history("sched_switch", arch="amd64")
    found = assert_type(api.history("sched_switch", kernels=kernels, module=None), History)
    for kernel in found.kernels:
        yield f"{assert_type(kernel, HistoryKernel).name} {kernel.family} {kernel.release}"
    for event in found.events:
        assert_type(event, EventHistory)
        for known in event.known_as:
            yield f"{assert_type(known, Known).title} {known.kernels} {known.because}"
        for form in (event.raw, event.classic):
            assert_type(form, FormHistory)
            for group in form.groups:
                yield f"{assert_type(group, Group).kernels} {group.event.title} {group.unsure}"
        for each in event.breaks:
            assert_type(each, Break)
            yield from (f"{step.before} {step.after}" for step in each.steps)
            yield from (f"{assert_type(change, Change).what}" for change in each.changes)
        yield f"{event.since} {event.until} {event.absent} {event.unknown}"


def site(folder: Path, kernels: Kernels) -> str:
    """What `tpgen atlas` writes, of all stored kernels of an architecture and of some."""
    api.atlas(folder, arch="amd64")
    total = assert_type(api.atlas(folder, kernels=kernels, base_url="https://example.org/"), SiteTotal)
    return f"{total.files} {total.size_bytes} {total.changed} {total.removed}"


def judged(path: Path, kernels: Kernels) -> Iterator[str]:
    """What `tpgen doctor` says."""
    for judgement in api.doctor(path, kernels, programs=["handle_*"], variables={"targ": 1}):
        assert_type(judgement, Judgement)
        if judgement.verdict is not Verdict.FINE:
            codes = [assert_type(found, Finding).code for found in judgement.findings]
            yield f"{judgement.kernel} {judgement.program} {codes}"


def generated(kernel: Kernel, kernels: Kernels) -> Iterator[str]:
    """What `tpgen EVENT…` generates."""
    files = assert_type(kernel.generate("sched:*", backend="go", forms=[Form.RAW]), GeneratedFiles)
    files.extend(kernels.generate("sched_switch", options={"prelude": "shared"}, values=True))
    files += assert_type(api.member_headers("task_struct:__state|state", options={"prelude": "inline"}), GeneratedFiles)
    for file in files:
        yield f"{assert_type(file, GeneratedFile).name} {len(file.content)}"
    yield from (note.message for note in files.notes)


def refused(kernel: Kernel) -> Iterator[str]:
    """What is wrong."""
    try:
        kernel.query("sched_swich")
    except CheckFailed as error:
        yield str(error)
    except TpgenError as error:
        yield from (f"{diagnostic.code} {diagnostic.severity} {diagnostic.hint}" for diagnostic in error.diagnostics)
