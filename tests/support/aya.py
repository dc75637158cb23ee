"""aya with Debian 13's Rust, out of packages that are only unpacked.

The crates are those of Debian's packages. Debian does not have three things, and each has a replacement here: the crate
aya-ebpf (a stand-in of our own, unless TPGEN_AYA names a checkout of aya), bpf-linker (LLVM's own tools), and a core
library for BPF (compiled once from Debian's sources).
"""

from __future__ import annotations

import functools
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from support.debian import AptRoot, cache_dir

#: The variable that names a checkout of aya.
CHECKOUT = "TPGEN_AYA"
_STAND_IN = {"aya-ebpf": Path(__file__).parent.parent / "data" / "aya_ebpf"}
_OF_CHECKOUT = {
    "aya-ebpf": "ebpf/aya-ebpf",
    "aya-ebpf-bindings": "ebpf/aya-ebpf-bindings",
    "aya-ebpf-cty": "ebpf/aya-ebpf-cty",
    "aya-ebpf-macros": "aya-ebpf-macros",
}
_SUITE = "trixie"
_LLVM = "llvm-19"  # that of rustc
# The last two are what aya-ebpf itself is made of.
_PACKAGES = (
    "cargo", "rustc", "rust-src", _LLVM, "librust-aya-dev", "librust-proc-macro-error-dev", "librust-rustversion-dev",
)  # fmt: skip
_TARGET = "bpfel-unknown-none"
_BUILTINS = "#![feature(compiler_builtins)]\n#![compiler_builtins]\n#![no_std]\n#![allow(internal_features)]\n"
# A program of Debian 13 by its own loader and libraries.
_WRAPPER = """\
#!/bin/sh
here=$(dirname "$(dirname "$0")")
libraries=$here/usr/lib/x86_64-linux-gnu
exec "$libraries/ld-linux-x86-64.so.2" --library-path "$libraries" "$here/{program}" "$@"
"""


@functools.cache
def unpacked() -> Path:
    """The folder of it all: `tools` has the commands. 260 MB are downloaded once, and 1.5 GB kept."""
    apt = AptRoot(_SUITE, cache_dir())
    folder = cache_dir() / f"aya-{apt.version('librust-aya-dev')}-rust-{apt.version('rustc')}"
    if not folder.exists():
        scratch = folder.with_name(f"{folder.name}.{os.getpid()}")
        scratch.mkdir(parents=True)
        for package in apt.download_to_install(*_PACKAGES):
            subprocess.run(f"dpkg-deb --fsys-tarfile '{package}' | tar -xC '{scratch}'", shell=True, check=True)
            package.unlink()
        tools = scratch / "tools"
        tools.mkdir()
        for tool in ("cargo", "rustc"):
            _script(tools / tool, _WRAPPER.format(program=f"usr/bin/{tool}"))
        for tool in ("llc", "llvm-link", "opt"):
            _script(tools / tool, _WRAPPER.format(program=f"usr/lib/{_LLVM}/bin/{tool}"))
        _make_core(scratch)
        scratch.rename(folder)
    return folder


@dataclass(frozen=True)
class Rust:
    """How to run cargo."""

    environment: Mapping[str, str]
    #: The command for BPF programs; that for user space is plain `cargo`.
    programs: str


def rust(home: Path) -> Rust:
    """Has cargo build for both sides. What is cargo's own goes to the directory `home`."""
    folder, tools = unpacked(), home / "tools"
    tools.mkdir()
    linker = shlex.join((sys.executable, str(Path(__file__).parent / "bpf_linker.py"), "--llvm", f"{folder}/tools/"))
    _script(tools / "bpf-linker", f'#!/bin/sh\nexec {linker} "$@"\n')
    (home / "config.toml").write_text(
        f"[source.crates-io]\nreplace-with = 'debian'\n\n"
        f"[source.debian]\ndirectory = '{folder}/usr/share/cargo/registry'\n\n"
        "[net]\noffline = true\n"
    )
    checkout = os.environ.get(CHECKOUT)
    crates = {name: Path(checkout, path) for name, path in _OF_CHECKOUT.items()} if checkout else _STAND_IN
    patches = "".join(f"{name} = {{ path = '{path}' }}\n" for name, path in crates.items())
    (home / "aya_ebpf.toml").write_text(f"[patch.crates-io]\n{patches}")
    inherited = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    own = {
        "PATH": f"{folder}/tools:{tools}:{os.environ['PATH']}",
        "CARGO_HOME": str(home),
        "CARGO_TARGET_BPFEL_UNKNOWN_NONE_RUSTFLAGS": f"--sysroot={folder}/core",
        # aya-ebpf wants nightly Rust.
        "RUSTC_BOOTSTRAP": "1",
    }
    return Rust(inherited | own, shlex.join(("cargo", "--config", str(home / "aya_ebpf.toml"))))


def _make_core(folder: Path) -> None:
    """Compiles core for BPF, which -Z build-std would do with crates that Debian does not have."""
    library = folder / "core" / "lib" / "rustlib" / _TARGET / "lib"
    library.mkdir(parents=True)
    (folder / "builtins.rs").write_text(_BUILTINS)
    (source,) = folder.glob("usr/src/rustc-*/library/core/src/lib.rs")
    flags = ("--edition", "2021", "--crate-type", "rlib", "--target", _TARGET, "-Cpanic=abort", "-Copt-level=3")
    for name, path in (("core", source), ("compiler_builtins", folder / "builtins.rs")):
        command = ("tools/rustc", *flags, "--sysroot", "core", "--cap-lints", "allow", "--crate-name", name, path)
        environment = os.environ | {"RUSTC_BOOTSTRAP": "1"}
        subprocess.run((*command, "--out-dir", library), cwd=folder, env=environment, check=True)
    shutil.rmtree(source.parents[2])


def _script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)
