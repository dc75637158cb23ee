"""Finding backends: the entry points of the group `tpgen.backends`, ours and those of other packages.

Reading the entry points of an environment takes as long as half of a run (importlib.metadata: 38 ms). So our own ones
are repeated in `BUILT_IN`, which a test compares with pyproject.toml, and entry points are not read if only built-in
backends are used. After that all are treated alike: `Plugin.load` imports, calls and checks each, and `Loaded.render`
checks its files.
"""

from __future__ import annotations

import contextlib
import os
import sys
from _thread import allocate_lock
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib import import_module
from itertools import groupby

from tpgen import __version__
from tpgen.backends.base import API, Backend, Form, GeneratedFile, Job, Option, OptionValue
from tpgen.basics.patterns import pattern
from tpgen.basics.progress import tell
from tpgen.basics.typing import NamedTuple, cast
from tpgen.diagnostics import Diagnostic, TpgenError, described, fail, nearest
from tpgen.model import Event

GROUP = "tpgen.backends"
_DISTRIBUTION = "tpgen"

#: The entry points of our own distribution, as pyproject.toml states them.
BUILT_IN = {
    "bpf": "tpgen.backends.bpf:BpfBackend",
    "bpftrace": "tpgen.backends.bpftrace:BpftraceBackend",
    "go": "tpgen.backends.go:GoBackend",
    "json": "tpgen.backends.json:JsonBackend",
    "python": "tpgen.backends.python:PythonBackend",
    "rust": "tpgen.backends.rust:RustBackend",
    "systemtap": "tpgen.backends.systemtap:SystemtapBackend",
}

#: The backends of other packages that this process has loaded, or tried to: their code may want to be told of its end.
LOADED_OF_OTHERS: list[str] = []

_MEMBERS = ("api", "description", "forms", "options", "several_kernels")
_OPTION_NAME = pattern(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")


class Plugin(NamedTuple):
    """An entry point: the `name` of a backend, the `MODULE:OBJECT` that makes it, the distribution that it is from."""

    name: str
    value: str
    distribution: str
    version: str

    @property
    def built_in(self) -> bool:
        return self.distribution == _DISTRIBUTION

    def __str__(self) -> str:
        return f"backend {self.name} of {self.distribution} {self.version}"

    def load(self) -> Loaded:
        """The backend itself. Raises `TpgenError` `backend-broken` naming the plugin, whatever is wrong with it."""
        if self.built_in:  # what is wrong here is our own fault
            return Loaded(self, _made(self.value))
        if self.name in BUILT_IN:
            raise self.broken("the name is that of a built-in backend")
        LOADED_OF_OTHERS.append(self.name)
        with self._theirs("cannot be loaded"):
            backend = _made(self.value)
        with self._theirs("cannot be examined"):
            examined = cast(Backend, _Examined(backend))
            problem = _problem(examined)
        if problem:
            raise self.broken(problem)
        return Loaded(self, examined)

    @contextlib.contextmanager
    def _theirs(self, what: str) -> Iterator[None]:
        """Run another package's code: what it prints goes to stderr, and what it raises is its fault."""
        try:
            with contextlib.redirect_stdout(sys.stderr), _descriptor_redirected:
                yield
        except (KeyboardInterrupt, GeneratorExit, TpgenError):
            raise
        except BaseException as error:
            raise self.broken(f"{what}: {described(error)}") from error

    def broken(self, problem: str) -> TpgenError:
        hint = None if self.built_in else f"the fault is in {self.distribution}"
        return fail("backend-broken", f"{self}: {problem}", hint=hint)


class Loaded(NamedTuple):
    """A backend that fulfils the interface, and the package that it is from."""

    plugin: Plugin
    backend: Backend

    @property
    def takes_dynamic_events(self) -> bool:
        """Whether it gets events without a tracepoint of their own: it sets `dynamic_events = True`."""
        return getattr(self.backend, "dynamic_events", False) is True

    def options(self, given: Mapping[str, OptionValue]) -> dict[str, OptionValue]:
        """A value for every option of the backend, those that are given and else the defaults. Raises `bad-option`."""
        known = {option.name: option for option in self.backend.options}
        for name, value in given.items():
            if name not in known:
                hint = nearest(name, known, f"it has {', '.join(sorted(known)) or 'none'}")
                raise fail("bad-option", f"backend {self.plugin.name} has no option {name}", hint=hint)
            _check_value(known[name], value)
        return {name: given.get(name, option.default) for name, option in known.items()}

    def render(self, job: Job) -> Iterator[GeneratedFile]:
        """The files that the backend makes for `job`. Each is made when it is consumed: memory has no room for all.

        Raises `TpgenError` meanwhile: an error of the backend about the input; `backend-broken` if the backend fails or
        makes something that cannot be written; `same-name` if two files have one name.
        """
        assert len(job.kernels) == 1 or self.backend.several_kernels, "asked for what the backend cannot do"
        names: set[str] = set()
        for file in self.backend.render(job) if self.plugin.built_in else self._render(job):
            if file.name in names:
                raise self._same_name(job, file.name)
            names.add(file.name)
            tell("making files", len(names))
            yield file

    def _same_name(self, job: Job, name: str) -> TpgenError:
        """The error `same-name` for a file, with the first events that have the same name, if there are any."""
        hint = "its file names must be different for each event: please report it to its author"
        by_name: dict[str, dict[Event, None]] = {}
        of_one = (request.event for kernel in job.kernels for request in kernel.requests)
        for event in (request.event.event for request in job.joined) if job.joined else of_one:
            by_name.setdefault(event.name, {})[event] = None
        if alike := next((list(events) for events in by_name.values() if len(events) > 1), None):
            titles = " and ".join(f"{event.title} of {event.module or 'vmlinux'}" for event in alike)
            apart = len({event.module for event in alike}) == len(alike)
            hint = f"{titles} have the same name: {'choose one with --module' if apart else 'give only one of them'}"
        return fail("same-name", f"{self.plugin} makes two files with the name {name}", hint=hint)

    def _render(self, job: Job) -> Iterator[GeneratedFile]:
        """The files of a backend of another package; everything about them is checked."""
        with self.plugin._theirs("failed"):
            files = iter(self.backend.render(job))
        while True:
            with self.plugin._theirs("failed"):
                file = next(files, None)
                problem = None if file is None else _file_problem(file)
            if file is None:
                return
            if problem:
                raise self.plugin.broken(problem)
            yield file


class _DescriptorRedirected:
    """Descriptor 1 leads to stderr as long as another package's code runs, in whichever threads.

    So what its child processes print, and what it writes to the descriptor itself, is no product either.
    """

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._inside = 0
        self._stdout: int | None = None

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._flush()
                with contextlib.suppress(OSError):  # one of the two is closed
                    self._stdout = os.dup(1)
                    os.dup2(2, 1)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0 and self._stdout is not None:
                try:
                    self._flush()
                finally:
                    os.dup2(self._stdout, 1)
                    os.close(self._stdout)
                    self._stdout = None

    @staticmethod
    def _flush() -> None:
        if sys.__stdout__ is not None and not sys.__stdout__.closed:
            sys.__stdout__.flush()


_descriptor_redirected = _DescriptorRedirected()


def _check_value(option: Option, value: OptionValue) -> None:
    if type(value) is not type(option.default):
        kind = {bool: "true or false", int: "a number", str: "a string"}[type(option.default)]
        raise fail("bad-option", f"option {option.name} must be {kind}")
    if option.choices and value not in option.choices:
        raise fail("bad-option", f"no {value!r} for option {option.name}", hint=nearest(str(value), option.choices))


@lru_cache
def plugins() -> tuple[Plugin, ...]:
    """Every backend that is registered in this environment, by name; ours first among equals."""
    from importlib.metadata import entry_points

    ours = [Plugin(name, value, _DISTRIBUTION, __version__) for name, value in BUILT_IN.items()]
    theirs = [
        Plugin(point.name, point.value, point.dist.name, point.dist.version)
        for point in entry_points(group=GROUP)
        if point.dist is not None and point.dist.name != _DISTRIBUTION
    ]
    return tuple(sorted(ours + theirs, key=lambda plugin: (plugin.name, not plugin.built_in, plugin.distribution)))


def find(name: str) -> Loaded:
    """The backend of that name. Raises `TpgenError` `unknown-backend`, `backend-twice` and `backend-broken`."""
    if name in BUILT_IN:
        return Plugin(name, BUILT_IN[name], _DISTRIBUTION, __version__).load()
    found = [plugin for plugin in plugins() if plugin.name == name]
    if not found:
        names = sorted({plugin.name for plugin in plugins()})
        raise fail("unknown-backend", f"no backend {name!r}", hint=nearest(name, names))
    return _only(found).load()


def load_all() -> tuple[list[Loaded], list[Diagnostic]]:
    """The backends that can be used, by name, and what is wrong with the others."""
    loaded: list[Loaded] = []
    broken: list[Diagnostic] = []
    for name, group in groupby(plugins(), lambda plugin: plugin.name):
        try:
            for plugin in group if name in BUILT_IN else [_only(list(group))]:
                loaded.append(plugin.load())
        except TpgenError as error:
            broken += error.diagnostics
    return loaded, broken


def _only(found: list[Plugin]) -> Plugin:
    if len(found) > 1:
        packages = " and ".join(f"{plugin.distribution} {plugin.version}" for plugin in found)
        raise fail("backend-twice", f"{packages} both have a backend {found[0].name}", hint="uninstall one of them")
    return found[0]


def _made(value: str) -> Backend:
    module, _, name = value.partition(":")
    factory = import_module(module)
    for part in name.split("."):
        factory = getattr(factory, part)
    backend: Backend = factory()  # type: ignore[operator]  # whether it can be called is seen here
    return backend


# --- what the interface asks for


class _Examined:
    """A backend of another package. Its attributes are read once, because they can be properties that change."""

    def __init__(self, backend: object) -> None:
        for name in (*_MEMBERS, "render"):
            if hasattr(backend, name):
                setattr(self, name, getattr(backend, name))


def _problem(backend: Backend) -> str | None:
    """The fault of `backend` against the interface, None where it has none. Its types are as its author wrote them."""
    lacking = [name for name in _MEMBERS if not hasattr(backend, name)]
    if lacking:
        return f"it has no {', '.join(lacking)}"
    if backend.api != API:
        return f"it is written for version {backend.api} of the interface, and this is version {API}"
    if not callable(getattr(backend, "render", None)):
        return "it has no render()"
    if not isinstance(backend.description, str) or len(backend.description.splitlines()) != 1:
        return "its description is not one line"
    if (
        not isinstance(backend.forms, tuple)
        or not backend.forms
        or not all(isinstance(form, Form) for form in backend.forms)
    ):
        return f"its forms are not a tuple of {' and '.join(Form)}"
    if not isinstance(backend.options, tuple) or not all(isinstance(option, Option) for option in backend.options):
        return "its options are not a tuple of Option"
    for name, count in Counter(option.name for option in backend.options).items():
        if count > 1:
            return f"it has two options {name}"
    return next(filter(None, map(_option_problem, backend.options)), None)


def _option_problem(option: Option) -> str | None:
    if not isinstance(option.name, str) or not _OPTION_NAME.fullmatch(option.name):
        return f"{option.name!r} cannot be the name of an option"
    if not isinstance(option.help, str) or not option.help.isprintable():
        return f"the help of its option {option.name} is not one line"
    if not isinstance(option.default, bool | int | str):
        return f"the default of its option {option.name} is not a bool, int or str"
    if not isinstance(option.choices, tuple) or not all(isinstance(choice, str) for choice in option.choices):
        return f"the choices of its option {option.name} are not a tuple of strings"
    if option.choices and option.default not in option.choices:
        return f"the default of its option {option.name} is not one of its choices"
    return None


def _file_problem(file: GeneratedFile) -> str | None:
    """Why a file cannot be written, None where it can: it must stay below the directory that the user named."""
    if not isinstance(file, GeneratedFile) or not isinstance(file.name, str):
        return f"it made {type(file).__name__}, not a GeneratedFile"
    if not isinstance(file.content, str | bytes):
        return f"the content of {file.name} is {type(file.content).__name__}, not str or bytes"
    parts = file.name.split("/")
    if not file.name.isprintable() or {"", ".", ".."} & set(parts):
        return f"it made a file with the name {file.name!r}"
    if isinstance(file.content, str):
        try:
            file.content.encode()
        except UnicodeEncodeError:
            return f"the text of {file.name} is not Unicode"
    return None
