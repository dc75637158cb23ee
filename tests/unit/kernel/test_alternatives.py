"""Alternatives: the forms that headers give one event, decided or not; what all have in common is known either way."""

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
from support.cli import Done, refusal, tpgen
from support.small_kernel import GivenHeaders, Line, write_tracefs

from tpgen.kernel.check import CheckedKernel, check_kernel
from tpgen.kernel.comparison import Subject
from tpgen.kernel.events import EventKey
from tpgen.kernel.resolve import Kernel
from tpgen.kernel.sources import Sources, SourceTree
from tpgen.model import Event
from tpgen.sources.btf import Btf
from tpgen.sources.btf_tracepoints import TRACEPOINT_NAMES, BtfTracepoints
from tpgen.sources.headers.preprocessor.conditions import are_exclusive
from tpgen.sources.headers.read import Headers, read_text
from tpgen.sources.source_tree.makefiles import Makefiles
from tpgen.sources.tracefs import TraceFs
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


#: Parentheses that a branch opens or closes for another, and macros that branches define differently.
ODD = f"""
TRACE_EVENT(opened_twice,
#ifdef A
	TP_PROTO(int a,
#else
	TP_PROTO(long a,
#endif
	long c), TP_ARGS(a, c),
#ifdef B
	TP_STRUCT__entry(__field(int, x)
#if defined(C)
		__field(int, y)
#endif
		),
#else
	TP_STRUCT__entry(
#endif
#ifndef B
	__field(int, x) ),
#endif
	{REST});
#ifdef A
DECLARE_EVENT_CLASS(head, TP_PROTO(int a),
#elif defined(B)
DECLARE_EVENT_CLASS(head, TP_PROTO(
#ifdef C
	int
#else
	long
#endif
	a),
#else
DECLARE_EVENT_CLASS(head, TP_PROTO(int a),
#endif
	TP_ARGS(a), TP_STRUCT__entry(__field(int, x)
#if !defined(A) && defined(C)
		__field(int, y)
#endif
	), {REST});
DEFINE_EVENT(head, of_head, TP_PROTO(int a), TP_ARGS(a));
#ifdef A
#define LIST() x(four) x(five)
#elif defined(C)
#define LIST() x(four)
#else
#define LIST()
#endif
#define x(n) DEFINE_EVENT(head, n, TP_PROTO(int a), TP_ARGS(a));
LIST()
#ifdef B
#define EXTRA __field(long, e)
#define TYPE int
#else
#define EXTRA __field(int, e)
#define TYPE int
#endif
TRACE_EVENT(with_extra, TP_PROTO(TYPE a), TP_ARGS(a), TP_STRUCT__entry(__field(int, x) EXTRA), {REST});
#undef EXTRA
#define EXTRA __field(char, e)
TRACE_EVENT(of_one_extra, TP_PROTO(TYPE a), TP_ARGS(a), TP_STRUCT__entry(EXTRA), {REST});
"""


def headers() -> Iterator[str]:
    yield ODD
    rng = random.Random(17)
    for _ in range(7):
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
    assert refused > 20
    assert given > 50


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
    versions = [(v << 16) + (p << 8) + s for v, p, s in ((4, 19, 6), (4, 19, 7), (5, 4, 0), (5, 4, 1))]
    path = tmp_path / "x.h"
    path.write_text(text)
    for a, b, version in product((None, 0, 2), (None, 1), versions):
        options = [f"-D{name}={value}" for name, value in (("A", a), ("B", b)) if value is not None]
        command = ["gcc", "-E", "-P", "-w", "-undef", *options, f"-DLINUX_VERSION_CODE={version}", str(path)]
        assert not subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout.split()
    # And these surely do, without which a class would have several definitions for one event.
    surely = {"defined(A)": "!defined(A)", "A && B": "!(A && B)", "IS_ENABLED(CONFIG_A)": "!IS_ENABLED(CONFIG_A)"}
    assert all(are_exclusive(one, other) for one, other in surely.items())
    assert not any(are_exclusive(one, other) for one, other in (("A", "B"), (None, "A"), ("A", "A"), ("A", None)))


# --- what decides

#: A class of which two fields, and an event of which an argument, depend on what is unknown.
FERRY = f"""
#undef TRACE_SYSTEM
#define TRACE_SYSTEM ferry
#ifdef WITH_WEIGHT
DECLARE_EVENT_CLASS(ferry, TP_PROTO(int cargo), TP_ARGS(cargo),
	TP_STRUCT__entry(__field(int, cargo) __field(long, weight)), {REST});
#else
DECLARE_EVENT_CLASS(ferry, TP_PROTO(int cargo), TP_ARGS(cargo),
	TP_STRUCT__entry(__field(short, cargo)), {REST});
#endif
DEFINE_EVENT(ferry, ferry_load, TP_PROTO(int cargo), TP_ARGS(cargo));
TRACE_EVENT(ferry_sail,
	TP_PROTO(
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)
		long long knots,
#else
		int knots,
#endif
		int port),
	TP_ARGS(knots, port), TP_STRUCT__entry(__field(int, port)), {REST});
"""
LOAD, SAIL = EventKey("ferry", "ferry_load"), EventKey("ferry", "ferry_sail")
WEIGHT = ("int cargo", "long weight")


def ferry_btf(module: str | None = None, *, names: bool = True) -> BtfTracepoints:
    """The BTF of a kernel of before 6.2 that has weights."""
    b = BtfBuilder()
    int_, long_, short, char = (
        *(b.integer("int", 4, SIGNED), b.integer("long int", 8, SIGNED)),
        *(b.integer("short unsigned int", 2), b.integer("unsigned char", 1)),
    )
    header = [("type", short, 0), ("flags", char, 2), ("preempt_count", char, 3), ("pid", int_, 4)]
    entry, data = b.structure("trace_entry", 8, header), b.array(char, 0)
    probes = ("__probestub_",) if names else ()
    b.event("ferry_load", [("cargo", int_)], probes)
    b.event_class(
        "ferry", [int_], 24, [("ent", entry, 0), ("cargo", int_, 8), ("weight", long_, 16), ("__data", data, 24)]
    )
    b.event("ferry_sail", [("knots", int_), ("port", int_)], probes)
    b.event_class("ferry_sail", [int_, int_], 16, [("ent", entry, 0), ("port", int_, 8), ("__data", data, 12)])
    return BtfTracepoints(Btf(b.blob(), "vmlinux", None, TRACEPOINT_NAMES, "x86_64"), module)


class TestWhatDecides:
    def test_nothing(self) -> None:
        kernel = kernel_of(FERRY)
        load, sail = kernel.event(LOAD), kernel.event(SAIL)
        assert form_of(load) == (("int cargo",), None)
        assert form_of(sail) == (None, ("int port",))
        assert [place.condition for place in load.alternatives] == ["defined(WITH_WEIGHT)", "!defined(WITH_WEIGHT)"]
        assert [place.position.line for place in load.alternatives] == [5, 8]
        newer = "LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)"
        assert [place.condition for place in sail.alternatives] == [newer, f"!({newer})"]

    def test_the_release(self) -> None:
        for release, knots in (("6.1.90", "int knots"), ("6.2", "long long knots"), ("6.12.1-rt3", "long long knots")):
            facts = read_text(FERRY, X86, release=release)
            kernel = Kernel(Sources("a test", X86, tree=SourceTree(GivenHeaders(facts))))
            assert form_of(kernel.event(SAIL)) == ((knots, "int port"), ("int port",))
            assert kernel.event(SAIL).alternatives == ()

    def test_macros(self) -> None:
        assert form_of(kernel_of(FERRY, {"WITH_WEIGHT": ""}).event(LOAD))[1] == WEIGHT
        assert form_of(kernel_of(FERRY, {"WITH_WEIGHT": None}).event(LOAD))[1] == ("short cargo",)
        assert form_of(kernel_of(FERRY, {"LINUX_VERSION_CODE": "393727"}).event(SAIL))[0] == ("int knots", "int port")

    def test_btf(self) -> None:
        """BTF has arguments and record, and tells which of the definitions they are from."""
        kernel = CheckedKernel(kernel_of(FERRY, btfs=(ferry_btf(),)).sources)
        load, sail = (kernel.event(key) for name in kernel.names for key in kernel.keys_of(name))
        assert form_of(load) == (("int cargo",), WEIGHT)
        assert form_of(sail) == (("int knots", "int port"), ("int port",))
        assert [place.condition for place in load.alternatives] == ["defined(WITH_WEIGHT)"]
        assert [place.position.line for place in load.alternatives] == [5]
        assert [place.condition for place in sail.alternatives] == ["!(LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0))"]
        compared = [c for key in (LOAD, SAIL) for c in kernel.comparisons(key) if c.subject in HEADERS]
        assert [(c.findings, c.reason) for c in compared] == [((), None)] * 4

    def test_btf_of_another_kernel(self) -> None:
        """Of definitions of which none is the kernel's, one is compared."""
        text = FERRY.replace("int knots", "short knots")
        kernel = CheckedKernel(kernel_of(text, btfs=(ferry_btf(),)).sources)
        assert form_of(kernel.event(SAIL))[0] == ("int knots", "int port")
        findings = [d for c in kernel.comparisons(SAIL) if c.subject == Subject.HEADER_RAW for d in c.findings]
        assert [finding.code for finding in findings] == ["raw-type"]

    def test_names_that_nothing_tells(self) -> None:
        """Without names in BTF the headers' would do, if these were the same."""
        text = f"""
#undef TRACE_SYSTEM
#define TRACE_SYSTEM ferry
#ifdef NAUTICAL
TRACE_EVENT(ferry_sail, TP_PROTO(int knots, int port), TP_ARGS(knots, port),
	TP_STRUCT__entry(__field(int, port)), {REST});
#else
TRACE_EVENT(ferry_sail, TP_PROTO(int speed, int port), TP_ARGS(speed, port),
	TP_STRUCT__entry(__field(int, port)), {REST});
#endif
"""
        found = kernel_of(text, btfs=(ferry_btf(names=False),)).event(SAIL)
        assert form_of(found)[0] == ("int", "int")
        assert form_of(kernel_of(text, {"NAUTICAL": "1"}, btfs=(ferry_btf(names=False),)).event(SAIL))[0] == (
            "int knots", "int port",
        )  # fmt: skip

    def test_tracefs(self, tmp_path: Path) -> None:
        lines = {"ferry/ferry_load": (Line("int cargo", 8, 4, 1), Line("long weight", 16, 8, 1))}
        tracefs = TraceFs(str(write_tracefs(tmp_path, lines)), X86)
        (load,) = (kernel := kernel_of(FERRY, tracefs=tracefs)).events([LOAD])
        assert form_of(load) == (("int cargo",), WEIGHT)
        assert [place.condition for place in load.alternatives] == ["defined(WITH_WEIGHT)"]
        assert kernel.header_class(LOAD) is not None

    def test_the_order_of_questions_does_not_matter(self) -> None:
        one, other = kernel_of(FERRY), kernel_of(FERRY)
        forwards = [one.event(key) for key in (LOAD, SAIL)]
        other.events([SAIL], raw_only=True)
        assert [other.event(key) for key in (SAIL, LOAD)] == forwards[::-1]


HEADERS = (Subject.HEADER_RAW, Subject.HEADER_RECORD)


# --- several headers


def versions(root: Path, count: int = 8) -> None:
    """As many versions of one driver, each with its own trace.h, of which one has another field."""
    for number in range(count):
        (root / f"v{number}").mkdir(parents=True)
        field = "__field(u64, job)" if number == 3 else "__field(u32, job)"
        text = f"TRACE_EVENT(mali_job, TP_PROTO(u32 id), TP_ARGS(id), TP_STRUCT__entry({field}), {REST});\n"
        (root / f"v{number}" / "mali_trace.h").write_text(f"#define TRACE_SYSTEM mali\n{text}")


class TestSeveralHeaders:
    def test_eight_versions_of_a_file(self, tmp_path: Path) -> None:
        versions(tmp_path)
        done = tpgen("mali_job", "--classic", "--headers", tmp_path, "--arch", "x86_64", "--no-cache")
        assert done.code == 2
        assert "[header-alternatives]; give the right header as --headers; or the BTF of the kernel" in done.err
        # The likeliest first, so many places, and how many more.
        assert all(f"{tmp_path}/v{number}/mali_trace.h:2:1 in any case" in done.err for number in range(4))
        assert "; 4 more [header-alt" in done.err
        # What all of them have in common is known.
        raw = tpgen("mali_job", "--raw", "--headers", tmp_path, "--arch", "x86_64", "--no-cache")
        assert (raw.code, raw.err) == (0, "")
        one = tpgen("mali_job", "--classic", "--headers", tmp_path / "v3", "--arch", "x86_64", "--no-cache")
        assert (one.code, one.err) == (0, "")

    def test_versions_that_do_not_differ(self, tmp_path: Path) -> None:
        versions(tmp_path, 3)
        done = tpgen("mali_job", "--headers", tmp_path, "--arch", "x86_64", "--no-cache")
        assert (done.code, done.err) == (0, "")

    def test_the_makefile_of_the_module(self, tmp_path: Path) -> None:
        """As Linux 7.2's binder_linux, which is linked of binder.o, beside another driver with the same events."""
        for system, below, ctype in (("binder", "", "int"), ("rust_binder", "rust", "int")):
            directory = tmp_path / "drivers" / "android" / below
            directory.mkdir(parents=True, exist_ok=True)
            text = f"TRACE_EVENT(ferry_sail, TP_PROTO({ctype} knots, int port), TP_ARGS(knots, port),\n"
            text += f"\tTP_STRUCT__entry(__field(int, port)), {REST});\n"
            (directory / f"{system}_trace.h").write_text(f"#define TRACE_SYSTEM {system}\n{text}")
        (tmp_path / "drivers/android/Makefile").write_text(
            "obj-$(CONFIG_BINDER) += binder_linux.o\nbinder_linux-y := binder.o \\\n\tbinder_alloc.o\n"
            "obj-$(CONFIG_BINDER_RUST) += rust/\n"
        )
        (tmp_path / "drivers/android/rust/Makefile").write_text("obj-$(CONFIG_BINDER_RUST) += rust_binder.o\n")
        tree = SourceTree(Headers(str(tmp_path), X86), Makefiles(str(tmp_path)))
        for module, system in (("binder_linux", "binder"), ("rust_binder", "rust_binder")):
            kernel = Kernel(Sources("a test", X86, btfs=(ferry_btf(module),), tree=tree))
            (key,) = kernel.keys_of("ferry_sail")
            assert key == EventKey(system, "ferry_sail", module)
            header = kernel.event(key).header
            assert header is not None
            assert header.path.endswith(f"/{system}_trace.h")
        kernel = Kernel(Sources("a test", X86, btfs=(ferry_btf("elsewhere"),), tree=tree))
        assert kernel.keys_of("ferry_sail") == [EventKey(None, "ferry_sail", "elsewhere")]


# --- the command line


class TestCommands:
    @pytest.fixture
    def header(self, tmp_path: Path) -> Path:
        path = tmp_path / "trace.h"
        path.write_text(FERRY)
        return path

    def test_a_refusal_names_both_places(self, header: Path) -> None:
        done = tpgen("ferry_load", "--classic", "--headers", header)
        places = f"{header}:5:1 where defined(WITH_WEIGHT); {header}:8:1 where !defined(WITH_WEIGHT)"
        message = (
            "no classic form of ferry:ferry_load: headers define its record differently, and nothing decides which"
        )
        hint = "[header-alternatives]; give -D WITH_WEIGHT or -U WITH_WEIGHT; or the BTF of the kernel"
        assert done == refusal(f"{message} counts: {places} {hint}")
        done = tpgen("ferry_sail", "--raw", "--headers", header)
        assert done.err.endswith("[header-alternatives]; give --release; or the BTF of the kernel\n")

    def test_the_options_decide(self, header: Path, tmp_path: Path) -> None:
        for options in (["-D", "WITH_WEIGHT"], ["-UWITH_WEIGHT"]):
            done = tpgen("ferry_load", "--classic", "--headers", header, *options)
            assert (done.code, done.err) == (0, "")
            assert ("weight" in done.out) == (options[0] == "-D")
        for release, ctype in (("6.1.4", "int"), ("6.2", "long long")):
            done = tpgen("show", "ferry_sail", "--json", "--headers", header, "--release", release)
            assert json.loads(done.out)[0]["args"][0]["type"] == ctype
        (tmp_path / "config").write_text("#define WITH_WEIGHT 1\n")
        done = tpgen("ferry_load", "--classic", "--headers", header, "--config", tmp_path / "config")
        assert "weight" in done.out

    def test_a_catalog_keeps_them(self, header: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """With their places below the directory that was given, whatever the machine."""
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
        catalog, directory = tmp_path / "tpgen" / "catalog" / "ferry.tpgen", tmp_path / "tree"
        directory.mkdir()
        header.rename(directory / "trace.h")
        done = tpgen("catalog", "add", "ferry", "--headers", directory, "--arch", "x86_64")
        assert done == Done(0, "", "")
        (shown,) = json.loads(tpgen("show", "ferry_load", "--json", "--kernel", catalog).out)
        assert shown["alternatives"] == [
            {"header": "trace.h", "line": 5, "condition": "defined(WITH_WEIGHT)"},
            {"header": "trace.h", "line": 8, "condition": "!defined(WITH_WEIGHT)"},
        ]
        done = tpgen("ferry_load", "--classic", "--kernel", catalog)
        places = "trace.h:5:1 where defined(WITH_WEIGHT); trace.h:8:1 where !defined(WITH_WEIGHT)"
        assert done == refusal(
            "no classic form of ferry:ferry_load: headers define its record differently, and nothing decides which"
            f" counts: {places} [header-alternatives]; make the catalog again and give -D WITH_WEIGHT or "
            "-U WITH_WEIGHT; or the BTF of the kernel"
        )
        assert str(tmp_path).encode() not in catalog.read_bytes()
        again = tmp_path / "again.tpgen"
        assert tpgen("catalog", "export", catalog, "-o", again).code == 0
        assert tpgen("ferry_load", "--classic", "--kernel", again) == done

    def test_show_and_check(self, header: Path) -> None:
        done = tpgen("show", "ferry_load", "--headers", header)
        assert f"  defined  {header}:5:1, where defined(WITH_WEIGHT)\n" in done.out
        assert f"  defined  {header}:8:1, where !defined(WITH_WEIGHT)\n" in done.out
        (shown,) = json.loads(tpgen("show", "ferry_load", "--json", "--headers", header).out)
        assert shown["alternatives"] == [
            {"header": str(header), "line": 5, "condition": "defined(WITH_WEIGHT)"},
            {"header": str(header), "line": 8, "condition": "!defined(WITH_WEIGHT)"},
        ]
        assert shown["record"] is None
        kernel = CheckedKernel(kernel_of(FERRY).sources)
        reasons = [(c.subject, c.detail and c.detail.code) for c in check_kernel(kernel, [LOAD, SAIL]) if c.reason]
        assert (Subject.HEADER_RECORD, "header-alternatives") in reasons
        assert (Subject.HEADER_RAW, "header-alternatives") in reasons
