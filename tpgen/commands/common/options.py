"""The options of commands as data, and the reading of plain ones.

argparse's parsers are made of the same data (`parsing`), and read whatever is not plain: to import argparse and to make
a parser takes a tenth of a run for one event.
"""

from __future__ import annotations

from types import SimpleNamespace

from tpgen.basics.typing import TYPE_CHECKING, cast
from tpgen.kernel.options import FLAG, KERNEL, PATH, PICK, WORD, KernelOption, options_of

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable, Sequence
    from typing import Any

#: The help for events on the command line.
EVENTS_HELP = "sched_switch, sched:sched_switch or a pattern such as 'sched:*'"
#: The options of which each takes back what the other says of a macro.
MACROS = ("defines", "undefines")
#: Before the name of a backend's option, among the names of all: it makes one that is no identifier.
BACKEND = "option "
#: An action beside those of argparse: that of `-D` and `-U`.
MACRO_ACTION = "macro"


class Declared:
    """An option, or the positional arguments, as `add_argument` of argparse takes them: its words, and all about it."""

    __slots__ = ("about", "words")

    def __init__(self, *words: str, **about: Any) -> None:
        self.words = words
        self.about = about

    @property
    def name(self) -> str:
        """The name that the value has among all values."""
        word = next((word for word in self.words if word.startswith("--")), self.words[0])
        return str(self.about.get("dest", word.removeprefix("--").replace("-", "_")))

    @property
    def default(self) -> Any:
        return self.about.get("default", False if self.action == "store_true" else None)

    @property
    def action(self) -> str:
        return str(self.about.get("action", "store"))

    @property
    def is_plain(self) -> bool:
        """Whether it is there or not, or has one word behind it that is the value as it stands."""
        special = ("type", "choices", "nargs")
        return self.action in ("store", "store_true", "append") and not any(map(self.about.get, special))

    @property
    def is_positional(self) -> bool:
        return not self.words[0].startswith("-")


#: The options of a command that is about many kernels at once: all that are stored, or those that any name means.
FLEET_OPTIONS = (
    Declared(
        "--kernel", action="append", default=[], metavar="K",
        help="a kernel: live, 6.12, 'debian-*-arm64' or a catalog file; repeatable; "
        "by default all that are stored",
    ),
    Declared("--arch", metavar="ARCH", help="only kernels of this architecture"),
)  # fmt: skip


def kernel_options(pick: bool = True) -> tuple[list[Declared], list[Declared]]:
    """The options that name a kernel, and those that pick events of it, which a command without `pick` has not."""
    return (
        [_declared(option) for option in options_of(KERNEL, PATH, WORD, FLAG)],
        [_declared(option) for option in options_of(PICK)] if pick else [],
    )


def _declared(option: KernelOption) -> Declared:
    about: dict[str, Any] = {"dest": option.name, "help": option.help}
    if option.kind == FLAG:
        return Declared(option.flag, action="store_true", **about)
    if option.name in MACROS:
        about |= {"action": MACRO_ACTION, "default": []}
    elif option.repeatable:
        about |= {"action": "append", "default": []}
    return Declared(option.flag, metavar=option.metavar, **about)


def with_kernel_options(own: Iterable[Declared]) -> list[Declared]:
    """All options of a command that reads a kernel and has these of its own, but for -q, which is never plain."""
    naming, picking = kernel_options()
    return [*naming, *picking, *own]


def read(words: Iterable[str], options: Sequence[Declared]) -> Namespace | None:
    """The values by name, as argparse has them; None where it takes argparse to decide, to refuse or to explain.

    Plain are flags, options with the value in the next word or behind `=`, and positional arguments in a row.
    """
    values = {option.name: option.default for option in options}
    by_word = {word: option for option in options if not option.is_positional for word in option.words}
    positional: list[str] = []
    in_a_row = True
    rest = iter(words)
    for word in rest:
        if not word.startswith("-"):
            if not in_a_row:
                return None
            positional.append(word)
            continue
        in_a_row = not positional
        flag, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
        option = by_word.get(flag)
        if option is None or not option.is_plain:
            return None
        if option.action == "store_true":
            if equals:
                return None
            values[option.name] = True
            continue
        value = value if equals else next(rest, "")
        if not value or (value.startswith("-") and value != "-"):
            return None
        values[option.name] = [*values[option.name], value] if option.action == "append" else value
    taking = [option for option in options if option.is_positional]
    if len(taking) != 1 or taking[0].about.get("nargs") not in (("*", "+") if positional else ("*",)):
        return None
    values[taking[0].name] = positional
    return cast("Namespace", SimpleNamespace(**values))
