"""Kill tpgen while it writes, and look at what it leaves. A program: `kills.py COUNT FOLDER [SEED]`.

Each command that writes is run in a fork of this process, and gets SIGKILL, SIGTERM or SIGINT: at one of the moments
that Python audits (opening, renaming, removing, making a directory), or after some time. Every file is then the old one
or the new one; the next run ends as if nothing had happened; a day later, nothing else is left.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import tpgen.__main__ as program
from support.small_kernel import small_btf, write_btf
from tpgen.cache.private_files import PrivateFiles

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
HEADER = "#define TRACE_SYSTEM mine\nTRACE_EVENT(one, TP_PROTO(int a), TP_ARGS(a), TP_STRUCT__entry(), , );\n"
TOML = '[kernel.k]\nbtf = "%s"\n[[generate]]\nevents = [%s]\nkernel = "k"\ndirectory = "include"\n'
DAY = 86_400


class Job(NamedTuple):
    """A command, with what makes the state before it. `product` are its files and directories.

    With `is_once` it is an error to give the command again once it was done.
    """

    words: Sequence[str]
    prepare: Callable[[Path], None]
    product: str
    is_once: bool = False


def prepare_nothing(folder: Path) -> None:
    pass


def prepare_files(folder: Path) -> None:
    for name in ("raw_sched_switch.h", "tp_sched_switch.h"):
        (folder / "out" / name).write_text("old\n")


def prepare_build(folder: Path) -> None:
    """A build of other events, so that files are replaced, made and removed."""
    (folder / "tpgen.toml").write_text(TOML % ("other", '"sched_switch", "sched_wakeup"'))
    assert in_fork(["build", str(folder / "tpgen.toml")], folder)[0] == 0
    (folder / "tpgen.toml").write_text(TOML % ("vmlinux", '"sched_switch", "dma_fence_init"'))


def prepare_catalog(folder: Path) -> None:
    assert in_fork(["catalog", "add", "mine", "--btf", str(folder / "other")], folder)[0] == 0


def prepare_two_catalogs(folder: Path) -> None:
    """Two kernels of the user's, and one that stays."""
    prepare_catalog(folder)
    assert in_fork(["catalog", "add", "more", "--kernel", str(folder / "small.tpgen")], folder)[0] == 0
    assert in_fork(["catalog", "add", "stays", "--kernel", str(folder / "small.tpgen")], folder)[0] == 0


def prepare_export(folder: Path) -> None:
    (folder / "out" / "x.tpgen").write_text("old\n")


def jobs(folder: Path) -> dict[str, Job]:
    out = folder / "out"
    btf = ["--btf", str(folder / "vmlinux")]
    return {
        "generate": Job(["sched_switch", "sched_wakeup", *btf, "-o", f"{out}/"], prepare_files, "out"),
        "generate a file": Job(["sched_switch", *btf, "-o", f"{out}/x.h"], prepare_nothing, "out"),
        "build": Job(["build", str(folder / "tpgen.toml")], prepare_build, "include"),
        "catalog add": Job(["catalog", "add", "mine", *btf], prepare_catalog, "data"),
        "catalog add of a file": Job(["catalog", "add", str(folder / "two.tpgen")], prepare_catalog, "data"),
        "catalog remove": Job(["catalog", "remove", "m*"], prepare_two_catalogs, "data", is_once=True),
        "catalog merge": Job(
            ["catalog", "merge", f"{out}/x.tpgen", str(folder / "two.tpgen"), str(folder / "other.tpgen")],
            prepare_export,
            "out",
        ),
        "catalog export": Job(
            ["catalog", "export", str(folder / "small.tpgen"), "-o", f"{out}/x.tpgen"], prepare_export, "out"
        ),
        "cache of headers": Job(["list", "--headers", str(folder / "tree")], prepare_nothing, "out"),
        "cache of output": Job(["sched_switch", "--raw", "-o", f"{out}/x.h"], prepare_nothing, "out"),
    }


def state(folder: Path) -> dict[str, bytes]:
    """The files of a folder, without what killed runs left."""
    files = (path for path in folder.rglob("*") if path.is_file() and not is_left(path))
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def is_left(path: Path) -> bool:
    return path.name.startswith(".tpgen-") or path.name.endswith(".tmp")


def left(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if is_left(path)]


def fresh(folder: Path, job: Job) -> None:
    for name in ("out", "include", "data", "cache"):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / "out").mkdir()
    for path in folder.glob(".*"):
        path.unlink()
    job.prepare(folder)


def in_fork(
    words: Sequence[str], folder: Path, moment: int = 0, number: int = 0, after: float = 0
) -> tuple[int, list[int]]:
    """Run tpgen in a fork: its exit status, negative for a signal; the first moment that writes, and the last of all.

    It gets the signal of that `number` at a moment, counted from 1, or `after` so many seconds.
    """
    count_read, count_write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(count_read)
        run_and_leave(words, folder, moment, number, count_write)
    os.close(count_write)
    if after:
        time.sleep(after)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, number)
    with open(count_read, "rb") as file:
        seen = list(map(int, file.read().split()))
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), seen


def run_and_leave(words: Sequence[str], folder: Path, moment: int, number: int, report: int) -> None:
    seen = writing = 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen, writing
        if event == "open" or event.startswith("os."):
            seen += 1
            if event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_CREAT and not writing:
                writing = seen
            if seen == moment:
                os.kill(os.getpid(), number)

    for name, stream in (("stdout", sys.stdout), ("stderr", sys.stderr)):
        with open(folder / f"{name}.txt", "wb") as file:
            os.dup2(file.fileno(), stream.fileno())
    os.environ.update(XDG_CACHE_HOME=str(folder / "cache"), XDG_DATA_HOME=str(folder / "data"))
    sys.argv[1:] = words
    # Also where nohup, or the background of a script, has it ignored.
    signal.signal(signal.SIGINT, program._leave)
    program._HEEDED = True
    sys.addaudithook(hook)
    code = program.run()
    moment = 0
    os.write(report, b"%d %d" % (writing, seen))
    sys.stdout.flush()
    os._exit(code)


class Ended(NamedTuple):
    """How a command ends that is left alone."""

    before: dict[str, bytes]
    after: dict[str, bytes]
    writing: int
    moments: int
    seconds: float


def left_alone(folder: Path, job: Job) -> Ended:
    fresh(folder, job)
    before, begun = state(folder / job.product), time.monotonic()
    code, (writing, moments) = in_fork(job.words, folder)
    seconds = time.monotonic() - begun
    assert code == 0, (folder / "stderr.txt").read_text()
    return Ended(before, state(folder / job.product), writing, moments, seconds)


def look(folder: Path, job: Job, ended: Ended, code: int, number: int) -> None:
    """Assert what holds after a command was killed."""
    assert code in (0, 130 if number == signal.SIGINT else -number), code
    assert (folder / "stderr.txt").read_text() == ""
    for name, content in state(folder / job.product).items():
        assert content in (ended.before.get(name), ended.after.get(name)), f"{name} is neither the old nor the new one"
    was_done = job.is_once and state(folder / job.product) == ended.after
    assert in_fork(job.words, folder)[0] == 2 * was_done, (folder / "stderr.txt").read_text()
    assert state(folder / job.product) == ended.after


def clean(folder: Path, job: Job) -> int:
    """Return how many files were left, of which a run of a day later leaves none."""
    if not (found := left(folder)):
        return 0
    for path in found:
        os.utime(path, (time.time() - 2 * DAY,) * 2)
    for path in state(folder / job.product):
        if job.product != "data":
            (folder / job.product / path).write_text("edited\n")
    in_fork(job.words, folder)
    for directory in (folder / "cache" / "tpgen").glob("*"):
        with contextlib.suppress(OSError):
            PrivateFiles(directory.name, 100, 1 << 27, str(directory)).write("another", b"x")
    assert left(folder) == [], left(folder)
    return len(found)


def prepare(folder: Path) -> None:
    """Make the inputs of all commands in a folder."""
    (folder / "tree").mkdir(parents=True)
    (folder / "tree" / "mine.h").write_text(HEADER)
    os.utime(folder / "tree" / "mine.h", (0, 0))
    write_btf(folder / "vmlinux")
    other = small_btf()
    other.event("sched_wakeup_new", [("p", other.ptr(other.fwd("other")))])
    write_btf(folder / "other", other)
    prepare_catalog(folder)
    shutil.move(next((folder / "data").rglob("*.tpgen")), folder / "small.tpgen")
    for name, btf in (("mine", "vmlinux"), ("second", "other"), ("third", "other")):
        words = ["catalog", "add", name, "--btf", str(folder / btf), "-o", str(folder / f"{name}.tpgen")]
        assert in_fork(words, folder)[0] == 0
    shutil.move(folder / "third.tpgen", folder / "other.tpgen")
    parts = [str(folder / f"{name}.tpgen") for name in ("mine", "second")]
    assert in_fork(["catalog", "merge", str(folder / "two.tpgen"), *parts], folder)[0] == 0


def main(count: int, folder: Path, seed: int) -> None:
    chance, told = random.Random(seed), Counter[str]()
    prepare(folder)
    known = {name: (job, left_alone(folder, job)) for name, job in jobs(folder).items()}
    for turn in range(count):
        name = list(known)[turn % len(known)]
        (job, ended), number = known[name], SIGNALS[turn // len(known) % len(SIGNALS)]
        fresh(folder, job)
        if chance.random() < 0.7:
            first = 1 if chance.random() < 0.2 else ended.writing
            code, _ = in_fork(job.words, folder, chance.randint(first, ended.moments), number)
        else:
            code, _ = in_fork(job.words, folder, 0, number, chance.uniform(0.001, ended.seconds))
        told["killed" if code else "done before"] += 1
        told["had leftovers"] += bool(left(folder))
        try:
            look(folder, job, ended, code, number)
            told["leftovers removed"] += clean(folder, job)
        except AssertionError as error:
            raise SystemExit(f"turn {turn}, {name}, {number.name}, seed {seed}: {error}") from error
    sys.stdout.write(", ".join(f"{word}: {times}" for word, times in sorted(told.items())) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 1)
