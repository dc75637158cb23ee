"""Alternatives: the forms that headers give one event; decided where something decides, else what all have in common."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path

import pytest
from support.btf_builder import SIGNED, BtfBuilder
from support.cli import tpgen
from support.small_kernel import GivenHeaders, Line, write_tracefs

from tpgen.kernel.events import EventKey
from tpgen.kernel.resolve import Kernel
from tpgen.kernel.sources import Sources, SourceTree
from tpgen.model import Alternative, Event
from tpgen.sources.btf import Btf
from tpgen.sources.btf_tracepoints import TRACEPOINT_NAMES, BtfTracepoints
from tpgen.sources.headers.preprocessor.conditions import are_exclusive
from tpgen.sources.headers.read import read_text
from tpgen.spelling import spell
from tpgen.target import target_named

X86 = target_named("x86_64")
REST = 'TP_fast_assign(), TP_printk("x")'

# --- judged by gcc

#: What gcc makes of an event: its name, its parameters and its fields, each as C.
JUDGE = """
#define TP_PROTO(...) __VA_ARGS__
#define TP_ARGS(...)
#define TP_STRUCT__entry(...) __VA_ARGS__
#define TP_fast_assign(...)
#define TP_printk(...)
#define __field(type, name) type name;
#define __array(type, name, length) type name[length];
#define TRACE_EVENT(name, proto, args, entry, assign, print) EVENT_1(name, TP_ALL(proto), entry)
#define TP_ALL(...) __VA_ARGS__
#define EVENT_1(name, ...) EVENT_2(name, __VA_ARGS__)
#define DECLARE_EVENT_CLASS(name, proto, args, entry, assign, print) @ class name | proto | entry @
#define DEFINE_EVENT(template, name, proto, args) @ event name | proto | template @
#undef TRACE_EVENT
#define TRACE_EVENT(name, proto, args, entry, assign, print) \\
	DECLARE_EVENT_CLASS(name, PARAMS(proto), args, PARAMS(entry), assign, print) \\
	DEFINE_EVENT(name, name, PARAMS(proto), args)
#define PARAMS(...) __VA_ARGS__
"""
Form = tuple[tuple[str, ...], tuple[str, ...]]


def by_gcc(text: str, defines: Mapping[str, int], path: Path) -> dict[str, Form]:
    """The parameters and the fields of each event of a header, as gcc preprocesses it."""
    path.write_text(JUDGE + text)
    options = [f"-D{name}={value}" for name, value in defines.items()]
    command = ["gcc", "-E", "-P", "-w", "-undef", "-nostdinc", *options, str(path)]
    made = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout
    classes: dict[str, tuple[str, ...]] = {}
    events: dict[str, Form] = {}
    for head, proto, last in re.findall(r"@([^|@]*)\|([^|@]*)\|([^|@]*)@", made):
        kind, name = head.split()
        if kind == "class":
            classes[name] = declarations(last, ";")
        else:
            events[name] = declarations(proto, ","), classes[last.strip()]
    return events


def declarations(text: str, separator: str) -> tuple[str, ...]:
    return tuple(" ".join(part.split()) for part in text.split(separator) if part.strip())


def kernel_of(text: str, defines: Mapping[str, str | None] | None = None, **sources: object) -> Kernel:
    facts = read_text(text, X86, defines=defines or {})
    assert not facts.skipped
    return Kernel(Sources("a test", X86, tree=SourceTree(GivenHeaders(facts)), **sources))  # type: ignore[arg-type]


def form_of(event: Event) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    args = None if event.args is None else tuple(spell(arg.type, arg.name or "") for arg in event.args)
    fields = event.record.fields if event.record else None
    return args, None if fields is None else tuple(spell(f.type, f.name) for f in fields if f.type is not None)


NAMES = "ABC"
#: Each way to define or not to define three names.
WAYS = [
    {name: value for name, value in zip(NAMES, values, strict=True) if value is not None}
    for values in product((None, 1), repeat=len(NAMES))
]


def condition(rng: random.Random) -> str:
    one, other = rng.sample(NAMES, 2)
    return rng.choice(
        [f"ifdef {one}", f"ifndef {one}", f"if defined({one}) && !defined({other})", f"if {one} || {other}"]
    )


def under(rng: random.Random, one: str, other: str) -> str:
    """Two texts under an #if and its #else, or one under an #if, or neither under any."""
    match rng.randrange(4):
        case 0:
            return f"{one}\n"
        case 1:
            return f"\n#{condition(rng)}\n{one}\n#endif\n"
        case 2:
            return f"\n#{condition(rng)}\n{one}\n#else\n{one}\n#endif\n"
        case _:
            return f"\n#{condition(rng)}\n{one}\n#else\n{other}\n#endif\n"


def event_text(rng: random.Random, name: str) -> str:
    """A TRACE_EVENT with an #if around some of its parameters, its fields, or all of it."""
    proto = "int a" + (under(rng, ", int b", ", long b") if rng.random() < 0.4 else "")
    # The order of the parameters, whatever they are.
    args = "a" if ", " not in proto else re.sub(r", (?:int|long)", ",", proto.removeprefix("int "))
    fields = "__field(int, a)" + "".join(
        under(rng, f"__field(int, f{number})", f"__array(char, f{number}, 3)") for number in range(rng.randrange(2))
    )
    text = f"TRACE_EVENT({name}, TP_PROTO({proto}), TP_ARGS({args}), TP_STRUCT__entry({fields}), {REST})\n"
    if rng.random() < 0.3:
        other = f"TRACE_EVENT({name}, TP_PROTO(int a), TP_ARGS(a), TP_STRUCT__entry(__field(int, a)), {REST})\n"
        return f"#{condition(rng)}\n{text}#else\n{other}#endif\n"
    return text


def headers() -> Iterator[str]:
    rng = random.Random(17)
    for _ in range(12):
        yield "\n".join(event_text(rng, f"event_{number}") for number in range(6))


@pytest.mark.skipif(not shutil.which("gcc"), reason="gcc is not installed")
def test_what_is_the_same_either_way_is_known_and_nothing_else(tmp_path: Path) -> None:
    refused = given = 0
    for text in headers():
        ways = [by_gcc(text, way, tmp_path / "x.h") for way in WAYS]
        kernel = kernel_of(text)
        assert set(kernel.names) == {name for way in ways for name in way}
        for name in kernel.names:
            found = kernel.event(EventKey(None, name))
            made = [way[name] for way in ways if name in way]
            for ours, forms in zip(form_of(found), zip(*made, strict=True), strict=True):
                assert ours == (forms[0] if len(set(forms)) == 1 else None), text
                refused += ours is None
                given += ours is not None
            if None in form_of(found):
                assert len(found.alternatives) > 1
        for defines, made_now in zip(WAYS, ways, strict=True):
            decided = kernel_of(text, {name: str(defines[name]) if name in defines else None for name in NAMES})
            assert {name: form_of(decided.event(EventKey(None, name))) for name in decided.names} == made_now
    assert refused > 20 and given > 80


@pytest.mark.skipif(not shutil.which("gcc"), reason="gcc is not installed")
def test_conditions_that_exclude_each_other(tmp_path: Path) -> None:
    rng = random.Random(19)
    atoms = [
        *("defined(A)", "!defined(A)", "!defined(B)", "B", "!B", "!(A && B)", "A || B", "A > 1", "A == 2"),
        *("LINUX_VERSION_CODE >= KERNEL_VERSION(5, 4, 0)", "LINUX_VERSION_CODE < KERNEL_VERSION(5, 4, 0)"),
        *("LINUX_VERSION_CODE < KERNEL_VERSION(4, 19, 7)", "!(LINUX_VERSION_CODE > KERNEL_VERSION(5, 4, 0))"),
    ]
    pairs = {
        tuple(rng.choice(["{} && {}", "{} || {}"]).format(*rng.sample(atoms, 2)) for _ in "12") for _ in range(300)
    }
    text = "#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + (c))\n"
    found = sorted(pair for pair in pairs if are_exclusive(*pair))
    assert len(found) > 20
    text += "".join(f"#if ({one}) && ({other})\ntogether_{n}\n#endif\n" for n, (one, other) in enumerate(found))
    versions = [(v << 16) + (p << 8) + s for v, p, s in ((4, 19, 6), (4, 19, 7), (5, 3, 255), (5, 4, 0), (5, 4, 1))]
    path = tmp_path / "x.h"
    path.write_text(text)
    for a, b, version in product((None, 0, 1, 2), (None, 0, 1), versions):
        options = [f"-D{name}={value}" for name, value in (("A", a), ("B", b)) if value is not None]
        command = ["gcc", "-E", "-P", "-w", "-undef", *options, f"-DLINUX_VERSION_CODE={version}", str(path)]
        assert not subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout.split()
    # And these surely do, without which a class would have several definitions for one event.
    assert are_exclusive("defined(A)", "!defined(A)") and are_exclusive("A && B", "!(A && B)")
    assert are_exclusive("IS_ENABLED(CONFIG_A)", "!IS_ENABLED(CONFIG_A)")
    assert (
        not are_exclusive("defined(A)", "defined(B)") and not are_exclusive(None, "A") and not are_exclusive("A", "A")
    )
