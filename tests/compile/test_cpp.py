"""User space in C++ includes generated headers for their structs, which have the same layout there."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from support.cli import tpgen

pytestmark = pytest.mark.compilers

# Members that are called class, new, private and delete are among these.
EVENTS = ("sched:*", "libata:*", "i915:*", "block:*", "regmap:*", "qdisc:*", "xfs:*", "mptcp:*", "sys_*er_openat")


@pytest.mark.parametrize("compiler", ["g++ -std=c++11", "g++ -std=c++20", "clang++ -std=c++20"])
@pytest.mark.parametrize("prelude", ["shared", "inline"])
def test_all_in_one_unit(compiler: str, prelude: str, tmp_path: Path) -> None:
    done = tpgen(*EVENTS, "--kernel", "6.12", "--prelude", prelude, "-o", tmp_path / "include")
    assert done.code == 0
    headers = sorted(path.name for path in (tmp_path / "include").iterdir() if ".xe." not in path.name)
    assert len(headers) > 1000
    unit = tmp_path / "unit.cc"
    unit.write_text("".join(f'#include "{name}"\n' for name in headers))
    command = (*compiler.split(), "-Wall", "-Wextra", "-Werror", "-Iinclude", "-fsyntax-only", unit.name)
    compiled = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (compiled.returncode, compiled.stderr) == (0, "")


def test_a_member_that_is_a_keyword_has_an_underscore(tmp_path: Path) -> None:
    (tmp_path / "raw.h").write_text(tpgen("ata_link_postreset", "--raw", "--kernel", "6.12").out)
    text = (
        '#include "raw.h"\nint main() { raw_ata_link_postreset c{}; c.class_ = nullptr; return c.class_ != nullptr; }\n'
    )
    (tmp_path / "main.cc").write_text(text)
    subprocess.run(("g++", "-Wall", "-Werror", "main.cc", "-o", "main"), cwd=tmp_path, check=True)
    assert subprocess.run((tmp_path / "main",), check=False).returncode == 0
