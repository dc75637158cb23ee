"""A request for a kernel: the values of the options, from the command line, tpgen.toml or a program."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from tpgen.basics.patterns import is_c_name
from tpgen.basics.typing import TYPE_CHECKING, NamedTuple
from tpgen.diagnostics import fail, shortened
from tpgen.kernel.options import FLAG, KERNEL, PATH, WORD, KernelOption, options_of, split_catalog

if TYPE_CHECKING:
    from typing import Any

_GLOB = frozenset("*?[")


class KernelRequest(NamedTuple):
    """The kernel that is meant: by a name (live, 6.12, a catalog file), or by files, as the options of these names.

    Without any it is the running one, or else the newest that travels with tpgen.
    """

    kernel: str | None = None
    btf: tuple[str, ...] = ()
    tracefs: str | None = None
    headers: tuple[str, ...] = ()
    config: str | None = None
    defines: tuple[str, ...] = ()
    undefines: tuple[str, ...] = ()
    release: str | None = None
    no_cache: bool = False
    arch: str | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> KernelRequest:
        """The request that these values make, by the names of the options; of other names they are ignored.

        Raises `usage` for an empty one.
        """
        values: dict[str, Any] = {}
        for option in options_of(KERNEL, PATH, WORD, FLAG):
            if (value := given.get(option.name)) is not None:
                values[option.name] = value = tuple(value) if _takes_several(option) else value
                if "" in (value if _takes_several(option) else (value,)):
                    raise fail("usage", f"{option.flag} with an empty value", hint=f"give {option.metavar}")
        return cls(**values)

    @classmethod
    def several(cls, given: Mapping[str, Any]) -> tuple[KernelRequest, ...]:
        """The requests that these values make, of which `kernel` has a list of names: one for each, or one without.

        Raises `usage` for an empty value.
        """
        names: Sequence[str | None] = given.get("kernel") or [None]
        return tuple(cls.of({**given, "kernel": name}) for name in dict.fromkeys(names))

    @property
    def has_files(self) -> bool:
        """Whether files are the kernel, or part of it."""
        return any(getattr(self, option.name) for option in options_of(PATH))

    def macros(self) -> dict[str, str | None]:
        """The text of each macro that is defined, None for those that are undefined. Raises `usage` for no name."""
        macros: dict[str, str | None] = {}
        for word in self.defines:
            name, equals, text = word.partition("=")
            macros[name] = text if equals else "1"
        for flag, names in (("-D", list(macros)), ("-U", self.undefines)):
            for name in names:
                if not is_c_name(name):
                    raise fail("usage", f"{flag} {shortened(name)!r}: not the name of a macro", hint="give NAME")
        if both := sorted(macros.keys() & self.undefines):
            raise fail("usage", f"-D and -U name the same macro {both[0]}", hint="leave out one of them")
        return macros | dict.fromkeys(self.undefines)

    def values_of(self, option: KernelOption) -> tuple[str, ...]:
        """The values of an option that has a field here and takes any."""
        value = getattr(self, option.name)
        return value if _takes_several(option) else (value,) if value else ()

    def below(self, directory: str) -> KernelRequest:
        """The request with its relative paths as seen from `directory`; a kernel's name is a path where a file is."""
        values: dict[str, Any] = {}
        for option in options_of(PATH):
            if paths := tuple(os.path.join(directory, path) for path in self.values_of(option)):
                values[option.name] = paths if _takes_several(option) else paths[0]
        if self.kernel:
            path, of = split_catalog(os.path.join(directory, self.kernel))
            if os.path.isfile(path):
                values["kernel"] = path if of is None else f"{path}:{of}"
        return self._replace(**values)


def is_glob(pattern: str) -> bool:
    """Whether a pattern may mean several names."""
    return not _GLOB.isdisjoint(pattern)


def _takes_several(option: KernelOption) -> bool:
    """Whether a request has a tuple of the option's values: it is of one kernel, however many are named."""
    return option.repeatable and option.kind != KERNEL
