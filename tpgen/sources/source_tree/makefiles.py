"""Makefiles: the defines that a module is compiled with.

xe compiles i915's trace header with -Ddrm_i915_private=xe_device, so its tracepoints hand out other types than are
written there. Only such defines count that put one name in the place of another.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cached_property
from itertools import chain
from pathlib import Path

from tpgen.basics.frozen import frozen
from tpgen.basics.memo import memoised
from tpgen.diagnostics import Position

# What is built, other than always into the kernel; and options of the compiler. Whatever conditions these stand under.
_OBJECTS = re.compile(r"^[ \t]*obj-(?!y)\S+?[ \t]*[:+?]?=((?:\\\n|[^\n])*)", re.MULTILINE)
# What a module is linked of: `binder_linux-y := binder.o binder_alloc.o`.
_PARTS = re.compile(r"^[ \t]*(\w[\w-]*)-(?:y|m|objs|\$\(\w+\))[ \t]*[:+?]?=((?:\\\n|[^\n])*)", re.MULTILINE)
_FLAGS = re.compile(r"^[ \t]*((?:subdir-)?ccflags)-\S+?[ \t]*[:+?]?=((?:\\\n|[^\n])*)", re.MULTILINE)
_DEFINE = re.compile(r"(?<!\S)-D([A-Za-z_]\w*)=([A-Za-z_]\w*)(?!\S)")
# Linux has none of more than 70 KB.
_BIGGEST = 1 << 20


@frozen
class Define:
    """`-Dname=meaning` among the options that a Makefile at `position` gives the compiler."""

    name: str
    meaning: str
    position: Position

    def __str__(self) -> str:
        return f"-D{self.name}={self.meaning}"


class Makefiles:
    """The Makefiles of the trees at `roots`, searched at the first query."""

    def __init__(self, *roots: str) -> None:
        self._roots = roots

    @memoised
    def defines(self, module: str) -> tuple[Define, ...]:
        """Return the defines that files of a module may be compiled with, whatever its configuration."""
        return tuple(
            define for directory in self._directories.get(module, ()) for define in self._defines_in(directory)
        )

    @memoised
    def objects(self, module: str) -> tuple[str, ...]:
        """Return the paths, without `.o`, of the objects that a module is linked of, or of its only one."""
        found: dict[str, None] = {}
        for directory in self._directories.get(module, ()):
            parts = [
                name.removesuffix(".o")
                for owner, names in _PARTS.findall(_text(directory))
                if owner.replace("-", "_") == module
                for name in names.split()
                if name.endswith(".o")
            ]
            found |= dict.fromkeys(os.path.join(directory, part) for part in parts or (module,))
        return tuple(found)

    def _defines_in(self, directory: str) -> Iterator[Define]:
        """Yield the defines for the files of a directory: those of its Makefile, and inherited ones."""
        for parent in Path(directory).parents:
            if any(parent.is_relative_to(root) for root in self._roots):
                yield from _defines(str(parent), ("subdir-ccflags",))
        yield from _defines(directory, ("ccflags", "subdir-ccflags"))

    @cached_property
    def _directories(self) -> dict[str, list[str]]:
        """The directories that build a module of that name, or an object that is part of another module."""
        found: dict[str, list[str]] = {}
        for directory, _, names in chain.from_iterable(map(os.walk, self._roots)):
            texts = _OBJECTS.findall(_text(directory)) if "Makefile" in names else ()
            for name in dict.fromkeys(name for text in texts for name in text.split() if name.endswith(".o")):
                found.setdefault(name.removesuffix(".o").replace("-", "_"), []).append(directory)
        return found


def _defines(directory: str, lists: tuple[str, ...]) -> Iterator[Define]:
    """Yield the defines in the named lists of a directory's Makefile."""
    text = _text(directory)
    for flags in _FLAGS.finditer(text):
        for define in _DEFINE.finditer(text, flags.start(2), flags.end(2)) if flags[1] in lists else ():
            line = text.count("\n", 0, define.start()) + 1
            yield Define(define[1], define[2], Position(os.path.join(directory, "Makefile"), line))


def _text(directory: str) -> str:
    """Return the text of the Makefile in a directory; empty where none can be read."""
    path = os.path.join(directory, "Makefile")
    try:
        if not os.path.isfile(path):
            return ""
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(_BIGGEST)
    except OSError:
        return ""
