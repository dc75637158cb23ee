"""Code for an event, as the backends make it: C headers for all kernels of one kind, other languages for the newest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from tpgen.atlas.collect import kind_of
from tpgen.atlas.facts import Entry, Kernel, Member
from tpgen.backends.base import Form, Job, JoinedRequest, KernelRequests, OptionValue, Request, missing
from tpgen.backends.registry import Loaded, find
from tpgen.diagnostics import TpgenError
from tpgen.programs.forms import unattachable
from tpgen.variants.join import join
from tpgen.variants.views import KernelView

#: The backends by what their files are in. That of JSON is left out: each page has JSON of the same facts beside it.
LANGUAGES = {
    "bpf": "C, for BPF programs", "bpftrace": "bpftrace", "go": "Go", "python": "Python", "rust": "Rust",
    "systemtap": "C, for SystemTap",
}  # fmt: skip
_JOINED = "bpf"


class Code(NamedTuple):
    """The text that a backend makes for an event on some kernels, oldest first; `name` is what to call the file.

    `includes` are the names of files that it includes, which are the same for all events.
    """

    backend: str
    language: str
    kernels: tuple[Kernel, ...]
    name: str
    text: str
    includes: tuple[str, ...]


class Coder:
    """Makes the code for events."""

    def __init__(self) -> None:
        self._backends = {name: find(name) for name in LANGUAGES}
        #: The files that codes include, by name.
        self.included: dict[str, str] = {}

    def code(self, entry: Entry) -> tuple[Code, ...]:
        """The code for an event: a C header for each byte order and size of pointers, the rest for the newest kernel.

        A header is for the kernels that stand for all others. Where a kernel's sources contradict each other about the
        event, it is not among them. What a backend cannot make is left out.
        """
        sound = [member for member in entry.members if member.is_sound]
        return (*self._joined(sound), *self._single(sound))

    def _joined(self, sound: Sequence[Member]) -> Iterator[Code]:
        """C headers, the first for the newest kernel and those of its kind."""
        kinds: dict[tuple[bool, int], list[Member]] = {}
        for member in reversed(sound):
            kinds.setdefault(kind_of(member.kernel), []).insert(0, member)
        backend = self._backends[_JOINED]
        for members in kinds.values():
            job = _job(backend, members[0]) if len(members) == 1 else self._joined_job(backend, members)
            if job is not None:
                yield from self._rendered(backend, job, members)

    def _joined_job(self, backend: Loaded, members: Sequence[Member]) -> Job | None:
        views = [
            KernelView(each.kernel.name, each.event, each.kernel.target, each.records.__getitem__) for each in members
        ]
        if len({view.event.name for view in views}) > 1:
            return _job(backend, members[-1])
        event = join(views)
        forms = [form for form in backend.backend.forms if event.why_not(form) is None]
        if not forms:
            return None
        having = {form: {view.kernel for view in event.having(form)} for form in forms}
        kernels = tuple(
            _requests(each, [form for form in forms if each.kernel.name in having[form]]) for each in members
        )
        return Job(kernels, _options(backend), tuple(JoinedRequest(event, form) for form in forms))

    def _single(self, sound: Sequence[Member]) -> Iterator[Code]:
        """The code of the other backends."""
        for name, backend in self._backends.items():
            if name != _JOINED and sound and (job := _job(backend, sound[-1])) is not None:
                yield from self._rendered(backend, job, sound[-1:])

    def _rendered(self, backend: Loaded, job: Job, members: Sequence[Member]) -> Iterator[Code]:
        name = backend.plugin.name
        try:
            files = [file for file in backend.render(job) if isinstance(file.content, str)]
        except TpgenError:  # what cannot be had in this language, such as a name that is a word of it
            return
        included = {file.name: str(file.content) for file in files if file.is_included}
        self.included |= included
        if own := [file for file in files if not file.is_included]:
            suffix = own[0].name.rpartition(".")[2]
            text = "\n".join(str(file.content) for file in own)
            kernels = tuple(member.kernel for member in members)
            yield Code(name, LANGUAGES[name], kernels, f"{members[-1].event.name}.{suffix}", text, tuple(included))


def _options(backend: Loaded) -> dict[str, OptionValue]:
    """The options of a backend: what several headers have in common is a file of its own."""
    shared = {"prelude": "shared"} if any(option.name == "prelude" for option in backend.backend.options) else {}
    return backend.options(shared)


def _job(backend: Loaded, member: Member) -> Job | None:
    dynamic = backend.takes_dynamic_events
    forms = [
        form
        for form in backend.backend.forms
        if missing(member.event, form) is None and (dynamic or unattachable(member.event, form) is None)
    ]
    return Job((_requests(member, forms),), _options(backend)) if forms else None


def _requests(member: Member, forms: Iterable[Form]) -> KernelRequests:
    kernel = member.kernel
    requests = tuple(Request(member.event, form) for form in forms)
    return KernelRequests(kernel.name, kernel.target, kernel.release, requests)
