"""A request for a build, and whether there is anything to do for it.

`tpgen build` is a step of every build, and mostly finds nothing to do. That is decided here with next to nothing
imported, not even argparse: the words that it takes to ask for a build are few.
"""

from __future__ import annotations

import os
from stat import S_ISREG

from tpgen.building.depfile import checksums, depfile
from tpgen.building.manifest import dump, load
from tpgen.kernel.options import FLAG, KERNEL_OPTIONS

TYPE_CHECKING = False  # as in typing, whose import is not worth it
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tpgen.building.manifest import Manifest

# The options with a value: those of a build by their names, and those that mean the kernel, or pick events, wherever
# tpgen.toml does not.
_OWN = {"-o": "output", "--output": "output", "--stamp": "stamp", "--depfile": "depfile"}
_KERNEL = {option.flag: option.repeatable for option in KERNEL_OPTIONS if option.kind != FLAG}
# These may be joined with their values. Between the two the order decides: given both, argparse sorts them out.
_JOINED = {"-D", "-U"}
_RIDDLE = "?"
_WRITTEN = {"stamp", "depfile"}
_KNOWN = {"", "check", *_OWN.values(), *_KERNEL}


class BuildRequest:
    """A build: the tpgen.toml, the directory, whether to check only, and the stamp and depfile to write.

    `given` are the options that mean the kernel, as their flags with a value each.
    """

    def __init__(
        self,
        toml: str,
        output: str | None = None,
        stamp: str | None = None,
        depfile: str | None = None,
        check: bool = False,
        given: Iterable[tuple[str, str]] = (),
    ) -> None:
        self.toml = toml
        self.stamp = stamp
        self.depfile = depfile
        self.check = check
        self.root = output or os.path.dirname(toml) or "."
        name = os.path.basename(toml).removesuffix(".toml")
        self.manifest_path = os.path.join(self.root, f".{name}.manifest")
        words = [f"{flag}={value}" for flag, value in sorted(given, key=lambda pair: pair[0])]
        self.arguments = [os.path.abspath(toml), *words, *([os.getcwd()] if words else [])]

    @classmethod
    def of(cls, words: list[str]) -> BuildRequest | None:
        """The build that these words ask for; None where it takes argparse to decide, or to refuse them."""
        pairs = list(_pairs(words))
        given = dict(pairs)
        counts = [sum(name == other for name, _ in pairs) for other in given if not _KERNEL.get(other)]
        if not set(given) <= _KNOWN or set(given) >= _JOINED or max(counts, default=0) > 1:
            return None
        if "check" in given and _WRITTEN & set(given):
            return None
        return cls(
            given.get("", "tpgen.toml"),
            given.get("output"),
            given.get("stamp"),
            given.get("depfile"),
            "check" in given,
            [(flag, value) for flag, value in pairs if flag in _KERNEL],
        )

    def load(self) -> Manifest:
        """The manifest of the last build, an empty one where there was none."""
        return load(self.manifest_path)

    def is_done(self, manifest: Manifest) -> bool:
        """Whether there is nothing to do. The new times of files whose content is unchanged are stored."""
        if not manifest.fresh(self.root, self.arguments):
            return False
        if not self.check:
            if manifest.inputs.restamped:
                self._write_manifest(dump(manifest))
            self.write_side_files(manifest)
        return True

    def _write_manifest(self, data: bytes) -> None:
        """Write the manifest where it has changed. That it is no symbolic link is known, since it was read."""
        if _content(self.manifest_path) != data:
            from tpgen.output import Inside, write_files

            with Inside(self.root) as home:
                write_files(home, [(os.path.basename(self.manifest_path), data)])

    def write_side_files(self, manifest: Manifest) -> None:
        """Write the stamp and the depfile, if they are asked for and not up to date."""
        if self.stamp is not None:
            _write(self.stamp, checksums(manifest).encode())
        if self.depfile is not None:
            made = [os.path.join(self.root, name) for name in manifest.outputs]
            _write(self.depfile, depfile([self.stamp] if self.stamp else made, manifest.inputs).encode())


def _pairs(words: list[str]) -> Iterator[tuple[str, str]]:
    """Options with their values: own ones by name, those of the kernel by flag; "" is the name of what is no option,
    and `_RIDDLE` that of what takes argparse."""
    rest = iter(words)
    for word in rest:
        flag, equals, value = word.partition("=")
        if not word.startswith("-"):
            yield "", word
        elif word == "--check":
            yield "check", ""
        elif word[:2] in _JOINED and word[2:3] not in ("", "="):
            yield word[:2], word[2:]
        elif (flag in _OWN or flag in _KERNEL) and (flag.startswith("--") or not equals):
            value = value if equals else next(rest, "")
            yield (_OWN.get(flag, flag), value) if value and not value.startswith("-") else (_RIDDLE, "")
        else:
            yield _RIDDLE, ""


def nothing_to_do(words: list[str]) -> bool:
    """Whether `tpgen build WORDS` has nothing to do; False also where it takes argparse to decide."""
    request = BuildRequest.of(words)
    return request is not None and request.is_done(request.load())


def _write(path: str, data: bytes) -> None:
    """Write a file if that changes it. The writer is imported only then."""
    if _content(path) != data:
        from tpgen.output import write_file

        write_file(path, data)


def _content(path: str) -> bytes | None:
    """The content of a regular file, None where there is none."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            return file.read() if S_ISREG(os.fstat(file.fileno()).st_mode) else None
    except OSError:
        return None
