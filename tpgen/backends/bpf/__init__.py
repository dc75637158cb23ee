"""Backend `bpf`: C headers with structs, assertions and accessors for BPF programs.

`raw`, `classic` and `syscall` decide the contents of a header, as a `Header`; `render` prints it with the templates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache

from tpgen.backends.base import API, Form, GeneratedFile, Job, Request, missing
from tpgen.backends.bpf.prelude import OPTION, Prelude
from tpgen.basics.typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tpgen.backends.bpf.header import Header
    from tpgen.model import Event
    from tpgen.target import Target


class BpfBackend:
    """Renders one header per event and form, and what these have in common."""

    api = API
    description = "C headers for BPF programs: structs, assertions and accessors, one header per event and form"
    forms = (Form.RAW, Form.CLASSIC)
    options = (OPTION,)
    several_kernels = True

    def render(self, job: Job) -> Iterator[GeneratedFile]:
        from tpgen.backends.bpf.render import text

        requests, headers = _for_several(job) if job.joined else _for_one(job)
        prelude = Prelude.of(job.options.get(OPTION.name, OPTION.default), len(requests), job.in_directory)
        for header, word in zip(headers, _told_apart(requests), strict=True):
            # Two events may share a name. Their headers do not go together, so that their contents need not differ.
            yield GeneratedFile(f"{header.tag}.h" if word is None else f"{header.tag}.{word}.h", text(header, prelude))
        yield from prelude.files()


def _for_one(job: Job) -> tuple[Sequence[Request], Iterator[Header]]:
    requests = job.kernel.requests
    return requests, (_header(request, job.kernel.target, job.kernel.release_text) for request in requests)


def _for_several(job: Job) -> tuple[Sequence[Request], Iterator[Header]]:
    from tpgen.backends.bpf.portable import portable_header

    kernels = {kernel.label: kernel.release_text for kernel in job.kernels}
    requests = [Request(joined.event.event, joined.form) for joined in job.joined]
    return requests, (portable_header(*joined, kernels) for joined in job.joined)


def _told_apart(requests: Sequence[Request]) -> Sequence[str | None]:
    """The word that tells the file of each request from others of its form and its event's name."""
    named = [(f"{request.form} {request.event.name}", request.event) for request in requests]
    if len({name for name, _ in named}) == len(named):
        return [None] * len(named)
    from tpgen.backends.requests import told_apart

    return told_apart(named)


def _header(request: Request, target: Target, release: str | None) -> Header:
    """The header of a form that its event has."""
    event, form = request
    assert missing(event, form) is None, "asked for what is not there"
    return _builder(form, event.syscall is not None)(event, target, release)


@cache
def _builder(form: Form, of_syscall: bool) -> Callable[[Event, Target, str | None], Header]:
    """The function that makes headers of a form, from a module that is imported on demand."""
    if form == Form.CLASSIC:
        from tpgen.backends.bpf.classic import classic_header

        return classic_header
    if of_syscall:
        from tpgen.backends.bpf.syscall import syscall_header

        return syscall_header
    from tpgen.backends.bpf.raw import raw_header

    return raw_header
