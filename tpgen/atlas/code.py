"""Code for an event, as the backends make it: a C header for all kernels of one kind, other languages by version."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from tpgen.atlas.facts import Entry, Kernel, Member, Version
from tpgen.backends.base import Form, Job, JoinedRequest, KernelRequests, Request, missing
from tpgen.backends.registry import Loaded, find
from tpgen.diagnostics import TpgenError
from tpgen.kernel.comparison import errors
from tpgen.kernel.events import KernelEvents
from tpgen.programs.forms import unattachable
from tpgen.variants.join import join
from tpgen.variants.views import KernelView, RecordsOf

#: The backends by what their files are in. That of JSON is left out: each page has JSON of the same facts beside it.
LANGUAGES = {
    "bpf": "C, for BPF programs", "bpftrace": "bpftrace", "go": "Go", "python": "Python", "rust": "Rust",
    "systemtap": "C, for SystemTap",
}  # fmt: skip
_JOINED = "bpf"


class Code(NamedTuple):
    """The text that a backend makes for an event on some kernels, oldest first; `name` is what to call the file."""

    backend: str
    language: str
    kernels: tuple[Kernel, ...]
    name: str
    text: str


class Coder:
    """Makes the code for events of the kernels that are opened."""

    def __init__(self, opened: Mapping[str, KernelEvents]) -> None:
        self._opened = opened
        self._backends = {name: find(name) for name in LANGUAGES}
        self._records_of: dict[str, RecordsOf] = {name: cache(each.records_of) for name, each in opened.items()}

    def code(self, entry: Entry) -> tuple[Code, ...]:
        """The code for an event: C for all kernels of one byte order and size of pointers, the rest for each version.

        Where a kernel's sources contradict each other about the event, it is not among the kernels. What a backend
        cannot make is left out.
        """
        sound = [member for version in entry.versions for member in version.members if self._is_sound(member)]
        sound.sort(key=lambda member: member.kernel.number)
        return (*self._joined(sound), *self._single(entry.versions, sound))

    def _is_sound(self, member: Member) -> bool:
        return not errors(self._opened[member.kernel.name].comparisons(member.key))

    def _joined(self, sound: Sequence[Member]) -> Iterator[Code]:
        """C headers, the first for the newest kernel and all of its byte order."""
        kinds: dict[tuple[bool, int], list[Member]] = {}
        for member in reversed(sound):
            target = member.kernel.target
            kinds.setdefault((target.big_endian, target.pointer_size), []).insert(0, member)
        backend = self._backends[_JOINED]
        for members in kinds.values():
            job = _job(backend, members) if len(members) == 1 else self._joined_job(backend, members)
            if job is not None:
                yield from _rendered(backend, job, members)

    def _joined_job(self, backend: Loaded, members: Sequence[Member]) -> Job | None:
        views = [
            KernelView(each.kernel.name, each.event, each.kernel.target, self._records_of[each.kernel.name])
            for each in members
        ]
        event = join(views)
        forms = [form for form in backend.backend.forms if event.why_not(form) is None]
        if not forms:
            return None
        having = {form: {view.kernel for view in event.having(form)} for form in forms}
        kernels = tuple(
            _requests(each, [form for form in forms if each.kernel.name in having[form]]) for each in members
        )
        return Job(kernels, backend.options({}), tuple(JoinedRequest(event, form) for form in forms))

    def _single(self, versions: Sequence[Version], sound: Sequence[Member]) -> Iterator[Code]:
        """The code of the other backends, for the newest kernel of each version, newest first."""
        fit = {member.kernel.number for member in sound}
        newest = [[member for member in version.members if member.kernel.number in fit] for version in versions]
        newest = sorted(filter(None, newest), key=lambda members: -members[-1].kernel.number)
        for name, backend in self._backends.items():
            if name != _JOINED:
                for members in newest:
                    if (job := _job(backend, members[-1:])) is not None:
                        yield from _rendered(backend, job, members[-1:])


def _job(backend: Loaded, members: Sequence[Member]) -> Job | None:
    (member,) = members
    dynamic = backend.takes_dynamic_events
    forms = [
        form
        for form in backend.backend.forms
        if missing(member.event, form) is None and (dynamic or unattachable(member.event, form) is None)
    ]
    return Job((_requests(member, forms),), backend.options({})) if forms else None


def _requests(member: Member, forms: Iterable[Form]) -> KernelRequests:
    kernel = member.kernel
    requests = tuple(Request(member.event, form) for form in forms)
    return KernelRequests(kernel.name, kernel.target, kernel.release, requests)


def _rendered(backend: Loaded, job: Job, members: Sequence[Member]) -> Iterator[Code]:
    name = backend.plugin.name
    try:
        files = [file for file in backend.render(job) if isinstance(file.content, str)]
    except TpgenError:  # what cannot be had in this language, such as a name that is a word of it
        return
    if files:
        suffix = files[0].name.rpartition(".")[2]
        text = "\n".join(str(file.content) for file in files)
        kernels = tuple(member.kernel for member in members)
        yield Code(name, LANGUAGES[name], kernels, f"{members[-1].event.name}.{suffix}", text)
