"""The search index as two classic scripts.

A page opened from disk may not fetch JSON nor import modules, so each file is a script that hands one text over:
`atlas.take("events", "…")`. In the text each kind of name begins with a line `#KIND`, and has a line for each of its
names, sorted: as one digit to the base of 36, how many letters the name shares with the one before; its other letters;
then, after tabs, how many events have it, to the same base, and the path of its page, each only where it is not what
templates/atlas/assets/find.js, which reads all this, takes for granted: 1, and the path of a name that escapes no more
than capitals.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from tpgen.atlas.paths import fragment, letter_of, path_of
from tpgen.atlas.search.facts import IndexedEvent, SearchIndex
from tpgen.basics.frozen import frozen

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
# No kernel has a name with what ends a line or a column here, and nobody could type it.
_LEFT_OUT = re.compile(r"[\x00-\x1f\x7f]|^$")


@frozen
class _Line:
    name: str
    path: str | None = None
    count: int = 1


def script_files(index: SearchIndex) -> dict[str, str]:
    """The scripts by name: the events of vmlinux, which the first page loads at once; those of modules, which a page
    loads when it is idle; and all else, when somebody searches.
    """
    modules = _sections(_events(event for event in index.events if event.is_of_module))
    events = [*_sections(_events(event for event in index.events if not event.is_of_module))]
    events += _sections(_pages("kernel", dict.fromkeys(index.kernels, 1)))
    lines = [*_sections(_values("argument", index.arguments)), *_sections(_values("field", index.fields))]
    lines += [*_sections(_types(index.types)), *_sections(_pages("module", index.modules))]
    files = {"events": events, "modules": modules, "others": lines}
    return {f"{name}.js": _script(name, parts) for name, parts in files.items()}


def _events(events: Iterable[IndexedEvent]) -> Iterator[tuple[str, _Line]]:
    for event in events:
        name = f"{event.name}@{event.module}" if event.module else event.name
        folder = "=" if event.system is None else _plain(event.system)
        yield (
            f"event {_LEFT_OUT.sub('', event.system or '')}",
            _Line(name, _unless(event.path, f"events/{folder}/{_plain(name)}.html")),
        )


def _pages(kind: Literal["module", "kernel"], counts: Mapping[str, int]) -> Iterator[tuple[str, _Line]]:
    for name, count in counts.items():
        yield kind, _Line(name, _unless(path_of(kind, name), f"{kind}s/{_plain(name)}.html"), count)


def _values(kind: Literal["argument", "field"], counts: Mapping[str, int]) -> Iterator[tuple[str, _Line]]:
    for name, count in counts.items():
        letter, place = letter_of(name), fragment("arg" if kind == "argument" else "field", name)
        expected = f"{kind}s/{letter}.html#{'arg' if kind == 'argument' else 'field'}-{name}"
        yield kind, _Line(name, _unless(f"{kind}s/{letter}.html#{place}", expected), count)


def _types(counts: Mapping[str, int]) -> Iterator[tuple[str, _Line]]:
    for spelling, count in counts.items():
        keyword, _, tag = spelling.rpartition(" ")
        section, name = ("type " + keyword, tag) if keyword in ("struct", "union", "enum") else ("type ", spelling)
        path = _unless(path_of("type", spelling), f"types/{_plain(spelling).replace(' ', '-')}.html")
        yield section, _Line(name, path, count)


def _plain(name: str) -> str:
    """A name in a path as find.js escapes it."""
    return re.sub("[A-Z]", lambda found: f"={found.group().lower()}", name)


def _unless(path: str, expected: str) -> str | None:
    return None if path == expected else path


def _sections(named: Iterable[tuple[str, _Line]]) -> Iterator[str]:
    sections: dict[str, list[_Line]] = {}
    for section, line in named:
        sections.setdefault(section, []).append(line)
    for section in sorted(sections):
        yield f"#{section}"
        yield from _front_coded(sorted(sections[section], key=lambda line: line.name))


def _front_coded(lines: Iterable[_Line]) -> Iterator[str]:
    before = ""
    for line in lines:
        if _LEFT_OUT.search(line.name):
            continue
        shared = _shared(before, line.name)
        parts = [_DIGITS[shared] + line.name[shared:]]
        if line.count != 1 or line.path:
            parts.append(_base_36(line.count))
        yield "\t".join([*parts, line.path] if line.path else parts)
        before = line.name


def _shared(one: str, other: str) -> int:
    """The number of letters that both begin with, as far as one digit counts."""
    most = min(len(one), len(other), len(_DIGITS) - 1)
    return next((place for place in range(most) if one[place] != other[place]), most)


def _base_36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"


def _script(name: str, lines: Iterable[str]) -> str:
    # A template literal has its line ends as they are: one letter each, where a string has two.
    text = "\n".join(lines).replace("\\", "\\\\").replace("`", "\\`").replace("${", "\\${")
    return f"atlas.take({json.dumps(name)}, `{text}`);\n"
