"""The cache of headers on real trees: after each edit of a real header the facts are those of a reading without it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from corpus.trees.case import Case
from tpgen.cache import fingerprint
from tpgen.sources.headers.facts import HeaderFacts
from tpgen.sources.headers.read import Headers
from tpgen.sources.source_tree.config import parse_config
from tpgen.target import target_named

_TARGET = target_named("x86_64")
_FAMILY = re.compile(r"\b(?:TRACE_EVENT|DECLARE_EVENT_CLASS|DEFINE_EVENT)\w*\(")
# How many headers of each kind are mutated besides, spread over the tree.
_MUTATED = 2


class Copy:
    """A copy of a tree's headers, which the tests may edit."""

    def __init__(self, case: Case, root: Path) -> None:
        self.root = root
        self.original = case.tree.headers
        for original, path in self._files(self.original):
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(original, path)

    def _files(self, below: Path) -> Iterator[tuple[Path, Path]]:
        """Each header and Makefile below the original or the copy, as it is there and here."""
        for directory, _, names in os.walk(below):
            place = os.path.relpath(directory, below)
            for name in names:
                if name.endswith(".h") or name == "Makefile":
                    yield Path(self.original, place, name), Path(self.root, place, name)

    def edit(self, name: str, pattern: str, to: str) -> None:
        """Replace the first match of a pattern, which there must be."""
        path = self.root / name
        text, count = re.subn(pattern, to, path.read_text("utf-8", "replace"), count=1)
        assert count == 1, f"{name} has no {pattern}"
        path.write_text(text)

    def restore(self) -> None:
        """As it was: every header that is another, and none besides."""
        for original, path in list(self._files(self.root)):
            if not original.exists():
                path.unlink()
        for original, path in self._files(self.original):
            if not path.exists() or path.read_bytes() != original.read_bytes():
                shutil.copyfile(original, path)


@pytest.fixture
def copy(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Copy:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(fingerprint, "_YOUNG_NS", -(10**18))
    return Copy(case, tmp_path / "tree")


_PART = "TRACE_EVENT(tpgen_part, TP_PROTO({} a), TP_ARGS(a), TP_STRUCT__entry(__field({}, a)), TP_fast_assign(), 1);\n"
_NEW = f"#define TRACE_SYSTEM tpgen\n#include <linux/types.h>\n{_PART.replace('part', 'new')}"
_SCHED, _POWER = "include/trace/events/sched.h", "include/trace/events/power.h"
# One after the other, each on top of those before.
_EDITS: dict[str, Callable[[Copy], object]] = {
    "an event": lambda copy: copy.edit(_SCHED, r"TRACE_EVENT\(sched_switch,", "TRACE_EVENT(sched_swotch,"),
    "a field": lambda copy: copy.edit(_SCHED, r"__field\(\s*pid_t,", "__field(long,"),
    "a length": lambda copy: copy.edit("include/linux/phy.h", r"(#define MII_BUS_ID_SIZE\s+)61", r"\g<1>62"),
    "an enumerator or macro": lambda copy: copy.edit(
        "include/linux/sched.h", r"(\bTASK_COMM_LEN\b\s*=?\s*)16", r"\g<1>24"
    ),
    "a typedef": lambda copy: copy.edit("fs/xfs/libxfs/xfs_types.h", r"uint32_t(\s+xfs_agblock_t)", r"uint64_t\1"),
    "a struct": lambda copy: copy.edit("include/uapi/linux/in6.h", r"struct in6_addr \{", "struct in6_addr {\nint x;"),
    "a new header": lambda copy: (copy.root / "include/trace/events/tpgen.h").write_text(_NEW.format("u32", "u32")),
    "a new fragment": lambda copy: (
        copy.edit(_POWER, r"#endif /\* _TRACE_POWER_H \*/", '#include "tpgen_part.h"\n#endif'),
        (copy.root / "include/trace/events/tpgen_part.h").write_text(_PART.format("int", "loff_t")),
    ),
    "a fragment": lambda copy: copy.edit("include/trace/events/tpgen_part.h", "loff_t", "pgoff_t"),
    "no fragment": lambda copy: (copy.root / "include/trace/events/tpgen_part.h").unlink(),
    "a header less": lambda copy: (copy.root / "include/trace/events/ext4.h").unlink(),
    "another name": lambda copy: (copy.root / "include/trace/events/xdp.h").rename(copy.root / "net/xdp_trace.h"),
    "an include more": lambda copy: copy.edit("include/linux/types.h", "#include", "#include <linux/phy.h>\n#include"),
    "a missing type": lambda copy: (copy.root / "include/linux/if_ether.h").unlink(),
    "a new directory": lambda copy: (
        (copy.root / "drivers/sched").mkdir(),
        (copy.root / "drivers/sched/own.h").write_text("struct sched_info { int x; };\n#define TASK_COMM_LEN 7\n"),
    ),
    "another release": lambda copy: copy.edit("Makefile", r"(?m)^VERSION = \d+", "VERSION = 4"),
}  # fmt: skip


# Each edit is read twice, once without the cache: two kernels take minutes.
@pytest.mark.parametrize("case", ["6.1", "7.2"], indirect=True)
def test_after_each_edit_of_a_tree(case: Case, copy: Copy, report: list[str]) -> None:
    first = _kept(copy)
    assert first == _fresh(copy)
    changed = []
    before = first
    for what, edit in (*_EDITS.items(), *_mutations(case)):
        edit(copy)
        after = _kept(copy)
        assert after == _fresh(copy), what
        changed += [what] * (after != before)
        before = after
    report.append(
        f"Linux {case.tree.version}: after edits the cache is right; these changed facts: {', '.join(changed)}"
    )
    # As after `git checkout`.
    copy.restore()
    assert _kept(copy) == first
    # The others change who sees what, which only might.
    assert set(_EDITS) - set(changed) <= {"an include more", "a missing type", "a new directory"}


def _mutations(case: Case) -> Iterator[tuple[str, Callable[[Copy], object]]]:
    """Headers with events, and headers that these include, without one of their lines."""
    with_events = sorted(path for path, text in case.headers.items() if _FAMILY.search(text))
    for names in (with_events, sorted(map(case.relative, (case.tree.headers / "include/linux").glob("*.h")))):
        for name in names[:: len(names) // _MUTATED]:
            yield name, lambda copy, name=name: _shorten(copy.root / name)


def _shorten(path: Path) -> None:
    """Take the line in the middle away, where the file is still there."""
    if path.exists():
        lines = path.read_bytes().split(b"\n")
        path.write_bytes(b"\n".join(lines[: len(lines) // 2] + lines[len(lines) // 2 + 1 :]))


@pytest.mark.parametrize("case", ["6.1", "7.2"], indirect=True)
def test_each_configuration_has_its_own_facts(case: Case, copy: Copy) -> None:
    config = parse_config(case.tree.config.read_text())
    for change in ({}, {"CONFIG_NUMA_BALANCING": "n"}, {"CONFIG_PREEMPT_RT": "y"}, {}):
        changed = {name: value for name, value in (config | change).items() if value != "n"}
        assert _kept(copy, changed) == _fresh(copy, changed)


def _kept(copy: Copy, config: dict[str, str] | None = None) -> HeaderFacts:
    return Headers(str(copy.root), _TARGET, config, use_cache=True).resolved


def _fresh(copy: Copy, config: dict[str, str] | None = None) -> HeaderFacts:
    return Headers(str(copy.root), _TARGET, config).resolved
