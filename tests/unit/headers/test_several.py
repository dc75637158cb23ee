"""Several --headers: the facts of all, each event from the first; a tree that is no kernel's sees the others' types."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from support.cli import Done, tpgen

REST = 'TP_fast_assign(), TP_printk("x")'
ARCH = ("--arch", "x86_64")


def event(name: str, field: str, system: str = "mine") -> str:
    proto = f"TP_PROTO(int a), TP_ARGS(a), TP_STRUCT__entry({field})"
    return f"#undef TRACE_SYSTEM\n#define TRACE_SYSTEM {system}\nTRACE_EVENT({name}, {proto}, {REST});\n"


@pytest.fixture
def trees(tmp_path: Path) -> tuple[Path, Path]:
    """A driver's headers and a kernel's, which has another form of one of its events."""
    driver, kernel = tmp_path / "driver", tmp_path / "linux"
    (kernel / "include" / "trace" / "events").mkdir(parents=True)
    (kernel / "include" / "linux").mkdir()
    driver.mkdir()
    (kernel / "Makefile").write_text("VERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 90\nEXTRAVERSION =\n")
    (kernel / "include/linux/ferry.h").write_text("typedef unsigned short ferry_port_t;\n#define FERRY_DECKS 3\n")
    (kernel / "include/trace/events/ferry.h").write_text(
        event("shared", "__field(int, of_kernel)") + event("own", "__field(int, b)")
    )
    text = "#include <linux/ferry.h>\n" + event(
        "shared", "__field(ferry_port_t, port) __array(char, decks, FERRY_DECKS)"
    )
    text += "#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)\n" + event("newer", "__field(long, c)")
    text += "#else\n" + event("older", "__field(long, c)") + "#endif\n"
    (driver / "trace.h").write_text(text)
    return driver, kernel


def shown(done: Done) -> dict[str, list[tuple[str, int]]]:
    assert done.code == 0, done.err
    return {
        event["name"]: [(field["name"], field["size"]) for field in event["record"]["fields"]]
        for event in json.loads(done.out)
    }


OWN, OLDER = {"own": [("b", 4)]}, {"older": [("c", 8)]}


@pytest.mark.parametrize("cache", [(), ("--no-cache",)], ids=["cached", "uncached"])
def test_the_first_that_defines_an_event_counts(trees: tuple[Path, Path], cache: tuple[str, ...]) -> None:
    driver, kernel = trees
    for _ in range(2):
        one = tpgen("show", "*", "--json", "--headers", driver, "--headers", kernel, *ARCH, *cache)
        assert shown(one) == {"shared": [("port", 2), ("decks", 3)]} | OWN | OLDER
        other = tpgen("show", "*", "--json", "--headers", kernel, "--headers", driver, *ARCH, *cache)
        assert shown(other) == {"shared": [("of_kernel", 4)]} | OWN | OLDER


def test_types_and_release_of_the_kernel(trees: tuple[Path, Path]) -> None:
    """Alone, a driver's header leaves open what only the kernel's tree tells."""
    driver, kernel = trees
    alone = json.loads(tpgen("show", "*", "--json", "--headers", driver, *ARCH).out)
    assert {event["name"] for event in alone} == {"shared", "newer", "older"}
    (shared,) = (event for event in alone if event["name"] == "shared")
    assert [field["size"] for field in shared["record"]["fields"]] == [None, None]
    newer = tpgen("list", "--headers", driver, "--headers", kernel, "--release", "6.5", *ARCH)
    assert "newer" in newer.out
    assert "older" not in newer.out


def test_one_tree_twice(trees: tuple[Path, Path]) -> None:
    _, kernel = trees
    once, twice = (tpgen("list", *("--headers", kernel) * count, *ARCH) for count in (1, 2))
    assert once == twice


def test_a_missing_one(trees: tuple[Path, Path], tmp_path: Path) -> None:
    done = tpgen("list", "--headers", trees[0], "--headers", tmp_path / "none", *ARCH)
    assert (done.code, done.out) == (2, "")
    assert "none: error: cannot read: No such file or directory [unreadable]" in done.err


def test_pipes_devices_and_loops_in_a_tree(trees: tuple[Path, Path], tmp_path: Path) -> None:
    """They are nothing to read, and no reason to wait for or to fail."""
    driver, _ = trees
    os.mkfifo(driver / "pipe.h")
    (driver / "zero.h").symlink_to("/dev/zero")
    (driver / "loop.h").symlink_to("loop.h")
    (driver / "self").symlink_to(".")
    (driver / "kernel/bpf").mkdir(parents=True)
    (driver / "kernel/bpf/btf.c").symlink_to("/dev/zero")
    os.mkfifo(driver / "Makefile")
    done = tpgen("list", "--headers", driver, *ARCH)
    assert (done.code, done.err) == (0, "")
    assert "mine:shared" in done.out
    toml = f'[kernel.k]\nheaders = "{driver}"\narch = "x86_64"\n'
    toml += '[[generate]]\nkernel = "k"\nbackend = "json"\nevents = ["older"]\n'
    (tmp_path / "tpgen.toml").write_text(toml)
    built = tpgen("build", tmp_path / "tpgen.toml", "-o", tmp_path / "out")
    assert (built.code, built.err) == (0, ""), built


def test_a_release_that_hides_the_sublevel(trees: tuple[Path, Path]) -> None:
    """Debian calls 6.1.174 `6.1.0-57-amd64`; the configured tree knows better."""
    driver, kernel = trees
    text = "".join(f"#if LINUX_VERSION_CODE {sign} KERNEL_VERSION(6, 1, 100)\n{event(name, '__field(int, a)')}#endif\n"
                   for sign, name in ((">=", "since"), ("<", "before")))  # fmt: skip
    (driver / "trace.h").write_text(text)
    (kernel / "Makefile").write_text("include ../common/Makefile\n")
    (kernel / "include/config").mkdir()
    (kernel / "include/config/kernel.release").write_text("6.1.0-57-amd64\n")
    words = ("list", "--headers", driver, "--headers", kernel, *ARCH)
    assert [name in tpgen(*words).out for name in ("since", "before")] == [True, True]
    (kernel / "include/generated/uapi/linux").mkdir(parents=True)
    version = kernel / "include/generated/uapi/linux/version.h"
    for code, expected in ((0x060163, [False, True]), (0x0601AE, [True, False])):
        version.write_text(f"#define LINUX_VERSION_CODE {code}\n")
        assert [name in tpgen(*words, "--no-cache").out for name in ("since", "before")] == expected
    assert [name in tpgen(*words, "--release", "6.1.4").out for name in ("since", "before")] == [False, True]
