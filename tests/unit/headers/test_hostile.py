"""Headers that are no headers end in a diagnostic, in bounded time and memory, whatever they hold."""

from __future__ import annotations

import os
import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.bounds import bounded
from support.users import unprivileged

from tpgen.diagnostics import Severity, TpgenError
from tpgen.sources.headers.facts import HeaderFacts
from tpgen.sources.headers.read import read_headers, read_text
from tpgen.target import target_named

_TARGET = target_named("x86_64")
_GOOD = """
#define TRACE_SYSTEM good
TRACE_EVENT(good, TP_PROTO(int a), TP_ARGS(a), TP_STRUCT__entry(__field(int, a)), TP_fast_assign(), TP_printk(""));
"""
_CLASS = "TRACE_EVENT(e, TP_PROTO({proto}), TP_ARGS(a), TP_STRUCT__entry({entry}), 1, 2)"


def _read(text: str) -> HeaderFacts:
    return read_text(text, _TARGET, "t.h")


def _codes(facts: HeaderFacts) -> set[str]:
    return {diagnostic.code for diagnostic in facts.skipped}


def test_exponential_macros() -> None:
    lines = ["#define X0 DEFINE_EVENT(c, e, TP_PROTO(int a), TP_ARGS(a))"]
    lines += [f"#define X{n} {' '.join([f'X{n - 1}'] * 10)}" for n in range(1, 60)]
    with bounded():
        facts = _read("\n".join([*lines, "X59", "X59", _GOOD]))
    assert _codes(facts) == {"header-expansion-limit"}
    assert facts.skipped[0].severity is Severity.ERROR
    assert str(facts.skipped[0].position) == "t.h:61:1"


def test_exponential_arguments() -> None:
    lines = ["#define D0(x) DEFINE_EVENT(c, x, TP_PROTO(int a), TP_ARGS(a))"]
    lines += [f"#define D{n}(x) D{n - 1}(x x x x x x x x)" for n in range(1, 60)]
    with bounded():
        assert _codes(_read("\n".join([*lines, "D59(e)"]))) == {"header-expansion-limit"}


def test_self_referential_macros_end() -> None:
    facts = _read(
        "#define E(x) E(my_##x) DEFINE_EVENT(c, x, TP_PROTO(int a), TP_ARGS(a)) F(x)\n"
        "#define F(x) E(x) DEFINE_EVENT(d, x, TP_PROTO(int a), TP_ARGS(a))\n"
        "E(e)\n" + _GOOD
    )
    assert [(event.class_name, event.name) for event in facts.events] == [("c", "e"), ("d", "e"), ("good", "good")]


def test_long_chains_of_macros() -> None:
    lines = [f"#define X{n} X{n + 1}" for n in range(20_000)] + ["#define X20000 TRACE_EVENT"]
    with bounded():
        assert _codes(_read("\n".join([*lines, "X0(a, b)", _GOOD]))) == {"header-expansion-limit"}
    short = [*lines[:500], "#define X500 TRACE_EVENT", _GOOD.replace("TRACE_EVENT", "X0")]
    assert [event.name for event in _read("\n".join(short)).events] == ["good"]


@pytest.mark.parametrize(
    "text",
    [
        "TRACE_EVENT(" + "(" * 1_000_000,
        "TRACE_EVENT(" + "(" * 500_000 + ")" * 500_000,
        "TRACE_EVENT(" * 100_000,
        "TRACE_EVENT(a, '" * 20_000,
        "#define W(x) TRACE_EVENT(x)\n" + "W(" * 30_000 + ")" * 30_000,
        _CLASS.format(proto="int " + "*" * 200_000 + "a", entry=""),
        _CLASS.format(proto="int a" + "[1]" * 20_000, entry=""),
        _CLASS.format(proto="int (*a)(" * 3_000 + ")" * 3_000, entry=""),
        _CLASS.format(proto="int a", entry="__array(int, a, " + "(" * 50_000 + ")" * 50_000 + ")"),
        _CLASS.format(proto="int b", entry="TP_STRUCT__entry(" * 1_500 + ")" * 1_500),
        "#if " + "(" * 1_000_000 + "\nTRACE_EVENT(\n",
        "#if A\n" * 15_000 + "TRACE_EVENT(a, b)",
        "#if A\n#elif B\n" + "#elif C\n" * 5_000 + "TRACE_EVENT(a, b)",
        "/*" * 500_000 + "TRACE_EVENT(",
        '"' * 500_001 + "TRACE_EVENT(",
        "\\\n" * 300_000 + "TRACE_EVENT(",
        "#define A(" + "a," * 100_000 + "z) TRACE_EVENT\nA(1)",
        "TRACE_EVENT(" + "," * 150_000 + ")",
    ],
    ids=lambda text: text[:24],
)  # fmt: skip
def test_a_megabyte_of_nonsense(text: str) -> None:
    with bounded():
        facts = _read(text)
    assert facts.skipped


def test_many_conditions_inside_an_invocation() -> None:
    fields = "".join(f"#ifdef A{n}\n__field(int, a{n})\n#endif\n" for n in range(40))
    with bounded():
        facts = _read(f"TRACE_EVENT(e, TP_PROTO(int a), TP_ARGS(a), TP_STRUCT__entry(\n{fields}), 1, 2)")
    assert _codes(facts) == {"header-condition-inside"}
    assert len(facts.classes[0].fields) == 40


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    header = tmp_path / "trace.h"
    header.write_bytes(b"/* caf\xe9 */\n int \0x;\n" + _GOOD.encode())
    facts = read_headers(str(header), _TARGET)
    assert [event.name for event in facts.events] == ["good"]
    assert [str(skipped) for skipped in facts.skipped] == [
        f"{header}:1:7: not UTF-8 from here [header-encoding]",
        f"{header}:2:6: NUL characters from here, read as blanks [header-nul]",
    ]


def test_files_that_are_no_headers(tmp_path: Path) -> None:
    (tmp_path / "good.h").write_text(_GOOD)
    (tmp_path / "loop.h").symlink_to("loop.h")
    (tmp_path / "dangling.h").symlink_to("nowhere.h")
    (tmp_path / "again").symlink_to(".")
    (tmp_path / "directory.h").mkdir()
    os.mkfifo(tmp_path / "fifo.h")
    facts = read_headers(str(tmp_path), _TARGET)
    assert [event.name for event in facts.events] == ["good"]
    assert facts.skipped == ()
    for name in ("loop.h", "dangling.h", "fifo.h"):
        with pytest.raises(TpgenError) as raised:
            read_headers(str(tmp_path / name), _TARGET)
        assert raised.value.diagnostics[0].code == "unreadable"


def test_unreadable_files_are_reported() -> None:
    # pytest's own directories are closed to other users.
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory)
        path.chmod(0o755)
        (path / "good.h").write_text(_GOOD)
        (path / "secret.h").write_text(_GOOD)
        (path / "secret.h").chmod(0)
        with unprivileged():
            facts = read_headers(directory, _TARGET)
    assert len(facts.events) == 1
    assert str(facts.skipped[0]) == f"{directory}/secret.h: cannot read: Permission denied [unreadable]"


# --- mutated headers -----------------------------------------------------------------------------------------------

_REAL = [
    path.read_text("utf-8", "replace")
    for tree in sorted(Path("/usr/src").glob("linux-headers-*-common"))
    for path in sorted((tree / "include/trace/events").glob("*.h"))[::12]
] or [_GOOD]
_SPICE = ["(", ")", ",", '"', "'", "#", "##", "\\\n", "/*", "*/", "\n#if A\n", "\n#else\n", "\n#endif\n", "\0",
          "__VA_ARGS__", "\n#define TRACE_EVENT(x) x x\n", "TP_PROTO(", "__field(", "\ud800"]  # fmt: skip


@st.composite
def _mutated(draw: st.DrawFn) -> str:
    text = draw(st.sampled_from(_REAL))
    start = draw(st.integers(0, max(0, len(text) - 4000)))
    text = text[start : start + 4000]
    dice = random.Random(draw(st.integers(0, 2**32)))
    for _ in range(draw(st.integers(0, 12))):
        at = dice.randrange(len(text) + 1)
        if dice.random() < 0.5:
            text = text[:at] + dice.choice(_SPICE) + text[at:]
        else:
            text = text[:at] + text[at + dice.randrange(40) :]
    return text


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(_mutated())
def test_mutated_headers_never_raise(text: str) -> None:
    facts = _read(text)
    for diagnostic in facts.skipped:
        assert diagnostic.position
        assert diagnostic.position.line is not None
        assert "\n" not in str(diagnostic)
    assert all(event.name for event in facts.events)
