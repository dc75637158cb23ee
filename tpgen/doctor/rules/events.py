"""Rules about the event that a program attaches to: whether it is there, and takes programs of that sort."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tpgen.doctor.findings import Finding, Verdict
from tpgen.doctor.kernels import KnownKernel, titles
from tpgen.doctor.rules.case import Case, found
from tpgen.doctor.verifier import SLEEPABLE_BY_ATTACHMENT
from tpgen.model import SYSCALL_TRACEPOINTS, Event, Kind
from tpgen.programs.sections import ProgramSection, ProgramType, raw_types

_TP_SUFFIX = "_tp"
_SYSCALLS = ("sys_enter_", "sys_exit_")


def events_of(kernel: KnownKernel, section: ProgramSection) -> tuple[Event, ...]:
    """The events that a program of that section attaches to: several where modules share a name."""
    if section.event is None:
        return ()
    if section.type == ProgramType.TP:
        return kernel.records(section.system, section.event) if section.system is not None else ()
    events = kernel.tracepoints(section.event, section.module)
    return tuple(event for event in events if section.type in raw_types(event))


def event_findings(case: Case, events: Sequence[Event]) -> Iterator[Finding]:
    """Findings about the events themselves."""
    if case.section.event is None:
        if case.section.sleepable:
            yield from _sleepable(case, ())
        return
    if not events:
        yield _absent(case)
        return
    yield from _module(case, events)
    if case.section.sleepable:
        yield from _sleepable(case, events)


# --- absence


def _absent(case: Case) -> Finding:
    if case.section.type == ProgramType.TP:
        return _no_system(case) if case.section.system is None else _no_event(case)
    section, kernel = case.section, case.kernel
    assert section.event is not None
    verdict = Verdict.REFUSED_LOAD if case.is_tp_btf else Verdict.REFUSED_ATTACH
    errno = "ESRCH" if case.is_tp_btf else "ENOENT"
    without_btf = kernel.tracepoints(section.event, section.module)
    if without_btf:
        message = f"{section.event} is of module {without_btf[0].module}, which has no BTF on this kernel"
        hint = f'SEC("{section._replace(type=ProgramType.RAW_TP, sleepable=False).name}") needs none'
        return found(case, verdict, "no-tracepoint", message, errno=errno, hint=hint)
    of_module = f" of {section.module}" if section.module else ""
    message = f"there is no raw tracepoint {section.event}{of_module}"
    way_on = _raw_way_on(kernel, section)
    if not kernel.knows_modules and way_on is None:
        message += " in vmlinux; nothing is known of modules"
        return found(case, Verdict.DEPENDS, "no-tracepoint", message)
    return found(case, verdict, "no-tracepoint", message, errno=errno, hint=way_on)


def _raw_way_on(kernel: KnownKernel, section: ProgramSection) -> str | None:
    name = section.event
    assert name is not None
    for other in (name + _TP_SUFFIX, name.removesuffix(_TP_SUFFIX)):
        if other != name and kernel.tracepoints(other):
            return f'there it is called {other}: SEC("{section._replace(event=other).name}")'
    if section.module and (events := kernel.tracepoints(name)):
        return f"it is of {events[0].module or 'vmlinux'}"
    if name.startswith(_SYSCALLS):
        general = SYSCALL_TRACEPOINTS[0 if name.startswith(_SYSCALLS[0]) else 1]
        return f'calls have no tracepoint of their own: SEC("{section._replace(event=general).name}"), or tp/syscalls/'
    records = [event for event in kernel.namesakes(name) if event.record is not None and event.system]
    if records:
        return f'there is an event without raw arguments: SEC("tp/{records[0].system}/{name}")'
    return None


def _no_system(case: Case) -> Finding:
    message = f"its section names no system: libbpf attaches to tp/SYSTEM/{case.section.event} alone"
    hint = _record_way_on(case.kernel, case.section)
    return found(case, Verdict.REFUSED_ATTACH, "no-event", message, errno="EINVAL", hint=hint)


def _no_event(case: Case) -> Finding:
    section, kernel = case.section, case.kernel
    assert section.event is not None and section.system is not None
    key = kernel.of_system(section.system, section.event)
    title = f"{section.system}:{section.event}"
    if key is not None and key.dynamic:
        message = f"{title} is a dynamic event, to which no tp program can be attached"
        return found(case, Verdict.REFUSED_ATTACH, "no-event", message, errno="EINVAL")
    message, hint = f"there is no event {title}", _record_way_on(kernel, section)
    unknown = _unknown_events(kernel, section.system)
    if hint is None and unknown:
        return found(case, Verdict.DEPENDS, "no-event", f"it is not known whether there is an event {title}: {unknown}")
    return found(case, Verdict.REFUSED_ATTACH, "no-event", message, errno="ENOENT", hint=hint)


def _unknown_events(kernel: KnownKernel, system: str) -> str | None:
    """The sort of the kernel's events of which nothing is known and one of that system may be; None where all are."""
    if not kernel.knows_systems:
        return "no source has the systems of events"
    if system == "syscalls" and not kernel.knows_syscalls:
        return "only tracefs has the events of system calls"
    return None if kernel.knows_modules else "nothing is known of modules"


def _record_way_on(kernel: KnownKernel, section: ProgramSection) -> str | None:
    name = section.event
    assert name is not None
    for other in (name, name + _TP_SUFFIX, name.removesuffix(_TP_SUFFIX)):
        events = kernel.namesakes(other)
        with_record = [event for event in events if event.system and event.kind != Kind.TRACEPOINT]
        if with_record and (other, with_record[0].system) != (name, section.system):
            system = with_record[0].system
            return f'there is {system}:{other}: SEC("{section._replace(system=system, event=other).name}")'
        if not with_record and any(event.attach_name for event in events):
            return f'there is a tracepoint without a record: SEC("raw_tp/{other}")'
    return None


# --- what it takes to attach


def _module(case: Case, events: Sequence[Event]) -> Iterator[Finding]:
    modules = [event.module for event in events]
    if case.kernel.is_live or None in modules:
        return
    names = " or ".join(dict.fromkeys(filter(None, modules)))
    message = f"{titles(events)} is of module {names}: it works while that is loaded"
    yield found(case, Verdict.DEPENDS, "module", message, hint=f"load it first: modprobe {modules[0]}")


def _sleepable(case: Case, events: Sequence[Event]) -> Iterator[Finding]:
    takes, name = case.kernel.takes_sleepable, case.section.name
    if takes:
        if events and not any(map(case.kernel.may_sleep, events)):
            verdict = Verdict.REFUSED_LOAD if case.is_tp_btf else Verdict.REFUSED_ATTACH
            message = f"programs may not sleep at {titles(events)}, only at system calls"
            yield found(case, verdict, "sleepable", message, errno="EINVAL", hint=_awake(case))
        return
    if takes is None:
        yield found(case, Verdict.DEPENDS, "sleepable", f"it is not known whether {name} may be sleepable")
        return
    if case.is_tp_btf:
        refused = case.kernel.has(SLEEPABLE_BY_ATTACHMENT)
        if refused is False:
            return
        if refused is None:
            yield found(case, Verdict.DEPENDS, "sleepable", "whether tp_btf.s is refused is not known of this release")
            return
    message = "this kernel has no sleepable programs at tracepoints"
    yield found(case, Verdict.REFUSED_LOAD, "sleepable", message, errno="EINVAL", hint=_awake(case))


def _awake(case: Case) -> str:
    return f'SEC("{case.section._replace(sleepable=False).name}"), and no helper that sleeps'
