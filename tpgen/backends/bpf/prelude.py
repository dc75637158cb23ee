"""Prelude: the parts that many headers have in common, as text in each or as files beside them that they include.

Each part has a guard of its own, and is the same in every header: those with the text and those with a file go together
in one unit, in any order. Its number, in guard and file, is raised when a part no longer fits what was made before.
"""

from __future__ import annotations

from collections.abc import Iterator

from tpgen.backends.base import GeneratedFile, Option, OptionValue
from tpgen.backends.prerendered import fill

#: How headers get what they have in common.
OPTION = Option(
    "prelude",
    "what headers have in common: text in each, or files beside them; auto shares it among several in a directory",
    default="auto",
    choices=("auto", "shared", "inline"),
)

#: The parts, each by the name of its template: what the file is called.
_FILES = {
    "prelude.h": "tpgen_prelude_1.h",
    "portable.h": "tpgen_portable_1.h",
    "registers.h": "tpgen_registers_1.h",
}
# Before a part that is a file of its own.
_HEAD = """\
/* SPDX-License-Identifier: 0BSD */
/* clang-format off */
/* Made by tpgen, the same for every kernel. */
"""


class Prelude:
    """The common parts of headers that any of the headers needs; with `is_shared` as files of their own."""

    def __init__(self, is_shared: bool) -> None:
        self._is_shared = is_shared
        self._asked: dict[str, None] = {}

    @classmethod
    def of(cls, option: OptionValue, headers: int, in_directory: bool) -> Prelude:
        """The prelude of so many headers as the value of `OPTION` has it."""
        return cls(option == "shared" or (option == "auto" and in_directory and headers > 1))

    def text(self, *parts: str) -> str:
        """Return the text of these parts in a header, by the names of their templates."""
        if not self._is_shared:
            return "".join(fill("bpf", part) for part in parts)
        self._asked |= dict.fromkeys(parts)
        return "".join(f'#include "{_FILES[part]}"\n' for part in parts)

    def files(self) -> Iterator[GeneratedFile]:
        """The files that the headers include."""
        for part in self._asked:
            yield GeneratedFile(_FILES[part], _HEAD + fill("bpf", part).lstrip("\n"), is_included=True)
