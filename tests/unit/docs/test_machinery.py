"""That a page whose command does otherwise than it shows fails, and that nothing of a page is left out unseen."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest
from support.pages import Block, Level, PageError, Watched, as_shown, blocks, page_blocks, pages, stands_in
from support.projects import CHECKOUT
from support.session import Session

RIGHT = """\
# A page

Some words.

```console
$ mkdir one && cd one
$ export WORD=said
$ cat > text <<END
> first
> second
> END
$ cat \\
>     text; pwd | sed 's|.*/||'
first
…
one
```

<!-- test: exit=0,3 -->
```console
$ echo "$WORD 12 times"
said … times
$ echo to stderr >&2; exit 3
to stderr
```

<!-- test: output varies -->
```text
to stderr
```

<!-- run
echo hidden > made
-->

<!-- test: file=sub/file.c -->
```c
int x;
```

```console
$ cat made sub/file.c
hidden
int x;
```
"""


def ran(text: str, folder: Path, level: Level = Level.PLAIN) -> int:
    return Session("docs/page.md", folder, level).run(blocks("docs/page.md", text))


def test_a_page_is_a_session(tmp_path: Path) -> None:
    assert ran(RIGHT, tmp_path) == 8


WRONG = {
    "another exit status": ("exit 3", "exit 4", "docs/page.md:23: `echo to stderr >&2; exit 4`: exit status 4, not 3"),
    "another output": ("hidden\nint x;\n```\n", "hidden\nint y;\n```\n", "prints something else"),
    "more output than shown": ("said … times", "said", "prints something else"),
    "less output than shown": ("…\none", "…\nzero\none", "prints something else"),
    "another block of output": ("```text\nto stderr", "```text\nto stdout", "prints something else"),
    "hidden commands that fail": ("echo hidden > made", "false\necho hidden > made", "exit status 1, not 0"),
    "a program that is not there": ("cat made", "no-such-program made", "exit status 127, not 0"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_fails(case: str, tmp_path: Path) -> None:
    before, after, message = WRONG[case]
    assert RIGHT.count(before) == 1
    with pytest.raises(AssertionError) as raised:
        ran(RIGHT.replace(before, after), tmp_path)
    assert message in str(raised.value)


UNREADABLE = {
    "<!-- test: life -->\n```console\n$ true\n```": "docs/page.md:1: there is no word 'life'",
    "<!-- test: exit -->\n```console\n$ true\n```": "docs/page.md:1: there is no word 'exit'",
    "<!-- tests: live -->\n```console\n$ true\n```": "docs/page.md:1: a comment of a page begins with",
    "<!-- test: live -->\nText.\n```console\n$ true\n```": "docs/page.md:2: no block follows the comment",
    "<!-- test: live -->\n<!-- test: long -->\n```console\n$ true\n```": "a comment follows a comment",
    "<!-- run\n! true\n-->": "bash goes on behind",
    "<!-- test: live -->": "docs/page.md:2: no block follows the comment",
    "```console\n$ true": "the page ends in a block or comment",
    "```console\ntrue\n```": "docs/page.md:1: output without a command in front of it",
    "```console\n```": "docs/page.md:1: the block has no command",
    "```sh\ntrue\n```": "docs/page.md:1: commands are a block of the language console",
    "```\n$ true\n```": "docs/page.md:1: commands are a block of the language console",
    "<!-- test: output -->\n```console\n$ true\n```": "docs/page.md:2: output is no word for commands",
    "<!-- test: exit=1,2 -->\n```console\n$ true\n```": "docs/page.md:2: exit= has 2 numbers for 1 commands",
    "<!-- test: until=2 -->\n```console\n$ sleep 9\n```": "docs/page.md:2: a block with until= shows what is printed",
    "<!-- test: live -->\n```c\nint x;\n```": "docs/page.md:2: a block without commands has one word of",
}


@pytest.mark.parametrize("text", UNREADABLE)
def test_marks_that_say_nothing_are_told(text: str) -> None:
    with pytest.raises(PageError) as raised:
        blocks("docs/page.md", text)
    assert UNREADABLE[text] in str(raised.value)


def test_a_block_runs_at_its_level_and_above(tmp_path: Path) -> None:
    text = """
```console
$ touch plain
```
<!-- test: live -->
```console
$ touch live
```
<!-- test: network -->
```console
$ touch apart
```
<!-- test: by=.ci/run -->
```console
$ touch elsewhere
```
"""
    made = {}
    for level in (Level.PLAIN, Level.LIVE, Level.APART):
        (tmp_path / level.name).mkdir()
        ran(text, tmp_path / level.name, level)
        made[level] = sorted(path.name for path in (tmp_path / level.name / "page").iterdir())
    assert made == {Level.PLAIN: ["plain"], Level.LIVE: ["live", "plain"], Level.APART: ["apart", "live", "plain"]}


def test_a_command_that_does_not_end_is_interrupted(tmp_path: Path) -> None:
    text = """
<!-- meanwhile
echo 7 >> more
-->
<!-- test: until=30 varies -->
```console
$ touch more; tail -f more
1
2
```
"""
    assert ran(text, tmp_path) == 1
    with pytest.raises(AssertionError, match="does not print what is shown"):
        ran(text.replace("1\n2", "one").replace("=30", "=1"), tmp_path / "page")


def test_a_command_is_interrupted_where_tests_are_not(tmp_path: Path) -> None:
    """As behind `&` of a script."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert ran("<!-- test: until=30 -->\n```console\n$ echo here; tail -f /dev/null\nhere\n```", tmp_path) == 1
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_excerpt_stands_in_its_file() -> None:
    text = "one\n  two\n\nthree\nfour\n"
    assert [stands_in(excerpt, text) for excerpt in ("two\nthree", "one\n…\nfour", "…\nthree\n")] == [None, None, None]
    assert [stands_in(excerpt, text) for excerpt in ("one\nthree", "two\none", "five")] == ["three", "one", "five"]


def test_what_is_shown() -> None:
    assert as_shown("a…z", "a to z\n")
    assert not as_shown("a…z", "a to z and more\n")
    assert not as_shown("a.c", "abc\n")
    assert as_shown("pid  1 at 2.5", "pid 123 at 17.25", varies=True)
    assert not as_shown("pid 1", "pid x", varies=True)
    assert not as_shown("a\nb", "a\nb\nc\n")


def test_what_is_shown_of_a_program_that_goes_on() -> None:
    watched = Watched("a 1\n…\nb", varies=True)
    assert [watched.has_seen_all(printed) for printed in ("b\r\n0\na 2", "3\r\n1\nb", "c\nb\r\nd")] == [
        False,
        False,
        True,
    ]
    watched = Watched("a\nb", varies=False)
    assert not watched.has_seen_all("b\na\nbc\nb")


def test_every_command_has_its_run() -> None:
    """Every block of commands of every tracked document is read, as a count of the lines that begin one says."""
    listed = ("git", "ls-files", "-z", "--", "*.md")
    names = subprocess.run(listed, cwd=CHECKOUT, check=True, capture_output=True, text=True).stdout.split("\0")
    begun = {}
    for name in filter(None, names):
        lines = (CHECKOUT / name).read_text(encoding="utf-8").splitlines()
        if count := sum(line.strip() == "```console" for line in lines):
            begun[name] = count
    read = {page: sum(block.language == "console" for block in page_blocks(page)) for page in pages()}
    assert {page: count for page, count in read.items() if count} == begun
    assert {"README.md", "CONTRIBUTING.md", "docs/doctor.md", "examples/libbpf/README.md"} <= begun.keys()


ELSEWHERE = [block for page in pages() for block in page_blocks(page) if block.level == Level.ELSEWHERE]


@pytest.mark.parametrize("block", ELSEWHERE, ids=lambda block: f"{block.page}:{block.line}")
def test_what_runs_elsewhere_does(block: Block) -> None:
    """The file names the page, or the example whose README it is, or has the commands."""
    text = (CHECKOUT / block.words["by"]).read_text(encoding="utf-8")
    named = block.page.removesuffix("/README.md") in text
    assert named or (block.has_commands and all(command.text in text for command in block.commands))
