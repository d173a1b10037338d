"""The part of the summary about facts that could not be recorded: the commands that record them again."""

import json
import re
from collections.abc import Mapping

from msgspec import Struct

from dora_metrics.core import formatting
from dora_metrics.core.markdown import Md, code_block_line

_MAX_COMMAND_CHARACTERS = 20_000
_REPOSITORY_URL = re.compile(
    r"https?://(?P<host>[A-Za-z0-9.-]+(?::\d{1,5})?)/(?P<name>[A-Za-z0-9_-]+/[A-Za-z0-9._-]+)", re.ASCII
)
_GITHUB_COM = "github.com"
_UNSAFE_IN_COMMAND = re.compile("['`<>&\x7f]")
"""What would end the quotes of a shell or a code block of Markdown, be HTML, or not be visible.

JSON can write each as `\\u....`.
"""


class UnrecordedFacts(Struct, frozen=True):
    """The facts that a run could not record.

    Attributes:
        count: how many there are.
        path: of the file that holds them; empty if there is none.
        commands: for a shell, each of which records one of them.
        is_certain: whether it is known that no ledger has them. A cancelled run does not know.
    """

    count: int = 0
    path: str = ""
    commands: tuple[Md, ...] = ()
    is_certain: bool = True

    @property
    def text(self) -> str:
        """One sentence: how many facts there are, and where they are kept."""
        place = f"; {self.path} has them" if self.path else ""
        is_or_are = "is" if self.count == 1 else "are"
        verb = f"{is_or_are} not" if self.is_certain else "may not be"
        return f"{formatting.count(self.count, 'fact')} of this run {verb} in the ledger{place}"


def dispatch_command(repository_url: str, body: Mapping[str, object]) -> Md | None:
    """Return the command that sends a `repository_dispatch`, safe to paste; None if it would be too long.

    The values in the body come from strangers. As ASCII JSON without quotes and backticks between single quotes, none
    of them can end the quotes, or the code block that the command is shown in.
    """
    json_text = json.dumps(body, ensure_ascii=True, sort_keys=True)
    quotable = _UNSAFE_IN_COMMAND.sub(lambda match: f"\\u{ord(match[0]):04x}", json_text)
    place = _REPOSITORY_URL.fullmatch(repository_url)
    host, name = (place["host"], place["name"]) if place else (_GITHUB_COM, "OWNER/NAME")
    # `--hostname` takes no port: https://github.com/cli/cli/issues/6845
    variable = f"GH_HOST={host} " if ":" in host else ""
    option = "" if variable or host == _GITHUB_COM else f" --hostname {host}"
    command = f"printf '%s' '{quotable}' | {variable}gh api{option} repos/{name}/dispatches --input -"
    return code_block_line(command) if len(command) <= _MAX_COMMAND_CHARACTERS else None
