"""The door that every backend goes through, ours and a third party's: docs/backends.md explains it by an example.

An entry point of the group `tpgen.backends` names a class, or a function, that makes a `Backend` when called without
arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from tpgen.basics.typing import TYPE_CHECKING, NamedTuple, Protocol
from tpgen.model import Event
from tpgen.programs.forms import Form, missing
from tpgen.target import Target

if TYPE_CHECKING:
    from typing import TypeAlias

    from tpgen.probe import Evidence
    from tpgen.variants.join import JoinedEvent

#: The version of this interface. It changes when a backend that was written for it would no longer work.
API = 1

__all__ = [
    "API",
    "Backend",
    "Form",
    "GeneratedFile",
    "Job",
    "JoinedRequest",
    "KernelRequests",
    "Option",
    "OptionValue",
    "Request",
    "missing",
]


class Request(NamedTuple):
    """A request to render one form of one event that passed its checks, and that has this form (`missing` is None)."""

    event: Event
    form: Form


class JoinedRequest(NamedTuple):
    """A request to render one form of an event of several kernels, which at least one of them has."""

    event: JoinedEvent
    form: Form


class KernelRequests(NamedTuple):
    """The requests for one kernel, event by event, in the order of the user.

    `label` names the kernel in messages. `release` is its uname -r, None if unknown. `raw_evidence` returns the
    evidence about raw tracepoints when it is called; `tpgen.probe.answer` draws the conclusion. With `is_stand_in` the
    user did not name this kernel: it replaces the running one, which cannot be read.
    """

    label: str
    target: Target
    release: str | None
    requests: tuple[Request, ...]
    raw_evidence: Callable[[], Sequence[Evidence]] = tuple
    is_stand_in: bool = False

    @property
    def release_text(self) -> str | None:
        """The release for generated files, None if unknown."""
        return (
            f"{self.release}, in place of a running kernel that cannot be asked" if self.is_stand_in else self.release
        )


OptionValue: TypeAlias = bool | int | str


class Option(NamedTuple):
    """An option of a backend: `--flat` on the command line, `options = { flat = true }` in tpgen.toml.

    `name` is of lower-case letters, digits and `-`. The default's type is the option's: a `bool` is a switch, `--flat`
    and `--no-flat`; an `int` or a `str` takes a value, which is one of `choices` if there are any.
    """

    name: str
    help: str
    default: OptionValue = False
    choices: tuple[str, ...] = ()


class Job(NamedTuple):
    """The input of one rendering. Later versions may add members, which backends can ignore.

    `kernels` has one item, unless the backend sets `several_kernels`. `options` has a value for every option of the
    backend. `joined` are the requests of several kernels, oldest first, joined by the name of the event; it is empty
    for one kernel. `in_directory` says that the files will lie in one directory, each under its own name.
    """

    kernels: tuple[KernelRequests, ...]
    options: Mapping[str, OptionValue]
    joined: tuple[JoinedRequest, ...] = ()
    in_directory: bool = False

    @property
    def kernel(self) -> KernelRequests:
        """The only kernel."""
        (only,) = self.kernels
        return only


class GeneratedFile(NamedTuple):
    """A rendered file, of text (UTF-8 on disk) or of bytes.

    `name` is relative to wherever the user wants it; `/` in it makes directories, `..` is refused. One that others
    include (`is_included`) stays a file of its own, and another rendering may make the same.
    """

    name: str
    content: str | bytes
    is_included: bool = False

    @property
    def data(self) -> bytes:
        return self.content.encode() if isinstance(self.content, str) else self.content


class Backend(Protocol):
    """Renders events. A backend is pure: the same job gives the same bytes, it reads no file but its own templates.

    Whatever it need not import before `render`, such as a template engine, it should import there.
    """

    @property
    def api(self) -> int:
        """The `API` that it was written for, as a number."""
        ...

    @property
    def description(self) -> str:
        """The line that `tpgen backends` shows."""
        ...

    @property
    def forms(self) -> tuple[Form, ...]:
        """The forms that it renders; it is given no request for another."""
        ...

    @property
    def options(self) -> tuple[Option, ...]:
        """Its own options."""
        ...

    @property
    def several_kernels(self) -> bool:
        """Whether it joins kernels in one file. If not, it is always given one."""
        ...

    def render(self, job: Job) -> Iterable[GeneratedFile]:
        """Return the files: one for each request, event, system or kernel, or one in all, as the users need them.

        Raises `TpgenError` if the input is at fault. Any other exception is reported as a fault of the backend.
        """
        ...
