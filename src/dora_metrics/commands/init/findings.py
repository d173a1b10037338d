"""What `init` finds out about a checkout and, if GitHub could be asked, about its repository there."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from dora_metrics.commands.init.publishers import WorkflowPublication
from dora_metrics.commands.init.workflows import WorkflowFile
from dora_metrics.core.selection import LONGEST_PAUSE_OF_RELEASES
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
    """The default branch, and how it was determined."""

    name: str
    reason: str
    is_certain: bool = True


@dataclass(frozen=True)
class VersionTags:
    """The tags of a repository that read as versions, without prereleases.

    Attributes:
        newest: the name of the newest one.
        days_behind: how many days it is older than the newest commit of the default branch, None if that is not known.
    """

    count: int
    newest: str
    days_behind: int | None

    @property
    def is_habit(self) -> bool:
        """Whether the repository still tags its versions."""
        return self.days_behind is not None and self.days_behind < LONGEST_PAUSE_OF_RELEASES.days


@dataclass(frozen=True)
class Checkout:
    """What a checkout holds.

    Attributes:
        repository: `owner/name` by the remote `origin`.
        host: host of `origin`, None if there is none or it is only an ssh alias.
        https_port: port of `origin` if its address has https.
        server_url: address of the GitHub that will run the workflows.
        version_tags: None if no tag reads as a version.
        workflows: workflow files by path.
        publications: what workflows publish, by path.
        existing_files: current text of the files that `init` proposes, by path.
        settings: settings of the config file.
        configured_names: the names of the settings that the config file has.
        incident_forms: paths of issue forms for incidents.
        services: paths of folders that look like services, by name; none or at least two.
        gitops_evidence: the first manifests of Argo CD or Flux.
        problems: what could not be read, as sentences.
    """

    repository: str | None = None
    host: str | None = None
    https_port: int | None = None
    server_url: str = GITHUB_COM_URL
    default_branch: DefaultBranch = DefaultBranch("main", "a guess: no branch was found")
    version_tags: VersionTags | None = None
    workflows: Mapping[str, WorkflowFile] = field(default_factory=dict)
    publications: Mapping[str, WorkflowPublication] = field(default_factory=dict)
    existing_files: Mapping[str, str] = field(default_factory=dict)
    settings: Settings = field(default_factory=Settings)
    configured_names: frozenset[str] = frozenset()
    incident_forms: tuple[str, ...] = ()
    services: Mapping[str, str] = field(default_factory=dict)
    gitops_evidence: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def is_hosted_elsewhere(self) -> bool:
        """Whether `origin` is known to be on another service than GitHub."""
        return self.host is not None and _OTHER_HOSTS.fullmatch(self.host) is not None

    @property
    def is_enterprise_server(self) -> bool:
        """Whether its GitHub is an Enterprise Server, rather than github.com or ghe.com."""
        return self.server_url != GITHUB_COM_URL and not self.has_data_residency

    @property
    def has_data_residency(self) -> bool:
        """Whether its GitHub is Enterprise Cloud with data residency (ghe.com)."""
        return self.server_url.endswith(".ghe.com")


@dataclass(frozen=True)
class GitHubDeployment:
    """A deployment on GitHub: its environment, its day (`2026-11-20`) and who created it."""

    environment: str
    day: str
    creator: str

    @property
    def is_by_actions(self) -> bool:
        """Whether Actions created it for a job with `environment:`; such deployments start no workflow."""
        return self.creator.startswith("github-actions")


@dataclass(frozen=True)
class GitHubFindings:
    """The newest labels, releases and deployments of a repository on GitHub.

    Attributes:
        releases: the tags of published releases, newest first; none if the repository has given up releasing.
        last_release: tag and day of the newest release of a repository that has given up releasing.
    """

    default_branch: str | None = None
    has_issues: bool = True
    labels: tuple[str, ...] = ()
    releases: tuple[str, ...] = ()
    last_release: str | None = None
    deployments: tuple[GitHubDeployment, ...] = ()


@dataclass(frozen=True)
class Findings:
    """All findings. `github` is None if GitHub could not be asked; `github_unavailable_reason` says why."""

    checkout: Checkout
    github: GitHubFindings | None = None
    github_unavailable_reason: str = ""

    @property
    def has_issues(self) -> bool:
        """Whether the repository has issues, as far as GitHub could be asked."""
        return self.github is None or self.github.has_issues

    @property
    def default_branch(self) -> DefaultBranch:
        """The default branch by GitHub, otherwise by git."""
        if self.github and self.github.default_branch:
            return DefaultBranch(self.github.default_branch, "GitHub says so")
        return self.checkout.default_branch
