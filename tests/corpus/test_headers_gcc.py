"""Every trace header of the installed linux-headers, expanded by `gcc -E` and by tpgen.

The oracle is a preamble of our own in which the words of the family are markers; the includes are taken out. gcc
decides every #if, so each header is compared twice: with all the CONFIG_ options that it names, and with none.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tpgen.sources.headers.facts import HeaderFacts
from tpgen.sources.headers.read import read_headers, read_text
from tpgen.target import target_named

_TREES = sorted(Path("/usr/src").glob("linux-headers-*-common"))
_TARGET = target_named("x86_64")

_PREAMBLE = """
#define IS_ENABLED(option) (option)
#define IS_BUILTIN(option) (option)
#define IS_REACHABLE(option) (option)
#define TP_PROTO(args...) args
#define TP_ARGS(args...) args
#define TP_STRUCT__entry(args...) args
#define TP_fast_assign(args...)
#define TP_printk(args...)
#define PARAMS(args...) args
#define CLASS(name, args, fields) @CLASS name @FIELDS fields @END
#define EVENT(class, name, args) @EVENT name class @ARGS args @END
#define TRACE_EVENT(n, p, a, s, x, t) CLASS(n, PARAMS(a), PARAMS(s)) EVENT(n, n, PARAMS(a))
#define TRACE_EVENT_FN(n, p, a, s, x, t, r, u) CLASS(n, PARAMS(a), PARAMS(s)) EVENT(n, n, PARAMS(a))
#define TRACE_EVENT_SYSCALL(n, p, a, s, x, t, r, u) CLASS(n, PARAMS(a), PARAMS(s)) EVENT(n, n, PARAMS(a))
#define TRACE_EVENT_FN_COND(n, p, a, c, s, x, t, r, u) CLASS(n, PARAMS(a), PARAMS(s)) EVENT(n, n, PARAMS(a))
#define TRACE_EVENT_CONDITION(n, p, a, c, s, x, t) CLASS(n, PARAMS(a), PARAMS(s)) EVENT(n, n, PARAMS(a))
#define TRACE_EVENT_NOP(n, p, a, s, x, t)
#define DECLARE_EVENT_CLASS(n, p, a, s, x, t) CLASS(n, PARAMS(a), PARAMS(s))
#define DECLARE_EVENT_CLASS_NOP(n, p, a, s, x, t)
#define DEFINE_EVENT(c, n, p, a) EVENT(c, n, PARAMS(a))
#define DEFINE_EVENT_FN(c, n, p, a, r, u) EVENT(c, n, PARAMS(a))
#define DEFINE_EVENT_PRINT(c, n, p, a, t) EVENT(c, n, PARAMS(a))
#define DEFINE_EVENT_CONDITION(c, n, p, a, x) EVENT(c, n, PARAMS(a))
#define DEFINE_EVENT_WRITABLE(c, n, p, a, s) EVENT(c, n, PARAMS(a))
#define DEFINE_EVENT_NOP(c, n, p, a)
#define DECLARE_TRACE(n, p, a) EVENT(n, n, PARAMS(a))
#define DECLARE_TRACE_CONDITION(n, p, a, c) EVENT(n, n, PARAMS(a))
#define __perf_task(t) t
#define __perf_count(c) c
#define __field(t, n) n
#define __field_ext(t, n, f) n
#define __field_struct(t, n) n
#define __field_struct_ext(t, n, f) n
#define __array(t, n, l) n
#define __dynamic_array(t, n, l) __data_loc_##n
#define __string(n, s) __data_loc_##n
#define __string_len(n, s, l) __data_loc_##n
#define __vstring(n, f, a) __data_loc_##n
#define __bitmask(n, b) __data_loc_##n
#define __cpumask(n) __data_loc_##n
#define __sockaddr(n, l) __data_loc_##n
"""


@dataclass(frozen=True)
class _Made:
    """What a header makes: classes as (name, fields), events as (name, class, arguments)."""

    classes: frozenset[tuple[str, tuple[str, ...]]]
    events: frozenset[tuple[str, str, tuple[str, ...]]]


def _by_gcc(text: str, options: list[str], tmp_path: Path) -> _Made:
    text = re.sub(r"^[ \t]*#[ \t]*include\b.*$", "", text, flags=re.MULTILINE)
    header = tmp_path / "header.h"
    header.write_text(f"{_PREAMBLE}\n{text}")
    command = ["gcc", "-E", "-P", "-w", "-undef", *(f"-D{option}=1" for option in options), str(header)]
    output = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout
    classes = re.findall(r"@CLASS (\w+) @FIELDS(.*?)@END", output, re.DOTALL)
    events = re.findall(r"@EVENT (\w+) (\w+) @ARGS(.*?)@END", output, re.DOTALL)
    return _Made(
        frozenset((name, tuple(fields.split())) for name, fields in classes),
        frozenset((name, cls, tuple(args.replace(",", " ").split())) for name, cls, args in events),
    )


def _by_tpgen(facts: HeaderFacts, unconditional: bool = False) -> _Made:
    return _Made(
        frozenset(
            (cls.name, tuple(field.member_name for field in cls.fields))
            for cls in facts.classes
            if not (unconditional and cls.condition)
        ),
        frozenset(
            (event.name, event.class_name, tuple(str(arg.name) for arg in event.args))
            for event in facts.events
            if not (unconditional and event.condition)
        ),
    )


def _headers() -> Iterator[Path]:
    for tree in _TREES:
        yield from sorted((tree / "include/trace/events").glob("*.h"))


@pytest.mark.skipif(not shutil.which("gcc"), reason="gcc is not installed")
@pytest.mark.skipif(not _TREES, reason="no linux-headers are installed in /usr/src")
def test_agrees_with_gcc(tmp_path: Path) -> None:
    compared = 0
    for header in _headers():
        text = header.read_text("utf-8")
        named = sorted(set(re.findall(r"\bCONFIG_\w+", text)))
        # TRACE_EVENT and its like under options that nothing can set together is left to the two extremes.
        for options in (named, []) if named else ([],):
            expected = _by_gcc(text, options, tmp_path)
            facts = read_text(text, _TARGET, str(header), "6.1", dict.fromkeys(options, "y"))
            found, sure = _by_tpgen(facts), _by_tpgen(facts, unconditional=True)
            # A name that is not an option is unknown to tpgen and undefined to gcc, so tpgen may have more, with its
            # condition; what it has without one gcc must have.
            assert expected.classes <= found.classes, (header, options)
            assert expected.events <= found.events, (header, options)
            assert sure.classes <= expected.classes, (header, options)
            assert sure.events <= expected.events, (header, options)
            everything = _by_tpgen(read_text(text, _TARGET, str(header), "6.1"))
            assert expected.classes <= everything.classes, (header, options)
            assert expected.events <= everything.events, (header, options)
            compared += len(expected.events)
    assert compared > 1500


@pytest.mark.skipif(not _TREES, reason="no linux-headers are installed in /usr/src")
def test_nothing_is_left_out_of_linux_headers() -> None:
    for tree in _TREES:
        facts = read_headers(str(tree / "include/trace/events"), _TARGET)
        assert facts.skipped == ()
