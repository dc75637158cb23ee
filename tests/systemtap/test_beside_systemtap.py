"""tpgen beside Debian's SystemTap, both of Linux 6.1: `tox -e systemtap`.

SystemTap compiles the trace headers of Debian's linux-headers, minutes of work that are kept for later runs. Its list
is then held against the one that it makes of tpgen's objects: its own reader reads both, so that equal lines are equal
names and types. Offsets are compared in the objects, gcc's with ours, by pahole.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from support.cli import tpgen
from support.debian import Tree as KernelTree
from support.dwarf import Member, Object, pahole, type_of
from support.systemtap import Compiled, Mode, Tree, compiled, headers_common

from tpgen.sources.images import btf_sections

pytestmark = pytest.mark.systemtap

#: The fewest probes that both must know: far fewer would mean that the two are not of one kernel.
COMMON = {Mode.RAW: 1100, Mode.CLASSIC: 800, Mode.LKM: 950}


@pytest.fixture(scope="module", params=Mode)
def mode(request: pytest.FixtureRequest) -> Mode:
    found: Mode = request.param
    return found


@pytest.fixture(scope="module")
def theirs(mode: Mode) -> Compiled:
    return compiled(mode)


@pytest.fixture(scope="module")
def tree(mode: Mode, tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return Tree(tmp_path_factory.mktemp(mode), mode, "--kernel", "6.1")


@pytest.fixture(scope="module")
def ours(tree: Tree) -> dict[str, str]:
    """What SystemTap lists from our objects."""
    return tree.list("*")


def test_it_reads_every_tracepoint_in_our_objects(mode: Mode, ours: dict[str, str]) -> None:
    events = json.loads(tpgen("list", "--kernel", "6.1", "--json").out)
    has = {
        Mode.RAW: lambda event: event["kind"] != "syscall",
        Mode.CLASSIC: lambda event: event["kind"] != "tracepoint",
        Mode.LKM: lambda event: event["kind"] != "syscall",
    }[mode]  # fmt: skip
    assert set(ours) == {f"{event['system']}:{event['name']}" for event in events if has(event)}


def test_names_and_types_of_common_probes_are_equal(mode: Mode, theirs: Compiled, ours: dict[str, str]) -> None:
    common = theirs.probes.keys() & ours.keys()
    assert len(common) >= COMMON[mode]
    assert {name: ours[name] for name in common} == {name: theirs.probes[name] for name in common}


def test_what_only_it_lists_is_not_in_the_kernel(theirs: Compiled, ours: dict[str, str]) -> None:
    """It looks at every header that it knows, configured or not: fsi, host1x, page_ref, …

    The same events are in what tpgen reads from the headers alone.
    """
    only = theirs.probes.keys() - ours.keys()
    assert only <= in_headers()
    kernel = tracepoints_of_the_image()
    assert {name for name in only if name.partition(":")[2] in kernel} == set()


def test_what_only_we_list_it_did_not_see(mode: Mode, theirs: Compiled, ours: dict[str, str]) -> None:
    """Headers that it does not look at, that are in no linux-headers package, or that do not compile out of place.

    And records of events that are defined by a macro for which it has no struct, such as DEFINE_EVENT_FN: it knows
    their raw arguments.
    """
    headers = {
        f"{event['system']}:{event['name']}": event["header"]
        for event in json.loads(tpgen("*", "-b", "systemtap", "--emit", "json", "--kernel", "6.1").out)["events"]
    }
    only = ours.keys() - theirs.probes.keys()
    if mode == Mode.CLASSIC:
        only -= compiled(Mode.RAW).probes.keys()
    unexplained = {name: headers[name] for name in only if theirs.objects.get(headers[name]) is not None}
    assert unexplained == {}


@cache
def in_headers() -> frozenset[str]:
    done = tpgen("list", "--json", "--arch", "x86_64", "--headers", headers_common())
    return frozenset(f"{event['system']}:{event['name']}" for event in json.loads(done.out))


@cache
def tracepoints_of_the_image() -> frozenset[str]:
    """All that the strings of the kernel's BTF and its modules' name: no reader of BTF is needed for that."""
    blobs = (btf_sections(path.read_bytes(), str(path)).btf for path in KernelTree("6.1").btf)
    words = (word for blob in blobs for word in blob.split(b"\0") if word.startswith(b"btf_trace_"))
    return frozenset(word.removeprefix(b"btf_trace_").decode() for word in words)


# --- offsets


@pytest.mark.parametrize("mode", [Mode.RAW, Mode.CLASSIC], indirect=True)
def test_offsets_and_sizes_are_equal(mode: Mode, theirs: Compiled, tree: Tree) -> None:
    """gcc's layout of the kernel's own types, which no table of ours tells it."""
    compared = 0
    mine = {name: members for path in tree.objects() for name, members in pahole(path).items()}
    for path in filter(None, theirs.objects.values()):
        for name, members in structs(path):
            if name in mine:
                assert members == mine[name], f"{name} of {path}"
                compared += 1
    assert compared >= COMMON[mode]


def structs(path: Path) -> Iterator[tuple[str, list[Member]]]:
    """The structs of probes in an object of theirs, where a typedef may stand for one of several events."""
    found = pahole(path)
    yield from ((name, members) for name, members in found.items() if name.startswith("stapprobe_"))
    if any(name.startswith("stapprobe_template_") for name in found):
        for name, die in Object(path.read_bytes()).dies("typedef").items():
            if name.startswith("stapprobe_"):
                yield name, found[type_of(die).attributes["DW_AT_name"].value.decode()]


# --- programs


def script(probes: dict[str, str], system: str) -> str:
    """A script that reads every argument of a system's tracepoints."""
    handlers = []
    for name, arguments in probes.items():
        numbers = [word.partition(":")[0] for word in arguments.split(" ") if word.startswith("$") and "[]" not in word]
        if name.startswith(f"{system}:") and numbers:
            handlers.append(f'probe kernel.trace("{name}") {{ total += {" + ".join(numbers)} }}')
    assert handlers
    return "\n".join(["global total", *handlers, 'probe end { printf("%d\\n", total) }'])


@pytest.mark.parametrize("system", ["sched", "timer", "signal", "block"])
@pytest.mark.parametrize("mode", [Mode.RAW, Mode.CLASSIC], indirect=True)
def test_programs_are_equal(
    system: str, mode: Mode, theirs: Compiled, ours: dict[str, str], tree: Tree, tmp_path: Path
) -> None:
    """The BPF that a script becomes is the same, byte for byte, with its objects and with ours."""
    common = {name: arguments for name, arguments in ours.items() if name in theirs.probes}
    text = script(common, system)
    compiled_object = theirs.objects[f"include/trace/events/{system}.h"]
    assert compiled_object is not None
    with_theirs = Tree(tmp_path, mode, "--kernel", "6.1")
    with_theirs.take({system: compiled_object})
    assert with_theirs.program(text) == tree.program(text)


@pytest.mark.parametrize("mode", [Mode.LKM], indirect=True)
def test_module_includes_the_header_of_a_tracepoint(tree: Tree) -> None:
    """The C of a kernel module, in a file for each header, with the callback as the kernel will call it."""
    made = tree.translated('probe kernel.trace("sched:sched_switch") { println($prev_state) }')
    (own,) = (text for text in made.values() if "#include <trace/events/sched.h>" in text)
    callback = own[own.index("STP_TRACE_ENTER(") :]
    assert "struct task_struct* __tracepoint_arg_prev" in callback
    assert "unsigned int __tracepoint_arg_prev_state" in callback


# --- patterns


PATTERNS = """
sched_switch sched:sched_switch *:sched_switch sche?:sched_switc? :sched_switch sched:* *:*_switch irq:*entry
s[ck]*:*free*
""".split()


@pytest.mark.parametrize("mode", [Mode.LKM], indirect=True)
@pytest.mark.parametrize("pattern", PATTERNS)
def test_pattern_means_the_same(pattern: str, tree: Tree) -> None:
    listed = json.loads(tpgen("list", pattern, "--kernel", "6.1", "--json").out)
    assert set(tree.list(pattern)) == {f"{event['system']}:{event['name']}" for event in listed}


@pytest.mark.parametrize("mode", [Mode.LKM], indirect=True)
@pytest.mark.parametrize("pattern", ["", ":", "bla:", "sched:"])
def test_both_refuse_a_pattern(pattern: str, tree: Tree) -> None:
    assert tree.stap("-p2", "-e", f'probe kernel.trace("{pattern}") {{}}').returncode != 0
    assert tpgen("list", pattern, "--kernel", "6.1").code == 2
