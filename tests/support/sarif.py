"""The schema of SARIF, by OASIS, which is no part of this repository: it is fetched once, and kept."""

from __future__ import annotations

import functools
import json
import urllib.error
import urllib.request
from typing import Any

import pytest
from jsonschema import Draft4Validator

from support.debian import cache_dir

_WHERE = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def against_schema(log: Any) -> list[str]:
    """What the schema has to say against a log. The test is skipped where the schema cannot be had."""
    return [error.message for error in _validator().iter_errors(log)]


@functools.cache
def _validator() -> Draft4Validator:
    path = cache_dir() / "sarif-schema-2.1.0.json"
    if not path.exists():
        try:
            with urllib.request.urlopen(_WHERE, timeout=20) as answer:
                text = answer.read()
        except (OSError, urllib.error.URLError) as error:
            pytest.skip(f"the schema cannot be had: {error}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
    return Draft4Validator(json.loads(path.read_text()))
