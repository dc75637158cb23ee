"""The workflow of examples/fleet over small kernels: whole, with a damaged package, killed and gone on with."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.btf_builder import bzimage, elf
from support.compressors import lz4
from support.live import wait_until
from support.packages import make_deb
from support.small_kernel import small_btf

FLEET = Path(__file__).parents[2] / "examples" / "fleet"
_COLUMNS = ("kernel", "arch", "distribution", "role", "sha256", "bytes", "url")
_KERNELS = [f"small-{number}" for number in range(6)]

pytestmark = pytest.mark.package_tools


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A package for each kernel."""
    root, found = tmp_path_factory.mktemp("packages"), {}
    for number, name in enumerate(_KERNELS):
        image = root / name / "boot" / f"vmlinuz-6.{number}.0-amd64"
        image.parent.mkdir(parents=True)
        image.write_bytes(bzimage(lz4(elf({".BTF": small_btf().blob()}))))
        found[name] = make_deb(root / name, root / f"linux-image-{name}.deb")
    return found


@pytest.fixture(scope="module")
def headers(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The headers of a kernel without BTF, in two packages as Debian has them."""
    root = tmp_path_factory.mktemp("headers")
    common, own = (root / part / "usr/src" / f"linux-headers-6.9-{part}" for part in ("common", "armmp"))
    (common / "include/trace/events").mkdir(parents=True)
    (common / "Makefile").write_text("VERSION = 6\nPATCHLEVEL = 9\nSUBLEVEL = 0\n")
    (common / "include/trace/events/tiny.h").write_text(_HEADER)
    own.mkdir(parents=True)
    (own / ".config").write_text("CONFIG_ARM=y\n")
    (own / "Makefile").write_text("include /usr/src/linux-headers-6.9-common/Makefile\n")
    return [make_deb(root / part, root / f"linux-headers-{part}.deb") for part in ("common", "armmp")]


_HEADER = """\
#undef TRACE_SYSTEM
#define TRACE_SYSTEM tiny
#include <linux/tracepoint.h>
TRACE_EVENT(tiny_event, TP_PROTO(int number), TP_ARGS(number),
    TP_STRUCT__entry(__field(int, number)),
    TP_fast_assign(__entry->number = number;),
    TP_printk("%d", __entry->number));
#include <trace/define_trace.h>
"""


def write_list(path: Path, *rows: tuple[str, str, str, Path], wrong: str | None = None) -> Path:
    """A list of kernels; that called `wrong` has the checksum of another file."""
    lines = ["\t".join(_COLUMNS)]
    for name, arch, role, package in rows:
        data = package.read_bytes() + (b"!" if name == wrong else b"")
        digest = hashlib.sha256(data).hexdigest()
        lines.append("\t".join((name, arch, "tiny", role, digest, str(len(data)), package.as_uri())))
    path.write_text("\n".join(lines) + "\n")
    return path


def start(folder: Path, kernels: Path, cores: int = 1) -> subprocess.Popen[str]:
    """The workflow, in a process group of its own."""
    folder.mkdir(exist_ok=True)
    config = [f"kernels={kernels}", f"tpgen={Path(sys.executable).parent / 'tpgen'}"]
    beside = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    return subprocess.Popen(
        [FLEET / "fleet", "--cores", str(cores), "--config", *config],
        cwd=folder,
        env=os.environ | {"PATH": beside},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run(folder: Path, kernels: Path, code: int = 0) -> str:
    """What the workflow says when it has run to its end."""
    process = start(folder, kernels)
    _, said = process.communicate()
    assert process.returncode == code, said
    return said


@pytest.fixture(scope="module")
def listed(packages: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [(name, "amd64", "package", path) for name, path in packages.items()]
    return write_list(tmp_path_factory.mktemp("list") / "kernels.tsv", *rows)


@pytest.fixture(scope="module")
def undisturbed(listed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    run(folder, listed)
    return folder


def names_in(catalog: Path) -> list[str]:
    shown = subprocess.run(
        [sys.executable, "-m", "tpgen", "show", "sched_switch", "--json", "--kernel", f"{catalog}:*"],
        capture_output=True,
        text=True,
        check=False,
    )
    return [name for name in (*_KERNELS, "tiny-arm") if name in shown.stdout]


def test_all_kernels(undisturbed: Path) -> None:
    """Every kernel is in the catalog, and no package is left."""
    assert names_in(undisturbed / "fleet.tpgen") == _KERNELS
    assert (undisturbed / "failures.tsv").read_text() == ""
    assert not list(undisturbed.glob("packages/*"))


def test_nothing_is_done_twice(undisturbed: Path, listed: Path) -> None:
    made = [undisturbed / "fleet.tpgen", *sorted((undisturbed / "shards").iterdir())]
    before = [path.stat() for path in made]
    assert "Nothing to be done" in run(undisturbed, listed)
    assert [path.stat().st_mtime_ns for path in made] == [stat.st_mtime_ns for stat in before]


def test_a_damaged_package(packages: dict[str, Path], undisturbed: Path, listed: Path, tmp_path: Path) -> None:
    """It is named, the others are done; when it is whole again only that kernel is made."""
    rows = [(name, "amd64", "package", path) for name, path in packages.items()]
    damaged = write_list(tmp_path / "damaged.tsv", *rows, wrong="small-3")
    said = run(tmp_path / "work", damaged, code=1)
    assert "small-3" in said
    assert [line.split("\t")[0] for line in (tmp_path / "work/failures.tsv").read_text().splitlines()] == ["small-3"]
    catalog = tmp_path / "work/fleet.tpgen"
    assert names_in(catalog) == [name for name in _KERNELS if name != "small-3"]
    run(tmp_path / "work", listed)
    assert catalog.read_bytes() == (undisturbed / "fleet.tpgen").read_bytes()
    assert (tmp_path / "work/failures.tsv").read_text() == ""


def test_a_package_that_is_none(packages: dict[str, Path], tmp_path: Path) -> None:
    """What tpgen says of it stands beside its name."""
    (tmp_path / "text.deb").write_text("no package")
    rows = [("small-0", "amd64", "package", packages["small-0"]), ("text", "amd64", "package", tmp_path / "text.deb")]
    run(tmp_path / "work", write_list(tmp_path / "list.tsv", *rows), code=1)
    name, message = (tmp_path / "work/failures.tsv").read_text().rstrip("\n").split("\t")
    assert name == "text"
    assert message.endswith("neither a .deb nor an .rpm package [package-unknown]")


def count(work: Path) -> int:
    """How many shards there are."""
    return len(list(work.glob("shards/*.tpgen")))


@pytest.mark.parametrize("shards", [1, 3, 5])
def test_killed_and_gone_on_with(shards: int, undisturbed: Path, listed: Path, tmp_path: Path) -> None:
    """SIGKILL to all processes at once when so many shards are there; the same command goes on."""
    work = tmp_path / "work"
    process = start(work, listed)
    wait_until(lambda: process.poll() is not None or count(work) >= shards, f"{shards} shards", 600)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert count(work) >= shards
    assert not (work / "fleet.tpgen").exists()
    kept = {path: path.stat().st_mtime_ns for path in work.glob("shards/*.tpgen")}
    run(work, listed)
    assert (work / "fleet.tpgen").read_bytes() == (undisturbed / "fleet.tpgen").read_bytes()
    again = [path for path, stamp in kept.items() if path.stat().st_mtime_ns != stamp]
    assert len(again) <= 1  # the one at work


def test_a_second_run_at_the_same_time(listed: Path, tmp_path: Path) -> None:
    first = start(tmp_path, listed)
    wait_until(lambda: first.poll() is not None or (tmp_path / "shards").exists(), "the first run to begin", 600)
    second = start(tmp_path, listed)
    _, said = second.communicate()
    assert (second.returncode, said) == (1, "fleet: another run is at work in this directory\n")
    first.communicate()
    assert first.returncode == 0


def test_headers_of_a_kernel_without_btf(headers: list[Path], packages: dict[str, Path], tmp_path: Path) -> None:
    rows = [("tiny-arm", "armhf", "headers", path) for path in reversed(headers)]
    run(tmp_path / "work", write_list(tmp_path / "list.tsv", *rows))
    command = [sys.executable, "-m", "tpgen", "show", "tiny_event", "--kernel", tmp_path / "work/fleet.tpgen"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "int number" in shown
    assert not list((tmp_path / "work").glob("headers/*"))
