"""Backend `systemtap`: the stapprobe_ structs and functions of SystemTap's translator, and no kernel header compiled.

SystemTap compiles every trace header of a kernel with macros that make `struct stapprobe_<event>` of its events, for
BPF programs, or `void stapprobe_<event>()`, for kernel modules, and reads names, types and offsets out of the DWARF.
Here are the same as C and as DWARF, and what it reads out of them as JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tpgen.backends.base import API, Form, GeneratedFile, Job, Option, Request
from tpgen.backends.requests import with_tracepoints
from tpgen.backends.systemtap.probes import ProbeKind, Stapprobe, stapprobe
from tpgen.diagnostics import fail
from tpgen.target import Target


class SystemtapBackend:
    """Renders C per event and form, DWARF per system and form, and JSON in one."""

    api = API
    description = "what SystemTap's translator asks for: stapprobe_ structs as C, DWARF or JSON"
    forms = (Form.RAW, Form.CLASSIC)
    options = (
        Option("emit", "C, DWARF objects by system, or JSON for build_args_for_bpf", "c", ("c", "dwarf", "json")),
        Option("flat", "structs without the inner struct data, as in SystemTap up to 4.1"),
        Option("lkm", "functions with the raw arguments instead of structs, as for kernel modules"),
    )
    several_kernels = False

    def render(self, job: Job) -> Iterable[GeneratedFile]:
        target, flat, lkm = job.kernel.target, bool(job.options["flat"]), bool(job.options["lkm"])
        requests = _usable(job.kernel.requests, lkm)
        if job.options["emit"] == "json":
            from tpgen.backends.systemtap.json import document

            return [GeneratedFile("stapprobes.json", document(job.kernel._replace(requests=requests)))]
        kinds = _by_kind(requests, target, lkm)
        made = {kind: list(_files(kind, probes, target, job, flat)) for kind, probes in kinds.items()}
        return [
            GeneratedFile(file.name if len(made) == 1 else f"{kind}/{file.name}", file.content)
            for kind, files in made.items()
            for file in files
        ]


def _usable(requests: Sequence[Request], lkm: bool) -> tuple[Request, ...]:
    """The requests that can be met: kernel modules are given no records.

    Raises `no-such-form` where nothing is left.
    """
    if not lkm:
        return with_tracepoints(requests)
    left = tuple(r for r in requests if r.form == Form.RAW and r.event.attach_name is not None)
    if requests and not left:
        event = requests[0].event
        why = "it has no raw tracepoint of its own" if event.attach_name is None else "kernel modules get no records"
        raise fail("no-such-form", f"no lkm form of {event.title}: {why}")
    return left


def _by_kind(requests: Sequence[Request], target: Target, lkm: bool) -> dict[ProbeKind, list[Stapprobe]]:
    """The probes to make, by kind, raw before classic: both have the same names in C, so that no file can hold both."""
    kinds: dict[ProbeKind, list[Stapprobe]] = {}
    for form in Form:
        kind = ProbeKind.LKM if lkm else ProbeKind(form)
        if probes := [stapprobe(r.event, kind, target) for r in requests if r.form == form]:
            kinds[kind] = probes
    return kinds


def _files(kind: ProbeKind, probes: list[Stapprobe], target: Target, job: Job, flat: bool) -> Iterator[GeneratedFile]:
    if job.options["emit"] == "dwarf":
        from tpgen.backends.systemtap.dwarf import objects

        return objects(kind, probes, target, flat)
    from tpgen.backends.systemtap.c import headers

    return headers(kind, probes, job.kernel, flat)
