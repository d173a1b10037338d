"""CPU seconds to refuse settings files that are huge or hostile: `python bench/settings.py`."""

import tempfile
import time
from pathlib import Path

from dora_metrics.errors import SettingsError
from dora_metrics.settings.config_file import read_config_file
from dora_metrics.settings.loading import load_settings

MAX_SECONDS = 3
HOSTILE_TEXTS = {
    "aliases of aliases: 19 levels, nine aliases each": "a0: &a0 [ha]\n"
    + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 20)),
    "merge keys of merge keys: 19 levels, nine aliases each": "a0: &a0 {b: c}\n"
    + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 20)),
    "a chain of 9,000 aliases": "a0: &a0 x\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 9_000)),
    "100,000 unknown keys": "".join(f"{n}x:\n" for n in range(100_000)),
    "60,000 unknown keys in 500 kB": "".join(f"{n}x:\n" for n in range(60_000)),
    "9,900 unknown keys, each like a setting": "".join(f"window-{n}: 7d\n" for n in range(9_900)),
    "10,000 levels": "window: " + "[" * 10_000,
    "10,000 levels of mappings": "{a: " * 10_000,
    "a number of 400,000 digits": "window: " + "9" * 400_000,
    "a value of 400,000 characters": "window: " + "x" * 400_000,
    "9,000 invalid thresholds": f"fail-on: [{', '.join(['soon'] * 9_000)}]",
    "9,000 invalid paths": f"services: {{web: [{', '.join(['/web'] * 9_000)}]}}",
    "1,800 paths of unclosed brackets": f"services: {{web: [{', '.join([repr('[' * 255)] * 1_800)}]}}",
    "100 MB": "# a comment\n" * 9_000_000,
}


def _refusal(path: Path) -> str:
    """The first problem of a settings file."""
    try:
        layer = read_config_file(path, path.parent)
        load_settings([layer] if layer else [])
    except SettingsError as error:
        return error.problems[0].replace(f"{path.parent}/", "")[:100]
    return "accepted"


def main() -> None:
    print(f"| settings file | bytes | CPU seconds (goal < {MAX_SECONDS}) | refused with |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dora.yml"
        for name, text in HOSTILE_TEXTS.items():
            path.write_text(text, "utf-8")
            start = time.process_time()
            refusal = _refusal(path)
            print(f"| {name} | {len(text):,} | {time.process_time() - start:.2f} | {refusal} |")


if __name__ == "__main__":
    main()
