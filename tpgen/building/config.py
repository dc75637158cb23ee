"""Parsing tpgen.toml: the files that are wanted, of which events of which kernels. docs/build.md explains it.

Reads text; every mistake in it is reported with its line and, as far as it can be found, its column.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tpgen.backends.base import OptionValue
from tpgen.basics.frozen import frozen
from tpgen.diagnostics import Diagnostic, Position, TpgenError, fail, nearest
from tpgen.kernel.options import PATH, WORD, options_of
from tpgen.kernel.request import KernelRequest
from tpgen.output import is_inside
from tpgen.programs.forms import Form

# Members, whose headers are the same for every kernel, go without these.
_OF_EVENTS = ("events", "kernel", "kernels", "module", "backend", "values", "forms")
_GENERATE = (*_OF_EVENTS, "options", "directory", "file", "members")
# With its name, headers of a driver for it: here it is one.
_KERNEL = {option.name: option.repeatable for option in options_of(PATH, WORD)} | {"kernel": False}
# The line that begins a table; one of an array's begins with a quote behind the bracket.
_TABLE = re.compile(r"[ \t]*\[{1,2}(?P<name>[^][#]*)\]{1,2}[ \t]*(?:#.*)?\r?")
# Nobody reads more of them at once.
_MOST_MISTAKES = 100
_HEADER = re.compile(r"\s*\[{1,2}\s*[\w-][^\]]*\]{1,2}\s*(#.*)?\r?")


class NamedKernel(NamedTuple):
    """A kernel by a word in the file: the name of a `[kernel.NAME]`, or what --kernel takes.

    The paths of the request are as in the file, relative to its directory or absolute. Where the word is no table's,
    `hint` names the table that may be meant; "" where it is like none.
    """

    word: str
    request: KernelRequest
    is_table: bool
    position: Position
    hint: str


@frozen
class Generate:
    """One `[[generate]]`. `kernels` are those that the file names for it; none are what the command line means.

    `forms` are () and `file` is None where the file does not have them. With `values`, headers with the names of values
    are wanted. With `members`, headers for these are wanted, and there are no events.
    """

    events: tuple[str, ...]
    members: tuple[str, ...]
    kernels: tuple[NamedKernel, ...]
    module: str | None
    backend: str
    values: bool
    forms: tuple[Form, ...]
    options: Mapping[str, OptionValue]
    directory: str
    file: str | None
    text: Text
    line: int | None

    def where(self, key: str, value: str | None = None) -> Position:
        """The position of a key, or of a string in its value."""
        return self.text.find(self.line, key, value)


class Text:
    """The text of the file, to find the positions of values, which the TOML parser does not return."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self._lines = text.split("\n")
        self._headers: dict[tuple[str, ...], list[int]] = {}
        for number, line in enumerate(self._lines, 1):
            if found := _TABLE.fullmatch(line):
                names = (word.strip(" \t").strip("\"'") for word in found["name"].split("."))
                self._headers.setdefault(tuple(names), []).append(number)

    def header(self, *names: str, number: int = 0) -> int | None:
        """The line of the table of these names, of the `number`-th if it is an array of tables."""
        lines = self._headers.get(tuple(part for name in names for part in name.split(".")), [])
        return lines[number] if number < len(lines) else None

    def find(self, line: int | None, key: str, value: str | None = None) -> Position:
        """The position of `key` in the table that begins at `line`, or of a string in its value; else of the table."""
        if line is None:
            named = None if value is None else self._string(list(self._table(0)), value)
            return named or self._first(re.compile(rf"\s*\[*\s*(?P<at>{re.escape(key)})\b"))
        pattern = re.compile(rf"\s*(?P<at>[\"']?{re.escape(key)}[\"']?)\s*[.=]")
        table = list(self._table(line))
        for at, (number, content) in enumerate(table):
            if found := pattern.match(content):
                below = table[at:] if value is not None else []
                return self._string(below, value or "") or Position(self.path, number, found.start("at") + 1)
        return Position(self.path, line)

    def _first(self, pattern: re.Pattern[str]) -> Position:
        for number, line in enumerate(self._lines, 1):
            if found := pattern.match(line):
                return Position(self.path, number, found.start("at") + 1)
        return Position(self.path)

    def _table(self, line: int) -> Iterator[tuple[int, str]]:
        """The numbered lines of the table that begins at `line`."""
        for number in range(line + 1, len(self._lines) + 1):
            content = self._lines[number - 1]
            if _HEADER.fullmatch(content):
                return
            yield number, content

    def _string(self, lines: Sequence[tuple[int, str]], value: str) -> Position | None:
        for number, line in lines:
            for quote in "\"'":
                if (at := line.find(f"{quote}{value}{quote}")) >= 0:
                    return Position(self.path, number, at + 1)
        return None


def parse(text: str, path: str) -> list[Generate]:
    """The `[[generate]]` tables of the file, in order. Raises `TpgenError` with all mistakes in it."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(path, text, error) from None
    except RecursionError:
        raise fail("toml-syntax", "arrays or tables are nested too deeply", path) from None
    except ValueError:  # of int(), which takes as long as the square of its digits
        raise fail("toml-syntax", "a number has too many digits", path) from None
    return _Reader(Text(path, text), data).read()


def _syntax_error(path: str, text: str, error: tomllib.TOMLDecodeError) -> TpgenError:
    message, _, place = str(error).partition(" (at ")
    if found := re.match(r"line (\d+), column (\d+)", place):
        position = Position(path, int(found[1]), int(found[2]))
    else:  # at the end of the document
        position = Position(path, len(text.splitlines()) or 1)
    return fail("toml-syntax", message[:1].lower() + message[1:], position)


class _Reader:
    """Turns the tables into `Generate`s, and collects the diagnostics."""

    def __init__(self, text: Text, data: dict[str, Any]) -> None:
        self._text = text
        self._data = data
        self._wrong: list[Diagnostic] = []

    def read(self) -> list[Generate]:
        self._known(self._data, ("generate", "kernel", "kernels"), None, "")
        tables, kernels = self._data.get("generate"), self._data.get("kernel", {})
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            position = self._text.find(None, "generate")
            self._fail("toml-value", "there is no [[generate]]", position)
            tables = []
        if not isinstance(kernels, dict) or not all(isinstance(table, dict) for table in kernels.values()):
            self._fail("toml-value", "a kernel must be a table: [kernel.NAME]", self._text.find(None, "kernel"))
            kernels = {}
        known = {name: self._kernel(name, table) for name, table in kernels.items()}
        default = self._named(self._data, None, known)
        wanted = [self._generate(number, table, known, default) for number, table in enumerate(tables)]
        if self._wrong:
            raise TpgenError(*self._wrong)
        return wanted

    def _kernel(self, name: str, table: dict[str, Any]) -> KernelRequest:
        line = self._text.header("kernel", name)
        self._known(table, _KERNEL, line, f" of kernel {name}")
        if not table:
            hint = f"give {', '.join(list(_KERNEL)[:3])}"
            self._fail("toml-value", f"kernel {name} has no sources", self._text.find(line, "btf"), hint)
        return KernelRequest.of(
            {
                key: (self._strings if repeatable else self._string)(table, key, line)
                for key, repeatable in _KERNEL.items()
            }
        )

    def _named(
        self, table: dict[str, Any], line: int | None, known: Mapping[str, KernelRequest]
    ) -> tuple[NamedKernel, ...]:
        """The kernels that a `[[generate]]` names by `kernel` or `kernels`, or the file itself by `kernels`."""
        kernel = None if table is self._data else self._string(table, "kernel", line)
        if kernel is not None and "kernels" in table:
            self._fail("toml-value", "kernel and kernels exclude each other", self._text.find(line, "kernels"))
        words = self._strings(table, "kernels", line) if kernel is None else (kernel,)
        if "kernels" in table and not words:
            self._fail("toml-value", "kernels is empty", self._text.find(line, "kernels"), "name one")
        return tuple(
            NamedKernel(
                word,
                known.get(word) or KernelRequest(kernel=word),
                word in known,
                self._text.find(line, "kernels" if kernel is None else "kernel", word),
                "" if word in known else nearest(word, known, "", cutoff=0.7),
            )
            for word in dict.fromkeys(words)
        )

    def _generate(
        self, number: int, table: dict[str, Any], known: Mapping[str, KernelRequest], default: tuple[NamedKernel, ...]
    ) -> Generate:
        line = self._text.header("generate", number=number)
        self._known(table, _GENERATE, line, " of [[generate]]")
        events, members = self._strings(table, "events", line), self._strings(table, "members", line)
        if not events and not members:
            self._fail("toml-value", "a [[generate]] needs events, or members", self._text.find(line, "events"))
        for key in (key for key in _OF_EVENTS if members and key in table):
            hint = "their headers are the same for every kernel: give them a [[generate]] of their own"
            self._fail("toml-value", f"members and {key} exclude each other", self._text.find(line, key), hint)
        if "file" in table and "directory" in table:
            self._fail("toml-value", "file and directory exclude each other", self._text.find(line, "file"))
        return Generate(
            events=events,
            members=members,
            kernels=self._named(table, line, known) or default,
            module=self._string(table, "module", line),
            backend=self._string(table, "backend", line) or "bpf",
            values=self._values(table, line),
            forms=self._forms(table, line),
            options=self._options(table, line),
            directory=self._path(table, "directory", line) or ".",
            file=self._path(table, "file", line),
            text=self._text,
            line=line,
        )

    # --- values

    def _string(self, table: dict[str, Any], key: str, line: int | None) -> str | None:
        value = table.get(key)
        if value is None or (isinstance(value, str) and value and "\0" not in value):
            return value
        self._fail("toml-value", f"{key} must be a string that is not empty", self._text.find(line, key))
        return None

    def _strings(self, table: dict[str, Any], key: str, line: int | None) -> tuple[str, ...]:
        """An array of strings; a single string stands for one of them."""
        value = table.get(key, [])
        values = [value] if isinstance(value, str) else value
        if isinstance(values, list) and all(isinstance(item, str) and item and "\0" not in item for item in values):
            return tuple(values)
        self._fail("toml-value", f"{key} must be an array of strings that are not empty", self._text.find(line, key))
        return ("",)

    def _path(self, table: dict[str, Any], key: str, line: int | None) -> str | None:
        value = self._string(table, key, line)
        if value is not None and os.path.isabs(value):
            hint = "it is relative to where `tpgen build -o` says, by default to this file"
            self._fail("toml-value", f"{key} must not be an absolute path", self._text.find(line, key), hint)
        if value is None:
            return None
        path = os.path.normpath(value)
        if not os.path.isabs(path) and path != "." and not is_inside(path):
            hint = "only `tpgen build -o DIR` names a directory elsewhere"
            self._fail("toml-value", f"{key} leads out of the project", self._text.find(line, key), hint)
        return path

    def _values(self, table: dict[str, Any], line: int | None) -> bool:
        value = table.get("values", False)
        if not isinstance(value, bool):
            self._fail("toml-value", "values must be true or false", self._text.find(line, "values"))
        elif value and table.get("backend", "bpf") != "bpf":
            message = f"values are for BPF programs, not for {table['backend']}"
            self._fail("toml-value", message, self._text.find(line, "values"), "leave out backend")
        return value is True

    def _forms(self, table: dict[str, Any], line: int | None) -> tuple[Form, ...]:
        values = self._strings(table, "forms", line)
        for value in values:
            if value and value not in tuple(Form):
                at = self._text.find(line, "forms", value)
                self._fail("toml-value", f"no form {value!r}", at, nearest(value, Form))
        return tuple(form for form in Form if form in values)

    def _options(self, table: dict[str, Any], line: int | None) -> Mapping[str, OptionValue]:
        value = table.get("options", {})
        if isinstance(value, dict) and all(map(_is_option_value, value.values())):
            return value
        message = "options is a table of true, false, numbers and strings"
        self._fail("toml-value", message, self._text.find(line, "options"))
        return {}

    def _known(self, table: dict[str, Any], keys: Collection[str], line: int | None, of: str) -> None:
        for key in table:
            if key not in keys:
                self._fail("toml-key", f"unknown key {key}{of}", self._text.find(line, key), nearest(key, keys))

    def _fail(self, code: str, message: str, position: Position, hint: str | None = None) -> None:
        self._wrong.append(Diagnostic(code, message, position, hint))
        if len(self._wrong) == _MOST_MISTAKES:
            raise TpgenError(*self._wrong)


def _is_option_value(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, int) and abs(value) < 1 << 63)
