"""A request for a kernel: the values of the options, from the command line, tpgen.toml or a program."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from tpgen.kernel.options import FLAG, KERNEL, PATH, WORD, KernelOption, options_of


class KernelRequest(NamedTuple):
    """The kernel that is meant: by a name (live, 6.12, a catalog file), or by files, as the options of these names.

    Without any it is the running one, or else the newest that travels with tpgen.
    """

    kernel: str | None = None
    btf: tuple[str, ...] = ()
    tracefs: str | None = None
    headers: str | None = None
    config: str | None = None
    no_cache: bool = False
    arch: str | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> KernelRequest:
        """The request that these values make, by the names of the options; of other names they are ignored."""
        values: dict[str, Any] = {}
        for option in options_of(KERNEL, PATH, WORD, FLAG):
            if (value := given.get(option.name)) is not None:
                values[option.name] = tuple(value) if option.repeatable else value
        return cls(**values)

    @property
    def has_files(self) -> bool:
        """Whether files are the kernel, or part of it."""
        return any(getattr(self, option.name) for option in options_of(PATH))

    def values_of(self, option: KernelOption) -> tuple[str, ...]:
        """The values of an option that has a field here and takes any."""
        value = getattr(self, option.name)
        return value if option.repeatable else (value,) if value else ()

    def below(self, directory: str) -> KernelRequest:
        """The request with its relative paths as seen from `directory`; a kernel's name is a path where a file is."""
        values: dict[str, Any] = {}
        for option in options_of(PATH):
            if paths := tuple(os.path.join(directory, path) for path in self.values_of(option)):
                values[option.name] = paths if option.repeatable else paths[0]
        if self.kernel and os.path.isfile(path := os.path.join(directory, self.kernel)):
            values["kernel"] = path
        return self._replace(**values)
