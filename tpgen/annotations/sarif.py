"""SARIF 2.1.0, which code scanning services read.

Source: OASIS, Static Analysis Results Interchange Format (SARIF) Version 2.1.0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tpgen import __version__
from tpgen.annotations.annotation import Annotation

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
#: What SARIF calls the directory that relative paths are below.
_ROOT = "%SRCROOT%"


def sarif_log(tool: str, annotations: Iterable[Annotation]) -> dict[str, Any]:
    """The log of one run of a tool: a result for each annotation."""
    annotations = list(annotations)
    codes = sorted({annotation.code for annotation in annotations})
    driver = {"name": tool, "version": __version__, "rules": [{"id": code} for code in codes]}
    results = [_result(annotation, codes) for annotation in annotations]
    run = {"tool": {"driver": driver}, "columnKind": "utf16CodeUnits", "results": results}
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _result(annotation: Annotation, codes: Sequence[str]) -> dict[str, Any]:
    title = f"{annotation.title}: " if annotation.title else ""
    result: dict[str, Any] = {
        "ruleId": annotation.code,
        "ruleIndex": codes.index(annotation.code),
        "level": annotation.level,
        "message": {"text": f"{title}{annotation.message}"},
    }
    if location := _location(annotation):
        result["locations"] = [location]
    if annotation.fingerprint:
        result["partialFingerprints"] = {"tpgenFinding/v1": _digest(annotation.fingerprint)}
    if annotation.properties:
        result["properties"] = dict(annotation.properties)
    return result


def _location(annotation: Annotation) -> dict[str, Any]:
    location: dict[str, Any] = {}
    if annotation.path is not None:
        physical: dict[str, Any] = {"artifactLocation": _artifact(annotation.path)}
        region = {"startLine": annotation.line, "startColumn": annotation.column}
        if annotation.line:
            physical["region"] = {name: number for name, number in region.items() if number}
        location["physicalLocation"] = physical
    if annotation.function is not None:
        location["logicalLocations"] = [{"name": annotation.function, "kind": "function"}]
    return location


def _artifact(path: str) -> dict[str, str]:
    from urllib.parse import quote

    quoted = quote(path, errors="surrogatepass")
    return {"uri": f"file://{quoted}"} if path.startswith("/") else {"uri": quoted, "uriBaseId": _ROOT}


def _digest(parts: Iterable[str]) -> str:
    from hashlib import sha256

    return sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
