"""The forms that travel with the templates are what jinja2 makes of these, and no edit of a template is passed over."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cli import tpgen
from support.small_kernel import write_btf

from tpgen.backends import prerendered as forms
from tpgen.backends import templates
from tpgen.backends.bpf import render as bpf_render

TEMPLATES = Path(__file__).parents[3] / "templates"


def test_they_are_what_the_templates_make() -> None:
    made = forms.forms_text("bpf", bpf_render.SHAPES)
    assert made == (TEMPLATES / "bpf" / "forms.txt").read_text(), "run `python templates/make_forms.py`"


def test_they_are_of_all_templates() -> None:
    assert {f"{name}.j2" for name in bpf_render.SHAPES} == {path.name for path in TEMPLATES.glob("bpf/*.j2")}


def test_no_header_needs_jinja2(tmp_path: Path) -> None:
    """Events with all kinds of arguments and fields, and system calls, from a kernel that comes with tpgen."""
    code = "import sys; sys.modules['jinja2'] = None; from tpgen.cli import main; sys.exit(main(sys.argv[1:]))"
    patterns = ("sched:*", "block:*", "net:*", "syscalls:*open*", "workqueue:*", "xdp:*", "rcu:*")
    command = (sys.executable, "-c", code, *patterns, "--kernel", "debian-6.12-amd64", "-o", str(tmp_path))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert {"raw_sched_switch.h", "tp_sched_switch.h", "raw_sys_enter_openat.h"} <= {p.name for p in tmp_path.iterdir()}


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the templates that this run uses instead."""
    shutil.copytree(TEMPLATES, tmp_path / "templates")
    monkeypatch.setattr("tpgen.paths.__file__", str(tmp_path / "tpgen" / "paths.py"))
    caches = (forms.form, forms._shipped, forms._checksum, templates.template, templates._environment)
    for cache in caches:
        cache.cache_clear()
    yield tmp_path / "templates" / "bpf"
    for cache in caches:
        cache.cache_clear()


def test_an_edited_template_is_used_at_once(copied: Path, tmp_path: Path) -> None:
    btf = write_btf(tmp_path / "b")
    (copied / "value.h.j2").write_text("\nedited %(name)s{{ ' as a pointer' if 'if_pointer' in shape }}\n")
    out = tpgen("sched_switch", "--raw", "--btf", btf).out
    assert "\nedited raw_sched_switch_preempt\n" in out
    assert "\nedited raw_sched_switch_prev as a pointer\n" in out


def test_a_form_is_taken_as_it_is(copied: Path, tmp_path: Path) -> None:
    """Or the other tests would not tell of the forms but of jinja2."""
    made = copied / "forms.txt"
    made.write_text(made.read_text().replace("_Static_assert(sizeof", "_Forged_assert(sizeof"))
    assert "_Forged_assert(sizeof" in tpgen("sched_switch", "--raw", "--btf", write_btf(tmp_path / "b")).out
