"""The google provider's own schema, from the npm package of its TypeScript declarations."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from support.npm_packages import package_folder

_INTERFACE = re.compile(r"^export interface (\w+)[^{]*\{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_RESOURCE = re.compile(
    r"^export declare class (\w+) extends cdktf\.TerraformResource \{\n(.*?)^\}", re.MULTILINE | re.DOTALL
)
_PROPERTY = re.compile(r"^ {4}readonly (?P<name>\w+)(?P<optional>\??): (?P<type>[^;]+);", re.MULTILINE)
_GETTER = re.compile(r"^ {4}get (\w+)\(\): (?:string|number|cdktf\.IResolvable);", re.MULTILINE)
_TYPES = {"string": '"string"', "number": '"number"', "boolean": '"bool"', "string[]": '["list","string"]'}
_MAP = '["map","string"]'


@dataclass(frozen=True)
class Attribute:
    """An attribute: its type as Terraform writes types in JSON, and whether a module must or only may set it."""

    type: str
    is_required: bool


@dataclass(frozen=True)
class Block:
    """The attributes and blocks within a resource or block; `is_single` if it may be there once only."""

    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    blocks: Mapping[str, "Block"] = field(default_factory=dict)
    is_required: bool = False
    is_single: bool = True


def declarations() -> Path:
    """Folder of the declarations. Without it the test is skipped; in CI it fails."""
    return package_folder("@cdktf/provider-google") / "lib"


def resource_schema(name: str) -> Block:
    """Return the schema of a resource such as `google_bigquery_table`, with the values that only Google sets."""
    folder = name.removeprefix("google_").replace("_", "-")
    text = (declarations() / folder / "index.d.ts").read_text("utf-8")
    interfaces = dict(_INTERFACE.findall(text))
    ((resource, members),) = _RESOURCE.findall(text)
    block = _block(interfaces[f"{resource}Config"], interfaces)
    exported = {_snake(getter): Attribute('"string"', is_required=False) for getter in _GETTER.findall(members)}
    return Block({**exported, **block.attributes}, block.blocks)


def configuration_schema() -> Block:
    """Return the schema of a `provider` block."""
    text = (declarations() / "provider" / "index.d.ts").read_text("utf-8")
    interfaces = dict(_INTERFACE.findall(text))
    return _block(interfaces["GoogleProviderConfig"], interfaces)


def _block(body: str, interfaces: Mapping[str, str], *, is_required: bool = False, is_single: bool = True) -> Block:
    attributes: dict[str, Attribute] = {}
    blocks: dict[str, Block] = {}
    for declared in _PROPERTY.finditer(body):
        name, type_name, must_be_set = _snake(declared["name"]), _first_type(declared["type"]), not declared["optional"]
        if (inner := interfaces.get(type_name.removesuffix("[]"))) is None:
            attributes[name] = Attribute(_TYPES.get(type_name, _MAP), must_be_set)
        else:
            is_list = type_name.endswith("[]")
            blocks[name] = _block(inner, interfaces, is_required=must_be_set, is_single=not is_list)
    return Block(attributes, blocks, is_required, is_single)


def _first_type(declared: str) -> str:
    return declared.split(" | ", maxsplit=1)[0]


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def resource_names(module: Path) -> Iterator[str]:
    """Yield the kinds of resources in the files of a module, each once."""
    text = "\n".join(path.read_text("utf-8") for path in sorted(module.glob("*.tf")))
    yield from sorted(set(re.findall(r'^resource "(google_\w+)"', text, re.MULTILINE)))
