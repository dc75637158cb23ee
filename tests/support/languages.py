"""Go and Rust, as Debian has them, and the BPF objects that Debian's rustc makes.

rustc knows BPF as a target but has no core library for it: it is compiled once from Debian's sources, and kept. What
rustc makes of a program is LLVM's bitcode, which clang of the same LLVM turns into an object.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from pathlib import Path

from support.compilers import CLANG
from support.debian import cache_dir

#: Debian's, not one that somebody has in front of it on the path.
RUSTC = "/usr/bin/rustc"
STAND_IN = Path(__file__).parent.parent / "data" / "aya_ebpf" / "lib.rs"
_FLAGS = ("--edition", "2021", "--crate-type", "rlib", "-Copt-level=2", "-Cpanic=abort", "-Zalways-encode-mir")
_BUILTINS = (
    "#![allow(unknown_lints, internal_features)]\n#![feature(compiler_builtins)]\n#![compiler_builtins]\n#![no_std]\n"
)


@functools.cache
def missing_languages() -> str | None:
    """Why the tests of other languages cannot run here, None where they can."""
    for tool in ("go", "gofmt", RUSTC, CLANG, "clang-format", "bpftrace"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    if not Path("/usr/share/gocode/src/github.com/cilium/ebpf").exists():
        return "golang-github-cilium-ebpf-dev is not installed"
    return None if _core_source().exists() else "rust-src is not installed"


def run(*command: str | Path, cwd: Path, stdin: str = "", **environment: str) -> str:
    """What the command prints, which must neither fail nor complain."""
    done = subprocess.run(
        command, cwd=cwd, input=stdin, capture_output=True, text=True, env=os.environ | environment, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr[:4000]
    return done.stdout


def rust_object(folder: Path, source: str, target: str) -> Path:
    """The BPF object of a crate whose root is `source`, with the module tracepoints.rs that lies in `folder`."""
    libraries = _libraries(folder, target)
    (folder / "program.rs").write_text(source)
    bitcode, made = folder / f"program.{target}.bc", folder / f"program.{target}.o"
    _rustc(folder, target, libraries, "program", "program.rs", "--emit=obj", "-Ccodegen-units=1", "-o", str(bitcode))
    run(CLANG, "-target", target, "-O2", "-c", "-x", "ir", bitcode, "-o", made, cwd=folder)
    return made


def rust_check(folder: Path, target: str) -> None:
    """Has rustc check tracepoints.rs in `folder`, in a crate without std; a warning is an error."""
    (folder / "check.rs").write_text("#![no_std]\npub mod tracepoints;\n")
    libraries = _libraries(folder, target)
    _rustc(folder, target, libraries, "check", "check.rs", "-Dwarnings", "--emit=metadata", "-o", "check.rmeta")


def rust_errors(folder: Path, source: str, target: str) -> str:
    """What rustc has against a crate whose root is `source`, with the module tracepoints.rs that lies in `folder`."""
    libraries = _libraries(folder, target)
    (folder / "wrong.rs").write_text(source)
    command = _command(target, libraries, "wrong", "wrong.rs", "--emit=metadata", "-o", "wrong.rmeta")
    environment = os.environ | {"RUSTC_BOOTSTRAP": "1"}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, check=False).stderr


def _libraries(folder: Path, target: str) -> tuple[Path, ...]:
    """The folders of core and of the stand-in for aya-ebpf."""
    core = _core(target)
    own = folder / f"stand-in-{target}"
    if not own.exists():
        own.mkdir()
        _rustc(folder, target, (core,), "aya_ebpf", str(STAND_IN), "--emit=metadata", "-o", f"{own}/libaya_ebpf.rmeta")
    return core, own


def _rustc(folder: Path, target: str, libraries: tuple[Path, ...], name: str, *arguments: str) -> None:
    run(*_command(target, libraries, name, *arguments), cwd=folder, RUSTC_BOOTSTRAP="1")


def _command(target: str, libraries: tuple[Path, ...], name: str, *arguments: str) -> tuple[str, ...]:
    paths = [f"-L{path}" for path in libraries]
    paths += ["--extern", "aya_ebpf"] if len(libraries) > 1 else []
    return RUSTC, *_FLAGS, "--target", f"{target}-unknown-none", "--crate-name", name, *paths, *arguments


def _core(target: str) -> Path:
    """The folder of core for the target. It takes 20 s to make, and is made of nothing but what rustc comes with."""
    version = subprocess.run((RUSTC, "--version"), capture_output=True, text=True, check=True).stdout.split()[1]
    folder = cache_dir() / f"rust-core-{version}-{target}"
    if not folder.exists():
        scratch = folder.with_name(f"{folder.name}.{os.getpid()}")
        scratch.mkdir(parents=True)
        lint = "--cap-lints=allow"
        _rustc(scratch, target, (), "core", str(_core_source()), lint, "--emit=metadata", "-o", "libcore.rmeta")
        (scratch / "builtins.rs").write_text(_BUILTINS)
        output = ("--emit=metadata", "-o", "libcompiler_builtins.rmeta")
        _rustc(scratch, target, (scratch,), "compiler_builtins", "builtins.rs", *output)
        scratch.rename(folder)
    return folder


def _core_source() -> Path:
    return next(Path("/usr/src").glob("rustc-*/library/core/src/lib.rs"), Path("/nonexistent"))
