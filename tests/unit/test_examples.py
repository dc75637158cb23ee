"""The example projects, each built by its build system: from nothing, with nothing to do, and after each change."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.btf_builder import BOOL, SIGNED, BtfBuilder
from support.cli import tpgen
from support.projects import CHECKOUT, KERNEL, SYSTEMS, Project
from support.small_kernel import write_btf

pytestmark = pytest.mark.build_systems

OBJECTS = ["exits.bpf.o", "switches.bpf.o"]
EM_BPF = 247


def kernel(next_slot: int = 2) -> BtfBuilder:
    """A kernel with what the programs attach to; `next_slot` is the raw argument of sched_switch that `next` is."""
    b = BtfBuilder()
    flag = b.typedef("bool", b.integer("_Bool", 1, BOOL))
    number = b.integer("int", 4, SIGNED)
    task = b.ptr(b.structure("task_struct", 4, [("pid", number, 0)]))
    switch = [("preempt", flag), ("prev", task), ("state", number), ("why", number)]
    switch.insert(next_slot, ("next", task))
    b.event("sched_switch", switch)
    b.event("sched_process_fork", [("parent", task), ("child", task)])
    b.event("sched_process_exit", [("p", task)])
    b.event("sched_wakeup", [("p", task)])
    return b


# Those that only some machines can have are not asked for on the others.
HERE = [system for system in SYSTEMS if system.required or not system.missing]


@pytest.fixture(params=HERE, ids=lambda system: system.name)
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Project]:
    made = Project(request.param, tmp_path)
    write_btf(made.here / KERNEL, kernel())
    yield made
    made.close()


def change_events(project: Project) -> None:
    """One event more."""
    toml = project.here / "tpgen.toml"
    toml.write_text(toml.read_text().replace("events = [", 'events = ["sched_wakeup", '))


def test_build(project: Project) -> None:
    ran = project.build()
    assert (ran.count("tpgen"), ran.count("clang")) == (1, 2)
    first = project.objects()
    assert list(first) == OBJECTS
    assert {int.from_bytes(data[18:20], "little") for data in first.values()} == {EM_BPF}

    assert project.build() == [], "nothing to do: neither tpgen nor a compiler runs"

    (project.here / "tpgen.toml").touch()
    assert project.build() in ([], ["tpgen"]), "touched, and the same: no compiler runs"

    change_events(project)
    ran = project.build()
    assert ran.count("tpgen") == 1
    assert ran.count("clang") == 2
    exits = project.here / "exits.bpf.c"
    exits.write_text('#include "raw_sched_wakeup.h"\n' + exits.read_text())
    assert project.build().count("clang") == 1, "the new header is there"

    write_btf(project.here / KERNEL, kernel(next_slot=3))
    ran = project.build()
    assert ran.count("tpgen") == 1
    assert "clang" in ran
    changed = {name for name, data in project.objects().items() if data != first[name]}
    assert "switches.bpf.o" in changed, "it reads another slot now"
    assert project.build().count("clang") == 0


def test_two_builds_at_once(project: Project) -> None:
    """In the same directory, where the build system can do that; ninja keeps one log for a directory."""
    second = "second" if {"ninja", "cmake"} & set(project.system.tools) else "build"
    for at_once in (project.start(), project.start(second)):
        project.finish(at_once)
    change_events(project)
    builds = [project.start(), project.start(second)]
    for build in builds:
        project.finish(build)
    assert list(project.objects()) == list(project.objects(second)) == OBJECTS


def test_catalog_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel as a catalog file: another one in its place is a change like any other."""
    (make,) = (system for system in SYSTEMS if system.name == "make")
    project = Project(replace(make, build=("make", "B={build}", "KERNEL=--kernel board.tpgen")), tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))

    def snapshot(name: str, btf: BtfBuilder) -> None:
        assert tpgen("catalog", "add", name, "--btf", write_btf(tmp_path / "vmlinux", btf)).code == 0
        assert tpgen("catalog", "export", name, "-o", project.here / "board.tpgen").code == 0

    snapshot("one", kernel())
    assert project.build().count("clang") == 2
    first = project.objects()
    assert project.build() == []
    snapshot("other", kernel(next_slot=3))
    assert project.build().count("tpgen") == 1
    assert project.objects()["switches.bpf.o"] != first["switches.bpf.o"]


def test_off_cpu_has_no_word_of_a_kernel_of_its_own() -> None:
    """No slot by number, no second struct for another kernel, no version, no struct of the kernel's at all."""
    sources = sorted((CHECKOUT / "examples" / "off-cpu").glob("*.[ch]"))
    assert len(sources) == 3
    for source in sources:
        code = re.sub(r"/\*.*?\*/", "", source.read_text(), flags=re.DOTALL)
        assert re.findall(r"\bctx\[|___\w+|VERSION|vmlinux|uname|utsname|preserve_access_index", code) == []
        assert re.findall(r"\bstruct task_struct\b(?! \*)", code) == []
