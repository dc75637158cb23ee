"""The JSON beside the pages against its schema, which lies in the site."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from referencing import Registry, Resource
from support.json_schemas import closed
from support.told_kernel import INT, ToldKernel, event, number, pointer

from tpgen.atlas.site import Atlas, prepare, site
from tpgen.model import Array, Int, Typedef


def kernels() -> dict[str, ToldKernel]:
    text = Array(Int("char", 1, False), 16)
    old = [event("one", {"sk": pointer("sock")}, [number("a", 8)]), event("gone", {"x": INT}, module="mod")]
    new = [
        event("one", {"sk": pointer("sock"), "d": Typedef("dev_t", INT)}, [number("a", 12)]),
        event("bare", {"t": text}),
    ]
    return {"one": ToldKernel(old, "5.10.0-1-amd64"), "two": ToldKernel(new, "6.1.0-1-amd64")}


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return {file.path: file.data for file in site(prepare(Atlas(kernels())))}


@pytest.fixture(scope="module")
def validator(files: dict[str, bytes]) -> Any:
    schemas = {path: closed(json.loads(data)) for path, data in files.items() if path.endswith(".schema.json")}
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    registry = Registry().with_resources((name, Resource.from_contents(schema)) for name, schema in schemas.items())
    return jsonschema.Draft202012Validator(schemas["atlas.schema.json"], registry=registry)


def test_all_documents_are_as_the_schema_has_them(files: dict[str, bytes], validator: Any) -> None:
    kinds = set()
    for path, data in files.items():
        if path.endswith(".json") and not path.endswith(".schema.json"):
            document = json.loads(data)
            kinds.add(document["kind"])
            validator.validate(document)
    schema = json.loads(files["atlas.schema.json"])
    assert kinds == {part["$ref"].rpartition("/")[2] for part in schema["oneOf"]}


def test_each_page_has_its_json(files: dict[str, bytes]) -> None:
    pages = {path for path in files if path.endswith(".html")} - {"search.html"}
    assert {path.replace(".html", ".json") for path in pages} <= files.keys()


def test_a_key_that_the_schema_does_not_tell_of_is_found(files: dict[str, bytes], validator: Any) -> None:
    document = json.loads(files["events/sys/one.json"])
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(document | {"more": 1})
