"""A whole kernel straight from its packages: Debian's .deb, and an .rpm that rpmbuild makes of the same files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.cli import Done, tpgen
from support.debian import Shipped
from support.packages import make_rpm

pytestmark = pytest.mark.package_tools


def test_deb_and_rpm_are_the_same_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    shipped, root = Shipped("debian-6.1-amd64"), tmp_path / "root"
    for file in (shipped.vmlinuz, shipped.config, *shipped.modules):
        copy = root / file.relative_to(shipped.image)
        copy.parent.mkdir(parents=True, exist_ok=True)
        os.link(file, copy) if os.stat(file).st_dev == os.stat(tmp_path).st_dev else copy.write_bytes(file.read_bytes())
    rpm = make_rpm(root, tmp_path / "kernel.rpm", "w1.zstdio")
    for name, packages in (("deb", shipped.packages), ("rpm", [rpm])):
        assert tpgen("catalog", "add", name, *packages) == Done(0, "", "")
    of_deb, of_rpm = (tpgen("show", "*", "--json", "--kernel", name) for name in ("deb", "rpm"))
    assert of_deb == of_rpm
    # By bpftool the image and its modules have 639 and 3504 raw tracepoints; FIELD_GUIDE section 4.
    assert of_deb.out.count('"attach_name": "') == 639 + 3504
    said = tpgen("diff", "deb", "rpm", "--exit-code")
    assert (said.code, said.err) == (0, "")
