"""docs/catalog.md: its queries are asked of the shipped catalog, and its list of tables is that of the file."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[3]
PAGE = (CHECKOUT / "docs" / "catalog.md").read_text(encoding="utf-8")
(SQL,) = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
QUERIES = dict(re.findall(r"-- (.*)\n((?:(?!--).*\n)+)", SQL))


@pytest.fixture
def shipped() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(f"file:{CHECKOUT}/kernel_headers/catalog/debian.tpgen?mode=ro", uri=True)
    yield connection
    connection.close()


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_every_query_finds_something(query: str, shipped: sqlite3.Connection) -> None:
    assert shipped.execute(query).fetchall()


# Read off the kernels' sources by hand.
ANSWERS: dict[str, list[tuple[object, ...]]] = {
    "The raw arguments of an event, by kernel.": [
        ("debian-5.10-amd64", 0, "bool", "preempt"),
        ("debian-5.10-amd64", 2, "struct task_struct *", "next"),
        ("debian-7.2-amd64", 3, "unsigned int", "prev_state"),  # since Linux 5.18
    ],
    "The record of an event.": [("prev_comm", "char [16]", 8, 16), ("prev_state", "long", 32, 8)],
    "Every event with a struct sock * among its raw arguments.": [("sock", "sock_exceed_buf_limit", 0)],
    "The fields of a system call.": [(0, "__syscall_nr", "int"), (2, "filename", "const char __user *")],
}


@pytest.mark.parametrize("what", ANSWERS)
def test_answers(what: str, shipped: sqlite3.Connection) -> None:
    found = shipped.execute(QUERIES[what]).fetchall()
    assert not [row for row in ANSWERS[what] if row not in found]


def test_every_table_and_column_is_listed(shipped: sqlite3.Connection) -> None:
    """Those between backticks in the first column of the two lists, and in the last the names in front of brackets."""
    listed: dict[str, set[str]] = {}
    for row in re.findall(r"^\| (`.*)\|$", PAGE, re.MULTILINE):
        first, *_, last = row.split(" | ")
        names = re.findall(r"`(\w+)`", first)
        parts = re.sub(r" ?\([^)]*\)", "", last).split("; ")
        if len(names) == len(parts):
            listed |= {name: {c.strip() for c in part.split(", ")} for name, part in zip(names, parts, strict=True)}
    known = shipped.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')").fetchall()
    columns = {name: {row[1] for row in shipped.execute(f"PRAGMA table_info({name})")} for (name,) in known}
    assert {name: listed.get(name) for name in columns} == columns


def test_the_format_is_said(shipped: sqlite3.Connection) -> None:
    ((version,),) = shipped.execute("PRAGMA user_version").fetchall()
    assert f"is the version of\nthe format, {version} here" in PAGE
