"""What a build is asked for on the command line, and whether there is anything to do for it.

`tpgen build` is a step of every build, and mostly finds nothing to do. That is found out here with next to nothing
imported, not even argparse: the words that it takes to ask for a build are few.
"""

from __future__ import annotations

import os

from tpgen.building import depfile as tell
from tpgen.building.manifest import dump, load

TYPE_CHECKING = False  # as in typing, whose import is not worth it
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tpgen.building.manifest import Manifest

#: The options that mean the kernel, or pick events, wherever tpgen.toml does not.
SOURCES = ("kernel", "btf", "tracefs", "headers", "config", "arch", "module")
_WRITTEN = {"stamp", "depfile"}
_KNOWN = {"", "check", "output", *_WRITTEN, *SOURCES}


class Request:
    """One build: the tpgen.toml, the directory, whether to check only, and which files to tell others by.

    `sources` are the options of `SOURCES` that are given, as `--NAME=VALUE`.
    """

    def __init__(
        self,
        toml: str,
        output: str | None = None,
        stamp: str | None = None,
        depfile: str | None = None,
        check: bool = False,
        sources: Iterable[str] = (),
    ) -> None:
        self.toml = toml
        self.stamp = stamp
        self.depfile = depfile
        self.check = check
        self.root = output or os.path.dirname(toml) or "."
        name = os.path.basename(toml).removesuffix(".toml")
        self.manifest_path = os.path.join(self.root, f".{name}.manifest")
        sources = sorted(sources)
        self.arguments = [os.path.abspath(toml), *sources, *([os.getcwd()] if sources else [])]

    @classmethod
    def of(cls, words: list[str]) -> Request | None:
        """The build that these words ask for; None where it takes argparse to tell, or to refuse them."""
        pairs = list(_pairs(words))
        given = dict(pairs)
        counts = [sum(name == other for name, _ in pairs) for other in given if other != "btf"]
        if not set(given) <= _KNOWN or max(counts, default=0) > 1 or ("check" in given and _WRITTEN & set(given)):
            return None
        sources = [f"--{name}={value}" for name, value in pairs if name in SOURCES]
        return cls(
            given.get("", "tpgen.toml"),
            given.get("output"),
            given.get("stamp"),
            given.get("depfile"),
            "check" in given,
            sources,
        )

    def load(self) -> Manifest:
        """The manifest of the last build, an empty one where there was none."""
        return load(self.manifest_path)

    def is_done(self, manifest: Manifest) -> bool:
        """Whether there is nothing to do. Of files whose times alone changed the new times are remembered."""
        if not manifest.fresh(self.root, self.arguments):
            return False
        if not self.check:
            _write(self.manifest_path, dump(manifest))
            self.tell_others(manifest)
        return True

    def tell_others(self, manifest: Manifest) -> None:
        """Write the stamp and the depfile, where they are asked for and not as they should be."""
        if self.stamp is not None:
            _write(self.stamp, tell.sums(manifest).encode())
        if self.depfile is not None:
            made = [os.path.join(self.root, name) for name in manifest.outputs]
            _write(self.depfile, tell.depfile([self.stamp] if self.stamp else made, manifest.inputs).encode())


def _pairs(words: list[str]) -> Iterator[tuple[str, str]]:
    """Options with their values; the name is "" for what is no option, and the word itself for a riddle."""
    rest = iter(words)
    for word in rest:
        option, equals, value = word.partition("=")
        if not word.startswith("-"):
            yield "", word
        elif word == "--check":
            yield "check", ""
        elif word == "-o" or (option.startswith("--") and option not in ("--", "--check")):
            value = value if equals else next(rest, "")
            name = "output" if word == "-o" else option[2:]
            yield (name, value) if value and not value.startswith("-") else (word, "")
        else:
            yield word, ""


def nothing_to_do(words: list[str]) -> bool:
    """Whether `tpgen build WORDS` finds everything as it should be; False also where it takes more to tell."""
    request = Request.of(words)
    return request is not None and request.is_done(request.load())


def _write(path: str, data: bytes) -> None:
    """Write a file if that changes it. What writes is imported only then."""
    try:
        with open(path, "rb") as file:
            if file.read() == data:
                return
    except OSError:
        pass
    from tpgen.output import write_file

    write_file(path, data)
