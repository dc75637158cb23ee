"""`tpgen --member`: what is a member, and what its header goes without."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.cli import refusal, tpgen

from tpgen import api


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
    assert done == refusal("stdout takes one member, not 2 [usage]; give -o DIR for the 2 files")


def test_a_build_makes_the_same(tmp_path: Path) -> None:
    """By itself, in one file, and beside headers of events, with which it shares what both include."""
    (tmp_path / "tpgen.toml").write_text("""\
[[generate]]
members = "task_struct:__state|state"
file = "state.h"

[[generate]]
members = ["task_struct:__state|state", "request:q"]
directory = "include"

[[generate]]
events = ["sched_switch", "sched_wakeup"]
kernels = ["6.1", "6.12"]
directory = "include"
""")
    assert tpgen("build", tmp_path / "tpgen.toml").code == 0
    assert (tmp_path / "state.h").read_text() == tpgen("--member", "task_struct:__state|state").out
    both = ("--member", "task_struct:__state|state", "--member", "request:q")
    assert tpgen(*both, "-o", tmp_path / "made/").code == 0
    made = {path.name: path.read_text() for path in (tmp_path / "made").iterdir()}
    assert {"core_task_struct_state.h", "core_request_q.h", "tpgen_prelude_1.h"} <= made.keys()
    assert made.items() <= {path.name: path.read_text() for path in (tmp_path / "include").iterdir()}.items()
    assert tpgen("build", tmp_path / "tpgen.toml", "--check").code == 0


OF_THEIR_OWN = "their headers are the same for every kernel: give them a [[generate]] of their own"
WRONG = {
    'members = "task_struct"': "2:11: no member of a struct: 'task_struct' [usage]; as in --member "
    "'task_struct:__state|state'",
    'members = "a:b"\nevents = "open"': f"3:1: members and events exclude each other [toml-value]; {OF_THEIR_OWN}",
    'members = "a:b"\nkernel = "6.12"': f"3:1: members and kernel exclude each other [toml-value]; {OF_THEIR_OWN}",
    'members = ["a:b", "c:d"]\nfile = "x.h"': "3:8: 2 files are made, and they cannot all be x.h [toml-value]; "
    "give a directory",
    "members = 1": "2:1: members must be an array of strings that are not empty [toml-value]",
    'directory = "x"': "1: a [[generate]] needs events, or members [toml-value]",
}


@pytest.mark.parametrize(("text", "expected"), WRONG.items())
def test_what_a_build_refuses(text: str, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "tpgen.toml"
    path.write_text(f"[[generate]]\n{text}\n")
    assert tpgen("build", path) == refusal(f"{path}:{expected}")


def test_a_build_of_members_opens_no_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tpgen.building.run.open_kernel", lambda *_: pytest.fail("a kernel was opened"))
    (tmp_path / "tpgen.toml").write_text('kernels = ["6.1"]\n[[generate]]\nmembers = "a:b"\n')
    assert tpgen("build", tmp_path / "tpgen.toml").code == 0
    assert (tmp_path / "core_a_b.h").exists()


def test_a_program_gets_the_same(tmp_path: Path) -> None:
    (header,) = api.member_headers("task_struct:__state|state")
    assert header.name == "core_task_struct_state.h"
    assert header.content == tpgen("--member", "task_struct:__state|state").out
    shared = api.member_headers("task_struct:__state|state", "request:q", options={"prelude": "shared"})
    assert tpgen("--member", "task_struct:__state|state", "--member", "request:q", "-o", tmp_path).code == 0
    assert {file.name: file.content for file in shared} == {p.name: p.read_text() for p in tmp_path.iterdir()}
    with pytest.raises(api.TpgenError, match="no member of a struct"):
        api.member_headers("task_struct")
    with pytest.raises(api.TpgenError, match="bad-option"):
        api.member_headers("a:b", options={"prelud": "shared"})


@pytest.mark.parametrize(
    ("more", "named"),
    [(("sched_switch",), "events"), (("--kernel", "6.1"), "kernel"), (("--raw", "-b", "go"), "backend and raw")],
)
def test_nothing_else_is_asked_for(more: tuple[str, ...], named: str) -> None:
    done = tpgen(*more, "--member", "a:b")
    assert done == refusal(f"--member cannot be combined with {named} [usage]; its header is for every kernel")
