"""What was found: facts about a checkout and, where somebody could be asked, about its repository on GitHub."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from dora_metrics.commands.init.workflows import WorkflowFile
from dora_metrics.settings.model import Settings

WORKFLOW_PATH = ".github/workflows/dora.yml"
CONFIG_PATH = ".github/dora.yml"
FORM_PATH = ".github/ISSUE_TEMPLATE/incident.yml"
PROPOSED_PATHS = (WORKFLOW_PATH, CONFIG_PATH, FORM_PATH)
GITHUB_COM_URL = "https://github.com"

_OTHER_HOSTS = re.compile(
    r"(?:.*[.-])?(?:gitlab|bitbucket|codeberg|gitea|gitee|forgejo|sourceforge)(?:[.-].*)?"
    r"|git\.sr\.ht|(?:.*\.)?dev\.azure\.com|.*\.visualstudio\.com|git-codecommit\..*\.amazonaws\.com"
)


@dataclass(frozen=True)
class DefaultBranch:
    """Something and how it is known."""

    name: str
    reason: str
    is_certain: bool = True


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
    server_url: str = GITHUB_COM_URL
    default_branch: DefaultBranch = DefaultBranch("main", "git names none")
    version_tags: tuple[str, ...] = ()
    workflows: Mapping[str, WorkflowFile] = field(default_factory=dict)
    release_evidence: Mapping[str, str] = field(default_factory=dict)
    existing_files: Mapping[str, str] = field(default_factory=dict)
    settings: Settings = field(default_factory=Settings)
    incident_forms: tuple[str, ...] = ()
    services: Mapping[str, str] = field(default_factory=dict)
    gitops_evidence: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def is_hosted_elsewhere(self) -> bool:
        """Whether origin is evidently on something else than GitHub."""
        return self.host is not None and _OTHER_HOSTS.fullmatch(self.host) is not None

    @property
    def is_enterprise_server(self) -> bool:
        """Whether its GitHub is an Enterprise Server, and not GitHub's own, which keeps some data apart (ghe.com)."""
        return self.server_url != GITHUB_COM_URL and not self.has_data_residency

    @property
    def has_data_residency(self) -> bool:
        return self.server_url.endswith(".ghe.com")


@dataclass(frozen=True)
class GitHubDeployment:
    """A deployment on GitHub: where, on which day, by whom."""

    environment: str
    day: str
    creator: str

    @property
    def is_by_actions(self) -> bool:
        """Made for a job with `environment:`, so that no event tells of it."""
        return self.creator.startswith("github-actions")


@dataclass(frozen=True)
class GitHubFindings:
    """The newest of what GitHub has."""

    default_branch: str | None = None
    has_issues: bool = True
    labels: tuple[str, ...] = ()
    releases: tuple[str, ...] = ()
    deployments: tuple[GitHubDeployment, ...] = ()


@dataclass(frozen=True)
class Findings:
    """`github` is None where nobody was asked; `silence` says why."""

    checkout: Checkout
    github: GitHubFindings | None = None
    github_unavailable_reason: str = ""
