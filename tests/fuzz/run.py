"""Run the fuzz targets with atheris, one after the other (`tox -e fuzz`, `-- --seconds 3600`, `-- btf formats`).

Each is a process of its own: an input that takes more than 5 seconds of the processor, or 512 MiB beyond what the
process had before the first, is a finding like an exception. Its bytes are stored in the directory of `--findings`.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

_SECONDS_EACH, _MIB_EACH = 5, 512


def main() -> int:
    """Run the targets named, or all; exit status 1 where one found a fault."""
    options = _options()
    if options.inside:
        _fuzz(options.inside, Path(options.findings), options.seconds, Path(options.corpus))
    from fuzz.targets import TARGETS

    failed = [name for name in options.targets or TARGETS if not _run(name, options)]
    print(f"findings: {', '.join(failed)}" if failed else "no findings")
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="fuzz what reads foreign input")
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--corpus", default="", metavar="DIR", help="where inputs that found new paths are kept")
    parser.add_argument("--findings", default="fuzz-findings", metavar="DIR")
    parser.add_argument("--inside", default="", help=argparse.SUPPRESS)
    return parser.parse_args()


def _run(name: str, options: argparse.Namespace) -> bool:
    """Fuzz one target in a process of its own; returns whether it found nothing."""
    from fuzz.corpus import seeds

    with tempfile.TemporaryDirectory(prefix="tpgen-fuzz-") as scratch:
        corpus = Path(options.corpus or scratch, name)
        corpus.mkdir(parents=True, exist_ok=True)
        for seed, data in seeds(name).items():
            (corpus / seed).write_bytes(data)
        command = (sys.executable, __file__, "--inside", name, "--seconds", str(options.seconds))
        places = ("--corpus", str(corpus), "--findings", options.findings)
        environment = os.environ | {"XDG_CACHE_HOME": f"{scratch}/cache", "TMPDIR": scratch, "TPGEN_DEBUG": "1"}
        began = time.monotonic()
        done = subprocess.run((*command, *places), env=environment, stderr=subprocess.PIPE, text=True, check=False)
        counts = re.findall(r"^stat::number_of_executed_units: (\d+)|^#(\d+)\s", done.stderr, re.MULTILINE)
        inputs = max((int(number) for pair in counts for number in pair if number), default=0)
        print(f"{name}: {inputs} inputs in {time.monotonic() - began:.0f} s", flush=True)
        if done.returncode:
            print(done.stderr[-6000:])
        return done.returncode == 0


def _fuzz(name: str, findings: Path, seconds: int, corpus: Path) -> None:
    """Fuzz in this process, which ends."""
    import atheris

    with atheris.instrument_imports(include=["tpgen"]):
        from fuzz import targets
    target = targets.TARGETS[name]
    findings.mkdir(parents=True, exist_ok=True)
    words = Path(os.environ["TMPDIR"], "words")
    words.write_text("".join(f'"{_quoted(word)}"\n' for word in target.words.split()))
    folder = Path(os.environ["TMPDIR"], "input")
    _limit_memory()
    flags = (
        f"-max_total_time={seconds}",
        f"-max_len={target.longest}",
        f"-timeout={12 * _SECONDS_EACH}",  # where even the processor's time cannot be asked for
        "-rss_limit_mb=0",  # the limit of the address space is there instead
        f"-artifact_prefix={findings}/{name}-",
        *([f"-dict={words}"] if target.words else []),
        "-print_final_stats=1",
        "-detect_leaks=0",
        "-reload=0",
    )

    def judged(data: bytes) -> None:
        began = time.process_time()
        targets.run(name, data, folder)
        took = time.process_time() - began
        assert took < _SECONDS_EACH, f"{took:.1f} s"

    atheris.Setup([sys.argv[0], *flags, str(corpus)], judged)
    atheris.Fuzz()


def _quoted(word: str) -> str:
    return word.replace('"', '\\"') if "\\x" in word else word.replace("\\", "\\\\").replace('"', '\\"')


def _limit_memory() -> None:
    """Give the process 512 MiB more of address space than it has: what asks for more gets a MemoryError."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + (_MIB_EACH << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


if __name__ == "__main__":
    sys.exit(main())
