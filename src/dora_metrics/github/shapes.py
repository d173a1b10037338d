"""The shapes of GitHub's answers, as far as they are read: which keys there are, and what may be null.

An answer is checked once, when it arrives, so that everything after that may rely on it. A key is required only if it
is read, and further keys are ignored, so an answer with more than that is right. GitHub's schema allows null nearly
everywhere; here a value may be null where its reader expects that. Tests hold that every query has a shape, and that
every field that it asks for is in that shape.
"""

import base64
import re
from collections.abc import Mapping
from threading import Lock
from typing import Any, NamedTuple, NotRequired, TypedDict

import msgspec

from dora_metrics.core.windows import parse_instant

AnyObject = dict[str, Any]
"""An object whose reader checks its keys itself."""
AnyList = list[Any]
"""A list whose reader checks its items itself."""


class Instant:
    """A text with a time that `parse_instant` can read; times of git commits may be wrong, so they are plain texts."""


class Base64:
    """A text with bytes as base64."""


class GraphQLAnswer(TypedDict):
    data: dict[str, Any]


class PageInfo(TypedDict):
    hasNextPage: bool
    endCursor: str | None


class Oid(TypedDict):
    oid: str


class Named(TypedDict):
    name: str


Actor = TypedDict("Actor", {"__typename": str, "login": str})  # as a class it would be `_Actor__typename`


class NamedNodes(TypedDict):
    nodes: list[Named]


# --- ledger and files ---


class TreeEntry(TypedDict):
    name: str
    type: str


class Tree(TypedDict):
    entries: list[TreeEntry]


class GitObjectNode(TypedDict):
    """A file, a folder or, without any key, something else."""

    oid: NotRequired[str]
    byteSize: NotRequired[int]
    text: NotRequired[str | None]
    entries: NotRequired[list[TreeEntry]]


class ObjectHolder(TypedDict):
    object: GitObjectNode | None


class LedgerTarget(TypedDict):
    oid: str
    tree: Tree


class LedgerRef(TypedDict):
    target: LedgerTarget


class LedgerRepository(TypedDict):
    isEmpty: bool
    ref: LedgerRef | None


class LedgerAnswer(TypedDict):
    repository: LedgerRepository
    config: NotRequired[ObjectHolder | None]


class SlottedAnswer(TypedDict):
    """Its slots are checked one by one, see `QueryShape`."""

    repository: dict[str, Any]


class HeadRef(TypedDict):
    target: Oid


class HeadRepository(TypedDict):
    ref: HeadRef | None


class HeadAnswer(TypedDict):
    repository: HeadRepository


class NamedCommit(TypedDict):
    oid: NotRequired[str]  # missing for anything but a commit


class CommitRepository(TypedDict):
    object: NamedCommit | None


class CommitByDigitsAnswer(TypedDict):
    repository: CommitRepository


class TimeAnswer(TypedDict):
    kind: str


class CommitHolder(TypedDict):
    commit: Oid


class AppendAnswer(TypedDict):
    createCommitOnBranch: CommitHolder


class Blob(TypedDict):
    """REST: a file's content."""

    content: Base64
    encoding: str


class RestTreeEntry(TypedDict):
    path: str
    type: str
    sha: str


class RestTree(TypedDict):
    """REST: all files of a commit."""

    tree: list[RestTreeEntry]


class GitObjectSha(TypedDict):
    """REST: an object of git, such as a new tree or commit."""

    sha: str


class CreatedRef(TypedDict):
    """REST: a new branch."""

    ref: str
    object: GitObjectSha


# --- commits and pull requests ---


class PullCommit(TypedDict):
    oid: str
    authoredDate: str | None
    messageHeadline: str


class PullCommitNode(TypedDict):
    commit: PullCommit


class PullCommits(TypedDict):
    totalCount: int
    nodes: list[PullCommitNode]


class ChangedFile(TypedDict):
    path: str


class ChangedFiles(TypedDict):
    totalCount: int
    nodes: list[ChangedFile | None]


class Review(TypedDict):
    submittedAt: str | None
    author: Actor | None


class Reviews(TypedDict):
    nodes: list[Review]


class NumberedRepository(TypedDict):
    databaseId: int | None


class AnyPull(TypedDict):
    """A pull request, perhaps not merged, or into another repository that has the commit."""

    number: int
    title: str
    body: str
    url: str
    createdAt: str
    mergedAt: Instant | None
    baseRefName: str
    headRefName: str
    headRefOid: str
    mergeCommit: Oid | None
    repository: NumberedRepository
    author: Actor | None
    labels: NamedNodes
    commits: PullCommits
    files: NotRequired[ChangedFiles | None]
    reviews: Reviews


class Pull(AnyPull):
    """A merged pull request."""

    mergedAt: Instant  # type: ignore[misc] # narrower than in its base


class ListedPull(Pull):
    updatedAt: Instant


class PullConnection(TypedDict):
    pageInfo: PageInfo
    nodes: list[ListedPull | None]


class PullPageRepository(TypedDict):
    pullRequests: PullConnection


class PullPageAnswer(TypedDict):
    repository: PullPageRepository


class MergedPullRepository(TypedDict):
    pullRequest: Pull


class MergedPullAnswer(TypedDict):
    repository: MergedPullRepository


class PullsByIdAnswer(TypedDict):
    nodes: list[Pull | None]


class AssociatedPulls(TypedDict):
    pageInfo: PageInfo
    nodes: list[AnyPull]


class OidNodes(TypedDict):
    nodes: list[Oid]


class CommitWithPulls(TypedDict):
    oid: str
    parents: OidNodes
    associatedPullRequests: AssociatedPulls


class CommitsWithPulls(TypedDict):
    pageInfo: PageInfo
    nodes: list[CommitWithPulls]


class CommitsWithPullsHolder(TypedDict):
    history: CommitsWithPulls


class PullsByCommitRepository(TypedDict):
    databaseId: int | None
    defaultBranchRef: Named | None
    object: CommitsWithPullsHolder


class PullsByCommitAnswer(TypedDict):
    repository: PullsByCommitRepository


class GitAuthor(TypedDict):
    name: str | None
    email: str | None


class BriefPull(TypedDict):
    id: str
    number: int
    createdAt: str
    mergedAt: Instant | None
    baseRefName: str
    headRefName: str
    headRefOid: str
    mergeCommit: Oid | None
    repository: NumberedRepository


class BriefPulls(TypedDict):
    pageInfo: PageInfo
    nodes: list[BriefPull]


class BriefPullsHolder(TypedDict):
    associatedPullRequests: BriefPulls


class CommitNode(TypedDict):
    oid: str
    url: str
    message: str
    authoredDate: str | None
    committedDate: str | None
    author: GitAuthor | None
    parents: OidNodes
    associatedPullRequests: BriefPulls


class CommitHistory(TypedDict):
    totalCount: NotRequired[int]
    pageInfo: PageInfo
    nodes: list[CommitNode]


class CommitHistoryHolder(TypedDict):
    history: CommitHistory


class SideCommitsRepository(TypedDict):
    """Its slots are checked one by one, see `QueryShape`."""

    databaseId: int | None
    defaultBranchRef: Named | None


class SideCommitsAnswer(TypedDict):
    repository: SideCommitsRepository


class CommitPageRepository(TypedDict):
    object: CommitHistoryHolder | None


class CommitPageAnswer(TypedDict):
    repository: CommitPageRepository


class TreeEntryId(TypedDict):
    oid: str | None


class PathHistory(TypedDict):
    pageInfo: PageInfo
    nodes: list[Oid]


class CommitsByPathRepository(TypedDict):
    object: dict[str, Any]


class CommitsByPathAnswer(TypedDict):
    repository: CommitsByPathRepository


class RestGitAuthor(TypedDict):
    name: str | None
    date: str | None


class RestGitTime(TypedDict):
    date: str | None


class RestGitCommit(TypedDict):
    message: str
    author: RestGitAuthor
    committer: RestGitTime


class RestAccount(TypedDict):
    type: NotRequired[str]


class RestCommit(TypedDict):
    sha: str
    html_url: NotRequired[str | None]
    author: NotRequired[RestAccount | None]
    commit: RestGitCommit
    parents: list[GitObjectSha]


class Comparison(TypedDict):
    """REST: the commits that one commit has and another lacks."""

    commits: list[RestCommit]
    total_commits: int
    behind_by: int


# --- deployments, releases, runs ---


class DeploymentStatusNode(TypedDict):
    state: str
    createdAt: Instant
    updatedAt: str
    environment: str | None
    logUrl: str | None
    environmentUrl: str | None


class DeploymentStatuses(TypedDict):
    nodes: list[DeploymentStatusNode]


class DeploymentNode(TypedDict):
    id: str
    databaseId: int | None
    commitOid: str
    createdAt: Instant
    environment: str | None
    task: str | None
    payload: str | None
    ref: Named | None
    statuses: DeploymentStatuses


class DeploymentConnection(TypedDict):
    pageInfo: PageInfo
    nodes: list[DeploymentNode | None]


class DeploymentPageRepository(TypedDict):
    deployments: DeploymentConnection


class DeploymentPageAnswer(TypedDict):
    repository: DeploymentPageRepository


class DeploymentsByIdAnswer(TypedDict):
    nodes: list[DeploymentNode | None]


class JobWorkflow(TypedDict):
    name: str


class JobRun(TypedDict):
    event: str
    workflow: JobWorkflow | None


class CheckSuite(TypedDict):
    workflowRun: JobRun | None


class CheckRun(TypedDict):
    id: str
    name: str
    startedAt: str | None
    conclusion: NotRequired[str | None]
    checkSuite: CheckSuite | None


class JobsByIdAnswer(TypedDict):
    nodes: list[CheckRun | None]


class Job(TypedDict):
    """REST: a job of a workflow run."""

    conclusion: str | None


class ReleaseNode(TypedDict):
    databaseId: int | None
    tagName: str
    isDraft: bool
    isPrerelease: bool
    createdAt: Instant
    publishedAt: Instant | None
    url: str
    tagCommit: Oid | None


class ReleaseConnection(TypedDict):
    pageInfo: PageInfo
    nodes: list[ReleaseNode | None]


class ReleasePageRepository(TypedDict):
    releases: ReleaseConnection


class ReleasePageAnswer(TypedDict):
    repository: ReleasePageRepository


class Workflow(TypedDict):
    id: int
    name: str
    path: str


class Workflows(TypedDict):
    """REST: the workflows of a repository."""

    workflows: list[Workflow]


class WorkflowRun(TypedDict):
    """REST: a run of a workflow; further fields are checked as those of its event."""

    id: int
    status: str | None
    path: str
    event: str
    run_attempt: int
    created_at: Instant
    run_started_at: NotRequired[Instant | None]


class WorkflowRuns(TypedDict):
    """REST: runs of workflows."""

    total_count: NotRequired[int]
    workflow_runs: list[WorkflowRun]


# --- issues ---


class LabelEvent(TypedDict):
    label: Named


class LabelEvents(TypedDict):
    nodes: list[LabelEvent | None]


class IssueNode(TypedDict):
    number: int
    title: str
    body: str
    url: str
    state: str
    stateReason: str | None
    createdAt: Instant
    updatedAt: Instant
    closedAt: str | None
    labels: NamedNodes
    timelineItems: LabelEvents


class IssueConnection(TypedDict):
    pageInfo: PageInfo
    nodes: list[IssueNode | None]


class IssuePageRepository(TypedDict):
    issues: IssueConnection


class IssuePageAnswer(TypedDict):
    repository: IssuePageRepository


class ReportNode(TypedDict):
    number: int
    body: str
    url: str
    state: str
    stateReason: str | None
    viewerDidAuthor: bool


class ReportNodes(TypedDict):
    nodes: list[ReportNode | None]


class ReportsRepository(TypedDict):
    hasIssuesEnabled: bool
    labelled: ReportNodes
    newest: ReportNodes


class ReportsAnswer(TypedDict):
    repository: ReportsRepository


# --- repositories ---


class BranchHead(TypedDict):
    oid: str
    committedDate: NotRequired[str | None]
    history: NotRequired[CommitHistory]


class DefaultBranchNode(TypedDict):
    name: str
    target: BranchHead | None


class RepositoryNode(TypedDict):
    databaseId: int | None
    nameWithOwner: str
    hasIssuesEnabled: bool
    defaultBranchRef: DefaultBranchNode | None


class RepositoryInfoAnswer(TypedDict):
    repository: RepositoryNode


class BranchHeadWithHistory(TypedDict):
    oid: str
    committedDate: str | None
    history: CommitHistory


class DefaultBranchWithHistory(TypedDict):
    name: str
    target: BranchHeadWithHistory


class UpdatedNode(TypedDict):
    updatedAt: Instant


class OldestPull(TypedDict):
    totalCount: int
    nodes: list[UpdatedNode | None]


class NewestItemsRepository(TypedDict):
    databaseId: int | None
    nameWithOwner: str
    hasIssuesEnabled: bool
    defaultBranchRef: DefaultBranchWithHistory | None
    oldestPull: NotRequired[OldestPull]
    pullRequests: PullConnection
    deployments: DeploymentConnection
    releases: ReleaseConnection
    issues: IssueConnection


class NewestItemsAnswer(TypedDict):
    repository: NewestItemsRepository
    nodes: list[DeploymentNode | None]


class NewestUpdated(TypedDict):
    number: int
    updatedAt: Instant


class NewestUpdatedConnection(TypedDict):
    totalCount: int
    nodes: list[NewestUpdated]


class NewestStatus(TypedDict):
    id: str
    createdAt: Instant


class NewestDeployment(TypedDict):
    id: str
    createdAt: Instant
    latestStatus: NewestStatus | None


class NewestDeploymentConnection(TypedDict):
    totalCount: int
    nodes: list[NewestDeployment]


class NewestRelease(TypedDict):
    databaseId: int | None
    tagName: str
    isDraft: bool
    isPrerelease: bool
    createdAt: Instant
    publishedAt: Instant | None
    updatedAt: Instant
    tagCommit: Oid | None


class NewestReleaseConnection(TypedDict):
    totalCount: int
    nodes: list[NewestRelease]


class NewsRepository(TypedDict):
    databaseId: int | None
    nameWithOwner: str
    hasIssuesEnabled: bool
    isInOrganization: bool
    defaultBranchRef: DefaultBranchNode | None
    pullRequests: NewestUpdatedConnection
    issues: NewestUpdatedConnection
    deployments: NewestDeploymentConnection
    releases: NewestReleaseConnection


class Topic(TypedDict):
    name: str


class RepositoryTopic(TypedDict):
    topic: Topic


class RepositoryTopicConnection(TypedDict):
    nodes: list[RepositoryTopic | None] | None


class ListedRelease(TypedDict):
    databaseId: int | None
    tagName: str
    isDraft: bool
    isPrerelease: bool
    createdAt: Instant
    publishedAt: Instant | None
    updatedAt: Instant


class ListedReleaseConnection(TypedDict):
    totalCount: int
    nodes: list[ListedRelease]


class OwnedRepository(TypedDict):
    """A repository in its owner's list. Those that need not be there are so together, or not at all."""

    nameWithOwner: str
    isArchived: bool
    isFork: bool
    visibility: str
    repositoryTopics: RepositoryTopicConnection
    databaseId: NotRequired[int | None]
    isEmpty: NotRequired[bool]
    hasIssuesEnabled: NotRequired[bool]
    isInOrganization: NotRequired[bool]
    pushedAt: NotRequired[Instant | None]
    updatedAt: NotRequired[Instant]
    defaultBranchRef: NotRequired[Named | None]
    pullRequests: NotRequired[NewestUpdatedConnection]
    issues: NotRequired[NewestUpdatedConnection]
    deployments: NotRequired[NewestDeploymentConnection]
    releases: NotRequired[ListedReleaseConnection]


class OwnedRepositoryConnection(TypedDict):
    pageInfo: PageInfo
    nodes: list[OwnedRepository | None]


class RepositoryOwner(TypedDict):
    repositories: OwnedRepositoryConnection


class OwnedRepositoriesAnswer(TypedDict):
    repositoryOwner: RepositoryOwner | None


class SetupHead(TypedDict):
    committedDate: NotRequired[str | None]


class SetupBranch(TypedDict):
    name: str
    target: SetupHead | None


class SetupRelease(TypedDict):
    tagName: str
    isDraft: bool
    isPrerelease: bool
    publishedAt: Instant | None


class SetupReleases(TypedDict):
    nodes: list[SetupRelease]


class Login(TypedDict):
    login: str


class SetupDeployment(TypedDict):
    environment: str | None
    task: str | None
    createdAt: str
    creator: Login | None


class SetupDeployments(TypedDict):
    nodes: list[SetupDeployment]


class SetupRepository(TypedDict):
    hasIssuesEnabled: bool
    defaultBranchRef: SetupBranch | None
    incidents: NamedNodes
    outages: NamedNodes
    severities: NamedNodes
    hotfixes: NamedNodes
    releases: SetupReleases
    deployments: SetupDeployments


class SetupAnswer(TypedDict):
    repository: SetupRepository


class QueryShape(NamedTuple):
    """The shape of the answer to a query, where in it the numbered copies of its slot line are, and their shape."""

    answer: Any
    slot_place: tuple[str, ...] = ()
    slot: Any = None


OF_QUERIES: Mapping[str, QueryShape] = {
    "Append": QueryShape(AppendAnswer),
    "AssociatedPulls": QueryShape(SlottedAnswer, ("repository",), BriefPullsHolder | None),
    "CommitByDigits": QueryShape(CommitByDigitsAnswer),
    "CommitPage": QueryShape(CommitPageAnswer),
    "CommitPageWithFolders": QueryShape(
        CommitPageAnswer, ("repository", "object", "history", "nodes"), TreeEntryId | None
    ),
    "CommitsByPath": QueryShape(CommitsByPathAnswer, ("repository", "object"), PathHistory),
    "DeploymentPage": QueryShape(DeploymentPageAnswer),
    "DeploymentsById": QueryShape(DeploymentsByIdAnswer),
    "GitObjects": QueryShape(SlottedAnswer, ("repository",), GitObjectNode | None),
    "Head": QueryShape(HeadAnswer),
    "IssuePage": QueryShape(IssuePageAnswer),
    "JobsById": QueryShape(JobsByIdAnswer),
    "Ledger": QueryShape(LedgerAnswer, ("repository", "ref", "target"), ObjectHolder | None),
    "MergedPull": QueryShape(MergedPullAnswer),
    "NewestItems": QueryShape(NewestItemsAnswer),
    "News": QueryShape(AnyObject, (), NewsRepository | None),
    "OwnedRepositories": QueryShape(OwnedRepositoriesAnswer),
    "PullPage": QueryShape(PullPageAnswer),
    "PullsByCommit": QueryShape(PullsByCommitAnswer),
    "PullsById": QueryShape(PullsByIdAnswer),
    "ReleasePage": QueryShape(ReleasePageAnswer),
    "RepositoryNumbers": QueryShape(AnyObject, (), NumberedRepository | None),
    "Reports": QueryShape(ReportsAnswer),
    "RepositoryInfo": QueryShape(RepositoryInfoAnswer),
    "Setup": QueryShape(SetupAnswer),
    "SideCommits": QueryShape(SideCommitsAnswer, ("repository",), CommitHistoryHolder | None),
    "Time": QueryShape(TimeAnswer),
}
_one_at_a_time = Lock()
"""msgspec 0.22 builds its view of a shape at first use. A thread that uses it half-built crashes the process."""

_SLOT_NAME = re.compile(r"(?:slot|path)\d+", re.ASCII)


def problem_of(data: object, shape: Any) -> str | None:  # noqa: ANN401 - a type form, such as a TypedDict
    """Say what is wrong with data and where, without quoting it; None if it has the shape."""
    try:
        with _one_at_a_time:
            msgspec.convert(data, shape, dec_hook=_decode)
    except msgspec.ValidationError as error:
        return str(error)
    return None


def problem_of_graphql(query_name: str, variables: Mapping[str, object], answer: object) -> str | None:
    """Say what is wrong with the answer to a query or mutation of `queries/`; None if its reader may rely on it."""
    if (problem := problem_of(answer, GraphQLAnswer)) or not isinstance(answer, dict):
        return problem
    data, shape = answer["data"], OF_QUERIES[query_name]
    return problem_of(data, shape.answer) or _problem_of_slots(shape, variables, data)


def _problem_of_slots(shape: QueryShape, variables: Mapping[str, object], data: Any) -> str | None:  # noqa: ANN401 - JSON
    """Check the numbered values of an answer whose other parts were checked; there are none where nothing is."""
    matches = filter(None, map(_SLOT_NAME.match, variables)) if shape.slot is not None else ()
    names = list(dict.fromkeys(match[0] for match in matches))
    pairs = [(holder, name) for holder in _slot_holders(shape, data) for name in names]
    if missing := next((name for holder, name in pairs if name not in holder), None):
        return f"Object missing required field `{missing}`"
    return next(filter(None, (problem_of(holder[name], shape.slot) for holder, name in pairs)), None)


def _slot_holders(shape: QueryShape, data: Any) -> list[Any]:  # noqa: ANN401 - JSON
    """Return the objects that have slots: one, or all of a list."""
    holders = [data]
    for key in shape.slot_place:
        values = [holder[key] for holder in holders if holder]
        holders = [each for value in values for each in (value if isinstance(value, list) else [value])]
    return [holder for holder in holders if holder]


def _decode(kind: type, value: object) -> object:
    """Check a text that has a form, for msgspec, which names the place of a ValueError."""
    if not isinstance(value, str):
        raise ValueError("Expected a string")  # noqa: TRY004 - msgspec turns a ValueError into its own
    if kind is Base64:
        try:
            base64.b64decode(value)
        except ValueError:
            raise ValueError("Expected base64") from None
        return Base64()
    try:
        parse_instant(value)
    except ValueError:
        raise ValueError("Expected a time") from None
    return Instant()
