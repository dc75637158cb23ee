"""Prerendered templates are what jinja2 makes of the templates, and no edit of one is passed over."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import jinja2
import pytest
from support.cli import tpgen
from support.small_kernel import write_btf

from tpgen.backends import prerendered, templates
from tpgen.backends.bpf import render as bpf_render

TEMPLATES = Path(__file__).parents[3] / "templates"


def test_they_are_what_the_templates_make() -> None:
    made = prerendered.prerendered_text("bpf", bpf_render.FLAG_SETS)
    assert made == (TEMPLATES / "bpf" / "prerendered.txt").read_text(), "run `python templates/prerender.py`"


def test_they_are_of_all_templates() -> None:
    assert {f"{name}.j2" for name in bpf_render.FLAG_SETS} == {path.name for path in TEMPLATES.glob("bpf/*.j2")}


@pytest.mark.parametrize("name", bpf_render.FLAG_SETS)
def test_filled_in_they_are_what_jinja2_renders(name: str) -> None:
    """With values that would be noticed if one of them were taken for part of the template."""
    source = (TEMPLATES / "bpf" / f"{name}.j2").read_text()
    values = {word: f"<%({word})s {{{{ 7 }}}} 100%>" for word in set(re.findall(r"\b[a-z_]+\b", source)) - {"flags"}}
    template = jinja2.Environment(
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined
    ).from_string(source)
    for flags in product(*bpf_render.FLAG_SETS[name]):
        expected = template.render(values, flags=set(flags))
        assert prerendered.fill("bpf", name, flags, **values) == expected


def test_a_value_cannot_be_tested(copied: Path) -> None:
    """Whether it is there would be decided when no value is known yet."""
    (copied / "tags.h.j2").write_text("{% if tags %}{{ tags }}{% endif %}")
    with pytest.raises(jinja2.UndefinedError, match="'tags' is undefined"):
        prerendered.prerendered("bpf", "tags.h")


def test_no_header_needs_jinja2(tmp_path: Path) -> None:
    """Events with all kinds of arguments and fields, and system calls, from a kernel that comes with tpgen."""
    code = "import sys; sys.modules['jinja2'] = None; from tpgen.cli import main; sys.exit(main(sys.argv[1:]))"
    patterns = ("sched:*", "block:*", "net:*", "syscalls:*open*", "workqueue:*", "xdp:*", "rcu:*")
    command = (sys.executable, "-c", code, *patterns, "--kernel", "debian-6.12-amd64", "-o", str(tmp_path))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {"raw_sched_switch.h", "tp_sched_switch.h", "raw_sys_enter_openat.h"} <= {p.name for p in tmp_path.iterdir()}


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the templates that this run uses instead."""
    shutil.copytree(TEMPLATES, tmp_path / "templates")
    monkeypatch.setattr("tpgen.paths.__file__", str(tmp_path / "tpgen" / "paths.py"))
    caches = (
        prerendered.prerendered,
        prerendered._page,
        prerendered._shipped,
        prerendered._checksum,
        templates.template,
        templates._environment,
    )
    for cache in caches:
        cache.cache_clear()
    yield tmp_path / "templates" / "bpf"
    for cache in caches:
        cache.cache_clear()


def test_an_edited_template_is_used_at_once(copied: Path, tmp_path: Path) -> None:
    btf = write_btf(tmp_path / "b")
    (copied / "accessor.h.j2").write_text("\nedited {{ name }} by 100%{{ ' as a pointer' if 'if_pointer' in flags }}\n")
    out = tpgen("sched_switch", "--raw", "--btf", btf).out
    assert "\nedited raw_sched_switch_preempt by 100%\n" in out
    assert "\nedited raw_sched_switch_prev by 100% as a pointer\n" in out


def test_a_prerendered_template_is_taken_as_it_is(copied: Path, tmp_path: Path) -> None:
    """Or the other tests would judge jinja2 alone."""
    made = copied / "prerendered.txt"
    made.write_text(made.read_text().replace("_Static_assert(sizeof", "_Forged_assert(sizeof"))
    assert "_Forged_assert(sizeof" in tpgen("sched_switch", "--raw", "--btf", write_btf(tmp_path / "b")).out
