"""One header for Debian's kernels, of events of modules of which they differ: attached where a module can be loaded.

Each event has a program for each section that its headers name, which calls every accessor, as libbpf loads it.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from support.accessors import headers_in
from support.cli import tpgen
from support.compilers import COMPILERS
from support.debian import Tree
from support.portable import PREAMBLE, Accessor, Header, Verdict, comparer, differing, read, verdicts
from support.programs import Job, chunks, compiled
from support.vm import Line, boot, in_loading_order, load_modules, module_name

from vm.case import ALGORITHMS, TWINS

pytestmark = [pytest.mark.machines, pytest.mark.compilers]

KERNELS = ("5.10", "6.1", "6.12", "7.2")
SHIPPED = tuple(f"debian-{kernel}-amd64" for kernel in KERNELS)
#: By the kernel: how many modules with events it has loaded, at least, and how many programs.
_FEWEST_MODULES, _FEWEST_PROGRAMS = 20, 800
# As many as an object has. What it takes to load one is mostly to look for its types.
_PROGRAMS = 250
# What tp_btf takes no pointer to, whatever the header: some kernels take those to integers and to void.
_NO_STRUCT = re.compile(r"type [A-Z_]+ is not a struct|Only pointer access is allowed")
_POINTER = re.compile(r"(?P<target>.*)\*$")


class Events(NamedTuple):
    """The events of which kernels differ and which are in one module: by the kernel and the event, the module."""

    by_kernel: Mapping[str, Mapping[str, str]]

    @property
    def names(self) -> list[str]:
        return list(dict.fromkeys(name for events in self.by_kernel.values() for name in events))


@pytest.fixture(scope="session")
def events() -> Events:
    """What the shipped catalogs have."""
    listed = {kernel: json.loads(tpgen("list", "--json", "--kernel", kernel).out) for kernel in SHIPPED}
    modules = {kernel: [(e["name"], e["module"]) for e in found] for kernel, found in listed.items()}
    homes: defaultdict[str, set[str | None]] = defaultdict(set)
    for found in modules.values():
        for name, module in found:
            homes[name].add(module)
    times = Counter(name for found in modules.values() for name, _ in dict.fromkeys(found))
    alone = {name for name, of in homes.items() if len(of) == 1 and None not in of and times[name] > 1}
    shared = alone & {*differing(SHIPPED, None)}
    return Events({kernel: {name: m for name, m in found if name in shared and m} for kernel, found in modules.items()})


@pytest.fixture(scope="session")
def portable(events: Events, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The headers for all of the kernels."""
    folder = tmp_path_factory.mktemp("portable")
    done = tpgen(*events.names, *(word for kernel in SHIPPED for word in ("--kernel", kernel)), "-o", folder)
    assert done.code == 0, done.err
    return folder


class Tried(NamedTuple):
    """What a kernel made of the programs: the modules with events that it loaded, and a verdict of each program."""

    modules: Sequence[str]
    verdicts: Sequence[Verdict]

    def rows(self) -> Iterator[str]:
        """By module and type: how many programs were attached, of how many."""
        of = Counter(_place(each) for each in self.verdicts if each.verdict != "cannot")  # which is of a whole object
        attached = Counter(_place(each) for each in self.verdicts if each.verdict == "attached")
        for module in sorted({module for module, _ in of}):
            kinds = sorted(kind for other, kind in of if other == module)
            yield f"{module}: " + ", ".join(f"{kind} {attached[module, kind]} of {of[module, kind]}" for kind in kinds)


def _place(verdict: Verdict) -> tuple[str, str]:
    """The module and the type of a program."""
    module, kind, _ = verdict.name.removeprefix("m_").split("__", 2)
    return module, kind


@pytest.fixture(scope="session", params=KERNELS)
def tried(
    request: pytest.FixtureRequest,
    events: Events,
    portable: Path,
    report: list[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Tried:
    """What became of every program on each kernel in turn, which loads the modules first."""
    tree, folder = Tree(request.param), tmp_path_factory.mktemp(request.param)
    kernel = f"debian-{request.param}-amd64"
    homes = _still_there(tree, events.by_kernel[kernel])
    headers = [path for path in headers_in(portable) if f"Not on {kernel}" not in path.read_text()]
    objects = objects_of(headers, homes, folder / "objects", len(tree.btf) > 1)
    wanted = {*homes.values()} - {*TWINS} | {*ALGORITHMS}
    modules = in_loading_order(tree, [path for path in tree.modules if module_name(path) in wanted])
    lines = [*load_modules(modules), *(Line(f"attach /{path.name}") for path in objects)]
    init = comparer(tmp_path_factory.mktemp("comparer")).read_bytes()
    run = boot(tree, init, lines, folder / "machine", modules, {path.name: path.read_bytes() for path in objects})
    loaded = {module_name(path) for path, answer in zip(modules, run.answers, strict=False) if not answer.error}
    text = "".join(f"| {line}\n" for answer in run.answers for line in answer.text)
    result = Tried(sorted(loaded & {*homes.values()}), verdicts(text))
    counts = Counter(f"{_place(each)[1]} {each.verdict}" for each in result.verdicts if each.verdict != "cannot")
    title = f"{tree.vmlinuz.name}: {len(result.modules)} modules with events: "
    report.append(title + ", ".join(f"{count} {what}" for what, count in counts.items()))
    report += [f"{tree.vmlinuz.name}: {row}" for row in result.rows()]
    return result


def _still_there(tree: Tree, homes: Mapping[str, str]) -> Mapping[str, str]:
    """The events that this update of the kernel has as well, which the BTF of its modules shows where there is some."""
    vmlinuz, *modules = tree.btf
    if not modules:
        return homes
    files = [vmlinuz, *(path for path in modules if module_name(path) in {*homes.values()})]
    listed = json.loads(tpgen("list", "--json", *(word for path in files for word in ("--btf", path))).out)
    names = {event["name"] for event in listed}
    return {name: module for name, module in homes.items() if name in names}


def objects_of(headers: Sequence[Path], homes: Mapping[str, str], folder: Path, with_btf: bool) -> list[Path]:
    """Objects of one type of program each. Only modules `with_btf` have what tp_btf programs are attached to."""
    programs: defaultdict[str, list[tuple[Path, str]]] = defaultdict(list)
    for path in headers:
        module, header = homes.get(path.stem.partition("_")[2]), read(path)
        for section in header.sections if module else ():
            kind = section.partition("/")[0]
            if with_btf or kind != "tp_btf":
                programs[kind] += ((path, text) for text in programs_of(header, section, str(module)))
    parts = [part for of_kind in programs.values() for part in chunks(of_kind, _PROGRAMS)]
    folder.mkdir()
    found = [folder / f"{number}.o" for number in range(len(parts))]
    compiled([Job(COMPILERS[0], unit(part), out) for part, out in zip(parts, found, strict=True)], [folder])
    return found


def unit(programs: Sequence[tuple[Path, str]]) -> str:
    headers = dict.fromkeys(path for path, _ in programs)
    return "".join(f'#include "{path}"\n' for path in headers) + PREAMBLE + "".join(text for _, text in programs)


def programs_of(header: Header, section: str, module: str) -> Iterator[str]:
    """One program with all accessors, but for those that tp_btf may refuse: each has one of its own."""
    kind, accessors = section.partition("/")[0], list(header.accessors.values())
    alone = [each for each in accessors if kind == "tp_btf" and _is_doubtful(each)]
    for number, chosen in enumerate([[each for each in accessors if each not in alone], *([each] for each in alone)]):
        calls = "".join(f"\tif ({_presence(header, each)})\n\t\t{each.call}\n" for each in chosen)
        name = f"m_{module}__{kind}__{'alone' if number else 'all'}__{header.prefix}{f'__{number}' if number else ''}"
        yield f'SEC("{section}") int {name}(void *ctx)\n{{\n\t(void)ctx;\n{calls}\treturn 0;\n}}\n'


def _is_doubtful(accessor: Accessor) -> bool:
    pointer = _POINTER.fullmatch(accessor.result)
    return pointer is not None and not re.search(r"\b(?:struct|union) \w+ $", pointer["target"])


def _presence(header: Header, accessor: Accessor) -> str:
    value = accessor.name.removeprefix(header.prefix + "_")
    return f"{header.prefix}_has_{re.sub('_read(_bytes)?$', '', value) if accessor.copies else value}()"


def test_no_program_is_refused(tried: Tried) -> None:
    """But for what tp_btf takes no pointers to."""
    assert [each for each in tried.verdicts if each.verdict != "attached" and not _is_known(each)] == []


def _is_known(each: Verdict) -> bool:
    return "__tp_btf__alone__" in each.name and _NO_STRUCT.search(each.detail) is not None


def test_enough_were_attached(tried: Tried) -> None:
    assert len(tried.modules) >= _FEWEST_MODULES
    assert sum(each.verdict == "attached" for each in tried.verdicts) >= _FEWEST_PROGRAMS
