"""The documents' pages as sessions: the commands that they show, with what these print, in their order.

A block ```console``` has commands behind `$ ` and their output. HTML comments, which no reader sees, tell the rest:
`<!-- test: WORDS -->` on the line above a block, `<!-- run` with hidden commands, and `<!-- meanwhile` with commands
that give a command with `until=` something to print. CONTRIBUTING.md has the words.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum

from support.projects import CHECKOUT

CUT = "…"
_FENCE = re.compile(r"( *)(`{3,}|~{3,})(\S*)\s*")
_COMMENT = re.compile(r" *<!-- *(test: |run\b|meanwhile\b)(.*)")
_END = "-->"
_FLAGS = ("live", "network", "long", "varies", "output")
_WITH_VALUE = ("tools", "exit", "until", "in", "by", "file", "part-of")
#: What a block is that has no commands: one of these.
_OTHER_LANGUAGES = ("output", "file", "part-of", "by")
_NO_COMMANDS = ("output", "file", "part-of")
_SHELLS = ("sh", "bash", "shell", "zsh", "shell-session")


class Level(IntEnum):
    """Which run a block is for. A run has the blocks of its level and of those below."""

    PLAIN = 0  # tests/unit
    LIVE = 1  # tests/live: root, and the running kernel
    APART = 2  # tests/docs: downloads, minutes, programs that tests/run does not install
    ELSEWHERE = 3  # a test of its own


class PageError(AssertionError):
    """What in a page cannot be read."""


@dataclass(frozen=True)
class Command:
    """A command of a block, and what the page shows of its output."""

    text: str
    line: int
    shown: str = ""


@dataclass(frozen=True)
class Block:
    """A block of a page, or hidden commands, with the words of its mark."""

    page: str
    line: int
    language: str
    words: dict[str, str]
    lines: tuple[str, ...]
    meanwhile: str = ""

    @property
    def text(self) -> str:
        return "".join(f"{line}\n" for line in self.lines)

    @property
    def level(self) -> Level:
        if "by" in self.words:
            return Level.ELSEWHERE
        if self.words.keys() & {"network", "long", "tools"}:
            return Level.APART
        return Level.LIVE if "live" in self.words else Level.PLAIN

    @property
    def has_commands(self) -> bool:
        return self.language in ("console", "run")

    @property
    def commands(self) -> tuple[Command, ...]:
        """The commands of a console block; a hidden one is one command."""
        if self.language == "run":
            return (Command(f"set -e\n{self.text}", self.line),)
        return tuple(_commands(self)) if self.language == "console" else ()

    @property
    def exits(self) -> tuple[int, ...]:
        """The exit status that each of the commands has; of one number, that of the last."""
        said = [int(number) for number in self.words.get("exit", "0").split(",")]
        count = len(self.commands)
        if len(said) not in (1, count):
            raise self.error(f"exit= has {len(said)} numbers for {count} commands")
        return (*([0] * (count - len(said))), *said)

    def error(self, message: str) -> PageError:
        return PageError(f"{self.page}:{self.line}: {message}")


@dataclass
class _Reader:
    """Reads a page line by line; `mark` is what waits for its block."""

    page: str
    lines: list[str]
    at: int = 0
    mark: dict[str, str] | None = None
    meanwhile: str = ""
    blocks: list[Block] = field(default_factory=list)

    def read(self) -> list[Block]:
        while self.at < len(self.lines):
            line = self.lines[self.at]
            if line.lstrip().startswith("<!--"):
                self._comment()
            elif found := _FENCE.fullmatch(line):
                self._fence(found)
            elif line.strip() and (self.mark is not None or self.meanwhile):
                raise self._error("no block follows the comment")
            else:
                self.at += 1
        if self.mark is not None or self.meanwhile:
            raise self._error("no block follows the comment")
        return self.blocks

    def _comment(self) -> None:
        start = self.at
        found = _COMMENT.fullmatch(self.lines[start])
        if found is None:
            raise self._error("a comment of a page begins with `test: `, `run` or `meanwhile`")
        text: list[str] = []
        while not (line := self._next()).rstrip().endswith(_END):
            text.append(line)
        words, body = found[2].partition(_END)[0], textwrap.dedent("\n".join(text[1:])) + "\n"
        match found[1]:
            case "test: ":
                if self.mark is not None:
                    raise self._error("a comment follows a comment")
                self.mark = self._words(words, start)
            case "run":
                block = Block(self.page, start + 1, "run", self._words(words, start), tuple(body.splitlines()))
                if any(line.startswith("! ") for line in block.lines):
                    raise block.error("bash goes on behind a `!` that fails")
                self.blocks.append(block)
            case _:
                self.meanwhile = body

    def _fence(self, found: re.Match[str]) -> None:
        start, indent, end = self.at, found[1], f"{found[1]}{found[2]}"
        self._next()
        body: list[str] = []
        while (line := self._next()) != end:
            body.append(line.removeprefix(indent))
        block = Block(self.page, start + 1, found[3], self.mark or {}, tuple(body), self.meanwhile)
        self.mark, self.meanwhile = None, ""
        self.blocks.append(_checked(block))

    def _next(self) -> str:
        if self.at == len(self.lines):
            raise self._error("the page ends in a block or comment")
        self.at += 1
        return self.lines[self.at - 1]

    def _words(self, text: str, at: int) -> dict[str, str]:
        words = dict(word.partition("=")[::2] for word in text.split())
        for word, value in words.items():
            if word not in (_WITH_VALUE if value else _FLAGS):
                raise PageError(f"{self.page}:{at + 1}: there is no word {word!r}")
        return words

    def _error(self, message: str) -> PageError:
        return PageError(f"{self.page}:{self.at + 1}: {message}")


def _checked(block: Block) -> Block:
    """The block, if its words fit its language."""
    if block.language in _SHELLS and "file" not in block.words:
        raise block.error("commands are a block of the language console, scripts have file=")
    if block.language != "console" and any(line.startswith("$ ") for line in block.lines):
        raise block.error("commands are a block of the language console")
    if block.language == "console":
        if misplaced := block.words.keys() & _NO_COMMANDS:
            raise block.error(f"{misplaced.pop()} is no word for commands")
        if not block.commands:
            raise block.error("the block has no command: a line that begins with `$ `")
        if block.meanwhile and "until" not in block.words:
            raise block.error("`meanwhile` is for a block with until=")
        if "until" in block.words and not block.commands[-1].shown:
            raise block.error("a block with until= shows what is printed")
    elif block.words and (len(block.words.keys() - {"varies"}) != 1 or not block.words.keys() & {*_OTHER_LANGUAGES}):
        raise block.error(f"a block without commands has one word of {', '.join(_OTHER_LANGUAGES)}")
    if block.has_commands:
        assert len(block.exits) == len(block.commands)
    return block


def _commands(block: Block) -> Iterator[Command]:
    command: list[str] = []
    shown: list[str] = []
    start = 0
    for number, line in enumerate(block.lines, block.line + 1):
        if line.startswith("$ "):
            if command:
                yield Command("\n".join(command), start, "\n".join(shown))
            command, shown, start = [line[2:]], [], number
        elif not command:
            raise block.error("output without a command in front of it")
        elif not shown and line.startswith("> "):
            command.append(line[2:])
        elif not shown and command[-1].endswith("\\"):
            command.append(line)
        else:
            shown.append(line)
    if command:
        yield Command("\n".join(command), start, "\n".join(shown).strip("\n"))


def blocks(page: str, text: str) -> list[Block]:
    """The blocks of a page, hidden commands among them, in their order."""
    return _Reader(page, text.splitlines()).read()


def pages() -> list[str]:
    """The pages whose commands are run, relative to the checkout."""
    found = [CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", CHECKOUT / "SECURITY.md"]
    found += sorted((CHECKOUT / "docs").rglob("*.md")) + sorted((CHECKOUT / "examples").rglob("*.md"))
    return [path.relative_to(CHECKOUT).as_posix() for path in found]


def page_blocks(page: str) -> list[Block]:
    """The blocks of a page of the checkout."""
    return blocks(page, (CHECKOUT / page).read_text(encoding="utf-8"))


def pages_of(level: Level) -> list[str]:
    """The pages that have commands of just this level."""
    return [page for page in pages() if any(each.has_commands and each.level == level for each in page_blocks(page))]


def as_shown(shown: str, printed: str, varies: bool = False) -> bool:
    """Whether the output is what a page shows of it: `…` for any lines, or for any text in a line; with `varies`, a
    number for any number, with as much space in front as it takes."""
    pattern = ""
    for line in shown.splitlines():
        pattern += r"(?:.*\n)*?" if line.strip() == CUT else rf"{_line(line, varies)}\n"
    return re.fullmatch(pattern, printed.strip("\n") + "\n") is not None


def _line(line: str, varies: bool) -> str:
    """The expression of a line that is shown."""
    escaped = CUT.join(re.escape(part) for part in line.rstrip().split(CUT))
    if varies:
        escaped = re.sub(r"(?:\\ )*\d+", lambda found: r" *\d+", escaped)
    return escaped.replace(CUT, ".*") + r"[ \t]*"


class Watched:
    """The lines that a page shows of a program that goes on: there may be others before, between and behind them."""

    def __init__(self, shown: str, varies: bool) -> None:
        self._missing = [_line(line, varies) for line in reversed(shown.splitlines()) if line.strip() != CUT]
        self._rest = ""

    def has_seen_all(self, printed: str) -> bool:
        """Whether every line was printed when this was, too."""
        *lines, self._rest = (self._rest + printed).split("\n")
        for line in lines:
            if self._missing and re.fullmatch(self._missing[-1], line.removesuffix("\r")):
                self._missing.pop()
        return not self._missing


def stands_in(excerpt: str, text: str) -> str | None:
    """The first line of an excerpt that the text does not have behind those before it, None where it has all.

    Lines follow each other as in the text, but for where `…` stands. Indentation counts not."""
    lines = iter([line.strip() for line in text.splitlines()])
    may_skip = True
    for line in (line.strip() for line in excerpt.splitlines()):
        if line in (CUT, ""):
            may_skip = True
            continue
        for candidate in lines:
            if candidate == line:
                break
            if candidate and not may_skip:
                return line
        else:
            return line
        may_skip = False
    return None
