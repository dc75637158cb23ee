"""`tpgen --member`: what is a member, and what its header goes without."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.cli import refusal, tpgen


def test_a_header_for_each_member(tmp_path: Path) -> None:
    members = ("--member", "task_struct:__state|state", "--member", "request:q")
    assert tpgen(*members, "--prelude", "inline", "-o", tmp_path).code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["core_request_q.h", "core_task_struct_state.h"]
    alone = tpgen(*members[:2])
    assert (alone.code, alone.err) == (0, "")
    assert alone.out == (tmp_path / "core_task_struct_state.h").read_text()
    assert "called __state, or state," in alone.out


@pytest.mark.parametrize(
    "text", ["", "task_struct", "task_struct:", ":state", "a:b|", "a:b c", "a:int", "a:é", "a:b\n", "a:b*/", "a:b.c",
             "a:" + "|".join(f"m{number}" for number in range(9))],
)  # fmt: skip
def test_what_is_no_member_is_refused(text: str) -> None:
    hint = "as in --member 'task_struct:__state|state'"
    done = tpgen("--member", text)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.startswith("tpgen: error: no member of a struct: '")
    assert done.err.endswith(f"[usage]; {hint}\n")


def test_several_need_a_directory() -> None:
    done = tpgen("--member", "a:b", "--member", "c:d")
    assert done == refusal("2 members are meant [usage]; give -o DIR for the 2 files")


@pytest.mark.parametrize(
    ("more", "named"),
    [(("sched_switch",), "events"), (("--kernel", "6.1"), "kernel"), (("--raw", "-b", "go"), "backend and raw")],
)
def test_nothing_else_is_asked_for(more: tuple[str, ...], named: str) -> None:
    done = tpgen(*more, "--member", "a:b")
    assert done == refusal(f"--member goes without {named} [usage]; its header is for every kernel")
