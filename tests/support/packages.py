"""A kernel's package files, as dpkg-deb and rpmbuild make them of a directory."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path


def missing_package_tools() -> str | None:
    """The reason why packages cannot be made here; None where they can."""
    missing = [tool for tool in ("dpkg-deb", "rpmbuild") if shutil.which(tool) is None]
    return f"{', '.join(missing)} not installed" if missing else None


def make_deb(root: Path, path: Path, compression: str = "xz") -> Path:
    """A package with the files below `root`; returns its `path`."""
    control = root / "DEBIAN"
    control.mkdir()
    (control / "control").write_text(
        "Package: linux-image\nVersion: 1\nArchitecture: amd64\nMaintainer: nobody <nobody@localhost>\nDescription: x\n"
    )
    command = ("dpkg-deb", "--root-owner-group", f"-Z{compression}", "--build", str(root), str(path))
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(control)
    return path


_SPEC = """\
Name: kernel
Version: 1
Release: 1
Summary: x
License: x
%description
x
%install
cp -r {root}/. %{{buildroot}}
%files
{files}
"""
# Whatever rpm would do to the files: strip, compress and look for what they need.
_UNTOUCHED = {
    "__os_install_post": "%nil",
    "debug_package": "%nil",
    "_build_id_links": "none",
    "__find_requires": "%nil",
}


def make_rpm(root: Path, path: Path, compression: str = "w19.zstdio") -> Path:
    """A package with the files below `root`; `compression` is as rpm's _binary_payload has it. Returns its `path`."""
    top = path.with_suffix(".build")
    top.mkdir()
    files = "\n".join(f"/{file.relative_to(root)}" for file in sorted(root.rglob("*")) if file.is_file())
    spec = top / "kernel.spec"
    spec.write_text("AutoReqProv: no\n" + _SPEC.format(root=root, files=files))
    macros = {"_topdir": str(top), "_binary_payload": compression, **_UNTOUCHED}
    defines = [word for name, value in macros.items() for word in ("--define", f"{name} {value}")]
    command = ("rpmbuild", "-bb", "--quiet", "--target", "x86_64", *defines, str(spec))
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    (made,) = top.glob("RPMS/x86_64/*.rpm")
    made.rename(path)
    shutil.rmtree(top)
    return path
