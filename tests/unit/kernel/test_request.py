"""The options that name a kernel: everything that knows them knows those of the one table, under the same names."""

from __future__ import annotations

import argparse
import inspect
import json
import os
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.cli import refusal, tpgen

from tpgen.api import open_kernel
from tpgen.cache import fingerprint
from tpgen.commands.common import base, parsing
from tpgen.diagnostics import TpgenError
from tpgen.kernel import options
from tpgen.kernel import sources as kernel_sources
from tpgen.kernel.options import FLAG, KERNEL, KERNEL_OPTIONS, PATH, PICK, WORD, options_of
from tpgen.kernel.request import KernelRequest
from tpgen.kernel.sources import HeaderOptions
from tpgen.opening import open_sources

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
REFERENCE = (DOCS / "reference.md").read_text()


def names(*kinds: str) -> list[str]:
    return [option.name for option in options_of(*kinds)]


def test_rows() -> None:
    assert len({option.name for option in KERNEL_OPTIONS}) == len(KERNEL_OPTIONS)
    assert len({option.flag for option in KERNEL_OPTIONS}) == len(KERNEL_OPTIONS)
    roles = {options.TEXT, options.NAMED, options.FILE, options.FORMATS, options.HEADERS, options.UNCACHED}
    for option in KERNEL_OPTIONS:
        assert option.kind in (KERNEL, PATH, WORD, PICK, FLAG)
        assert option.cache in roles
        assert (option.metavar is None) == (option.kind == FLAG)
        assert option.cache not in (options.FILE, *options.TREES) or option.kind == PATH, "what is read is a path"


def test_the_request_has_a_field_for_each() -> None:
    assert sorted(KernelRequest._fields) == sorted(names(KERNEL, PATH, WORD, FLAG))


def test_the_command_line_has_each() -> None:
    parsed = vars(parsing.parser("x", "").parse_args([]))
    assert sorted(parsed) == sorted(option.name for option in KERNEL_OPTIONS)
    assert KernelRequest.several(parsed) == (KernelRequest(),)


def test_values_reach_the_request() -> None:
    words = [option.flag if option.kind == FLAG else f"{option.flag}=a {option.name}" for option in KERNEL_OPTIONS]
    request = base.kernel_request(parsing.parser("x", "").parse_args([*words, "--btf=second"]))
    assert request.btf == ("a btf", "second")
    assert (request.kernel, request.headers, request.no_cache) == ("a kernel", ("a headers",), True)
    for option in options_of(KERNEL, PATH, WORD):
        assert request.values_of(option)[0] == f"a {option.name}"


def test_a_request_for_each_kernel() -> None:
    """Whatever else is said is said of each; a name that is given twice is one."""
    parsed = vars(parsing.parser("x", "").parse_args("--kernel a --arch arm64 --kernel b --kernel a".split()))
    assert KernelRequest.several(parsed) == tuple(KernelRequest(name, arch="arm64") for name in "ab")
    with pytest.raises(TpgenError, match="--kernel with an empty value"):
        KernelRequest.several({"kernel": ["a", ""]})


def test_the_api_has_a_keyword_for_each() -> None:
    """A name is the first argument, and what a program says about the cache it says the other way round."""
    keywords = set(inspect.signature(open_kernel).parameters)
    assert keywords == {"name", "use_cache", *names(PATH, WORD)}


def test_the_documentation_has_each() -> None:
    """docs/reference.md lists what the sources are; it tells --kernel, --module and --no-cache in its text."""
    rows = re.findall(
        r"^\| `(-[^`]*)` \|", REFERENCE.partition("| option | what it reads |")[2].partition("\n\n")[0], re.M
    )
    assert rows == [f"{option.flag} {option.metavar}" for option in options_of(PATH, WORD)]
    for option in options_of(KERNEL, PICK, FLAG):
        assert f"`{option.flag}" in REFERENCE
    keys = re.search(r"^btf = .*# also: (.*), as the options of those names$", (DOCS / "build.md").read_text(), re.M)
    assert keys
    assert ["btf", *keys[1].split(", ")] == names(PATH, WORD)
    keywords = re.search(r"`open_kernel\((btf=.*)\)`", (DOCS / "api.md").read_text())
    assert keywords
    assert re.findall(r"(\w+)=", keywords[1]) == names(PATH, WORD)


def test_paths_from_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "6.12").touch()
    request = KernelRequest(kernel="6.12", btf=("a", "/b"), tracefs="t", headers=("h/",), config="../c", arch="arm")
    assert request.below(str(tmp_path)) == KernelRequest(
        f"{tmp_path}/6.12",
        (f"{tmp_path}/a", "/b"),
        f"{tmp_path}/t",
        (f"{tmp_path}/h/",),
        f"{tmp_path}/../c",
        arch="arm",
    )
    assert KernelRequest(kernel="6.1").below(str(tmp_path)) == KernelRequest(kernel="6.1"), "no file is called so"


@pytest.mark.parametrize(
    ("words", "macros"),
    [
        (["-DX"], {"X": "1"}),
        (["-D", "X=", "-DX=2", "-D", "_a9=b=c"], {"X": "2", "_a9": "b=c"}),
        (["-DX=1", "-U", "X"], {"X": None}),
        (["-UX", "-DX=1", "-UY"], {"X": "1", "Y": None}),
        (["-DX=1", "-DY", "-UX", "-DX=3"], {"X": "3", "Y": "1"}),
    ],
    ids=" ".join,
)
def test_macros(words: list[str], macros: dict[str, str | None]) -> None:
    """The last counts, as for a C compiler."""
    assert base.kernel_request(parsing.parser("x", "").parse_args(words)).macros() == macros


@pytest.mark.parametrize("word", ["1X", "X Y=1", "F(x)=x", "=1", "\u00e9"])
def test_no_macro(word: str, tmp_path: Path) -> None:
    for flag in ("-D", "-U"):
        done = tpgen("list", "--headers", tmp_path, flag, word)
        assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
        assert f"{flag} " in done.err
        assert done.err.endswith("not the name of a macro [usage]; give NAME\n")


def test_define_and_undefine_contradict_each_other() -> None:
    with pytest.raises(TpgenError, match="-D and -U name the same macro X"):
        KernelRequest(defines=("X=1",), undefines=("X",)).macros()


HEADER = """\
#define TRACE_SYSTEM mine
#include <linux/tracepoint.h>
#if defined(WITH_ONE) && LEVEL > 2
TRACE_EVENT(one, TP_PROTO(int a), TP_ARGS(a), TP_STRUCT__entry(), TP_fast_assign(), TP_printk("x"));
#endif
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 1, 5)
TRACE_EVENT(two, TP_PROTO(int a), TP_ARGS(a), TP_STRUCT__entry(), TP_fast_assign(), TP_printk("x"));
#endif
"""


@pytest.mark.parametrize("use_cache", [(), ("--no-cache",)], ids=["cache", "no cache"])
@pytest.mark.parametrize(
    ("words", "events"),
    [
        ((), ["one", "two"]),
        (("-DWITH_ONE", "-D", "LEVEL=3", "--release", "6.1.4"), ["one"]),
        (("-DWITH_ONE", "-DLEVEL=2", "--release=6.1.5"), ["two"]),
        (("-UWITH_ONE", "--release", "6.2.0"), ["two"]),
        (("-UWITH_ONE", "--release", "5.10.9"), []),
    ],
)
def test_macros_and_the_release_decide_conditions(
    words: tuple[str, ...], events: list[str], use_cache: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "mine.h").write_text(HEADER)
    done = tpgen("list", "mine:*", "--headers", tmp_path, "--json", *words, *use_cache)
    assert [event["name"] for event in (json.loads(done.out) if done.code == 0 else [])] == events


@pytest.mark.parametrize("option", options_of(KERNEL, PATH, WORD), ids=lambda option: option.name)
@pytest.mark.parametrize("command", ["x", "list", "probe"])
def test_empty_values_are_refused(command: str, option: options.KernelOption) -> None:
    done = tpgen(command, f"{option.flag}=")
    assert done == refusal(f"{option.flag} with an empty value [usage]; give {option.metavar}")


@pytest.mark.parametrize("words", [("-DX",), ("-UX",), ("--config", "x")], ids=" ".join)
def test_conditions_without_headers(words: tuple[str, ...]) -> None:
    done = tpgen("list", *words, "--btf", "x")
    assert done == refusal(
        f"{words[0][:8] if words[0][1] == '-' else words[0][:2]} only affects --headers [usage]; give --headers as well"
    )


def test_release_of_a_kernel_that_has_its_own() -> None:
    done = tpgen("list", "--kernel", "6.12", "--release", "6.1")
    assert done == refusal("--release is for files, and kernel 6.12 has its own release [usage]; leave out --release")


@pytest.mark.parametrize("kernel", [(), ("--kernel", "live")], ids=["default", "live"])
def test_architecture_of_the_running_kernel(kernel: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tpgen.opening.live_kernel_askable", lambda: True)
    machine = os.uname().machine
    other = "s390x" if machine != "s390x" else "arm64"
    assert "unknown architecture 'bogus'" in tpgen("sched_switch", *kernel, "--arch=bogus").err
    done = tpgen("sched_switch", *kernel, "--arch", other)
    assert f"the running kernel is of {machine}, not of {other} [arch-mismatch]" in done.err


@pytest.mark.parametrize("option", options_of(PATH), ids=lambda option: option.name)
def test_any_path_is_a_file(option: options.KernelOption) -> None:
    given = argparse.Namespace(**{option.name: ["x"] if option.repeatable else "x"})
    assert KernelRequest.of(vars(given)).has_files
    assert not KernelRequest(kernel="x", arch="x", no_cache=True).has_files


@pytest.mark.parametrize("no_cache", [False, True])
def test_what_was_read_of_headers_is_kept_unless_told_otherwise(
    no_cache: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fingerprint, "_YOUNG_NS", -(10**18))  # files count as old
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    trace = tmp_path / "tree/include/trace/events/one.h"
    trace.parent.mkdir(parents=True)
    trace.write_text("TRACE_EVENT(one, TP_PROTO(int a), TP_ARGS(a), TP_STRUCT__entry(), TP_fast_assign(), 1);\n")
    request = KernelRequest(headers=(str(tmp_path / "tree"),), arch="x86_64", no_cache=no_cache)
    sources = open_sources(request)
    assert sources.headers is not None
    assert [event.name for event in sources.headers.events] == ["one"]
    assert (tmp_path / "cache/tpgen/headers").exists() != no_cache


def test_headers_beside_the_running_kernel_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """With `--kernel live` as well, whatever machine this is."""
    asked: list[tuple[str, ...]] = []

    def open_live(headers: HeaderOptions | None = None, known_classes: object = None) -> SimpleNamespace:
        asked.append(headers.paths if headers else ())
        return SimpleNamespace(headers=None)

    monkeypatch.setattr(kernel_sources, "open_live", open_live)
    open_sources(KernelRequest(kernel="live", headers=("tree",)))
    assert asked == [("tree",)]
