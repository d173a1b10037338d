"""Packages that `npm ci` installs into tests/web/node_modules, such as GitHub's example payloads and their schemas."""

import json
from pathlib import Path
from typing import Any

from support.paths import ROOT
from support.tools import leave_out

NODE_MODULES = ROOT / "tests" / "web" / "node_modules"


def package_folder(name: str) -> Path:
    """Folder of an npm package. Without it the test is skipped; in CI it fails."""
    folder = NODE_MODULES / name
    if not folder.is_dir():
        leave_out(f"{name} is not installed; run `npm ci` in tests/web")
    return folder


def example_payloads(event: str) -> list[dict[str, Any]]:
    """GitHub's example payloads of an event, for github.com and for every server version."""
    payloads: list[dict[str, Any]] = []
    for index in sorted(package_folder("@octokit/webhooks-examples").glob("*/index.json")):
        for entry in json.loads(index.read_text(encoding="utf-8")):
            payloads += entry["examples"] if entry["name"] == event else []
    return payloads


def event_schema(definition: str) -> dict[str, Any]:
    """The JSON Schema of one event, such as `issues$closed`."""
    full_schema = json.loads((package_folder("@octokit/webhooks-schemas") / "schema.json").read_text(encoding="utf-8"))
    return {"$ref": f"#/definitions/{definition}", "definitions": full_schema["definitions"]}
