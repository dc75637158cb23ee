"""Makes a BPF object of rustc's bitcode with LLVM's tools, in place of bpf-linker, which only crates.io has.

Its arguments are those that rustc gives: `--export-symbols FILE`, `-o FILE`, and the objects.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

# What LLVM may call where no source does.
_BUILTINS = ("memcpy", "memmove", "memset")
_BITCODE = b"BC"


def link(llvm: str, objects: list[Path], exported: Path, output: Path) -> None:
    """Joins the objects, keeps of them what the exported symbols need, and compiles that."""
    with tempfile.TemporaryDirectory() as scratch:
        joined, kept, public = (Path(scratch, name) for name in ("joined.bc", "kept.bc", "public"))
        public.write_text("".join(f"{name}\n" for name in (*exported.read_text().split(), *_BUILTINS)))
        # rustc's list of symbols is among them, as an ELF file.
        bitcode = [path for path in objects if path.read_bytes().startswith(_BITCODE)]
        passes = "internalize,globaldce,default<O3>,globaldce"
        for command in (
            (f"{llvm}llvm-link", *bitcode, "-o", joined),
            (f"{llvm}opt", f"--internalize-public-api-file={public}", f"-passes={passes}", joined, "-o", kept),
            (f"{llvm}llc", "-march=bpfel", "-mcpu=generic", "-filetype=obj", kept, "-o", output),
        ):
            subprocess.run(command, check=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--llvm", default="")
    parser.add_argument("--export-symbols", type=Path, required=True)
    parser.add_argument("-o", type=Path, required=True)
    parser.add_argument("--cpu")
    parser.add_argument("--debug", action="store_true")
    parser.add_argument("-O")
    parser.add_argument("-L", action="append")
    parser.add_argument("objects", type=Path, nargs="+")
    arguments = parser.parse_intermixed_args()
    link(arguments.llvm, arguments.objects, arguments.export_symbols, arguments.o)


if __name__ == "__main__":
    main()
