"""What was found: facts about a checkout and, where somebody could be asked, about its repository on GitHub."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from dora_metrics.commands.init.workflows import Workflow
from dora_metrics.settings.model import Settings

WORKFLOW = ".github/workflows/dora.yml"
CONFIG = ".github/dora.yml"
FORM = ".github/ISSUE_TEMPLATE/incident.yml"
FILES = (WORKFLOW, CONFIG, FORM)
PUBLIC = "https://github.com"

_OTHERS = re.compile(
    r"(?:.*[.-])?(?:gitlab|bitbucket|codeberg|gitea|gitee|forgejo|sourceforge)(?:[.-].*)?"
    r"|git\.sr\.ht|(?:.*\.)?dev\.azure\.com|.*\.visualstudio\.com|git-codecommit\..*\.amazonaws\.com"
)


@dataclass(frozen=True)
class Known:
    """Something and how it is known."""

    value: str
    because: str
    sure: bool = True


@dataclass(frozen=True)
class Checkout:
    """What lies in a checkout.

    `host`: that of origin, None where it has none or only a name of ssh's. `server`: the GitHub that will run it.
    `publishing`: where workflows publish releases, by path. `existing`: the files that would be written, as they are.
    `settings`: those of the config file. `gitops`: the first objects that a controller in a cluster takes.
    `services`: folders that look like services, by name. `odd`: what could not be read, as sentences.
    """

    repository: str | None = None
    host: str | None = None
    server: str = PUBLIC
    branch: Known = Known("main", "git names none")
    tags: tuple[str, ...] = ()
    workflows: Mapping[str, Workflow] = field(default_factory=dict)
    publishing: Mapping[str, str] = field(default_factory=dict)
    existing: Mapping[str, str] = field(default_factory=dict)
    settings: Settings = field(default_factory=Settings)
    incident_forms: tuple[str, ...] = ()
    services: Mapping[str, str] = field(default_factory=dict)
    gitops: tuple[str, ...] = ()
    odd: tuple[str, ...] = ()

    @property
    def is_elsewhere(self) -> bool:
        """Whether origin is evidently on something else than GitHub."""
        return self.host is not None and _OTHERS.fullmatch(self.host) is not None

    @property
    def is_on_server(self) -> bool:
        """Whether its GitHub is an Enterprise Server, and not GitHub's own, which keeps some data apart (ghe.com)."""
        return self.server != PUBLIC and not self.has_residency

    @property
    def has_residency(self) -> bool:
        return self.server.endswith(".ghe.com")


@dataclass(frozen=True)
class Deployed:
    """A deployment on GitHub: where, on which day, by whom."""

    environment: str
    day: str
    creator: str

    @property
    def by_actions(self) -> bool:
        """Made for a job with `environment:`, so that no event tells of it."""
        return self.creator.startswith("github-actions")


@dataclass(frozen=True)
class OnGitHub:
    """The newest of what GitHub has."""

    branch: str | None = None
    has_issues: bool = True
    labels: tuple[str, ...] = ()
    releases: tuple[str, ...] = ()
    deployments: tuple[Deployed, ...] = ()


@dataclass(frozen=True)
class Found:
    """`github` is None where nobody was asked; `silence` says why."""

    checkout: Checkout
    github: OnGitHub | None = None
    silence: str = ""
