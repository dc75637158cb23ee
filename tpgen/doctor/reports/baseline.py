"""Baselines: findings that are known already, as an earlier `tpgen doctor --json` printed them.

A finding is known again though its line moved: by the program with its section, the kernel, the code, the place in the
context and what was expected there. Of the object the name counts, without folders and without an offset.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from tpgen.basics.frozen import replace
from tpgen.diagnostics import TpgenError, fail
from tpgen.doctor.findings import Judgement, Verdict
from tpgen.doctor.reports.as_json import judgement_json

_OFFSET = re.compile(r"@\d+\Z", re.ASCII)


class Identity(NamedTuple):
    """The parts of a finding by which it is known again."""

    object: str
    program: str
    section: str
    kernel: str
    code: str
    slot: int | None
    offset: int | None
    name: str | None
    type: str | None


def object_name(name: str) -> str:
    """The name of an object without its folders, and without where in the file it is."""
    return _OFFSET.sub("", name).rpartition("/")[2]


def identities(item: dict[str, Any]) -> Iterator[Identity]:
    """The identities of the findings of an item of `tpgen doctor --json`, in their order."""
    name = object_name(item["object"])
    for finding in item["findings"]:
        expected = finding["expected"] or {"name": None, "type": None}
        yield Identity(
            name, item["program"], item["section"], item["kernel"],
            finding["code"], finding["slot"], finding["offset"], expected["name"], expected["type"],
        )  # fmt: skip


class Baseline:
    """Known findings."""

    def __init__(self, known: Iterable[Identity] = ()) -> None:
        self._known = frozenset(known)

    @classmethod
    def read(cls, data: bytes, path: str) -> Baseline:
        """The findings of a file that `tpgen doctor --json` wrote. Raises `TpgenError` `baseline-malformed`."""
        try:
            items = json.loads(data)
            found = [identity for item in items for identity in identities(item)]
            hash(tuple(found))  # lists and objects have no place in one
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise _malformed(path) from None
        if not isinstance(items, list):
            raise _malformed(path)
        return cls(found)

    def new(self, judgement: Judgement) -> Judgement:
        """The judgement with the findings alone that are not known, and the verdict that these make."""
        pairs = zip(judgement.findings, identities(judgement_json(judgement)), strict=True)
        left = tuple(finding for finding, identity in pairs if identity not in self._known)
        if len(left) == len(judgement.findings):
            return judgement
        worst = max((finding.verdict for finding in left), key=lambda verdict: verdict.rank, default=Verdict.FINE)
        return replace(judgement, findings=left, verdict=worst)


def _malformed(path: str) -> TpgenError:
    message = "not an array of findings"
    return fail("baseline-malformed", message, path, "write one with `tpgen doctor OBJECT --json > FILE`")
