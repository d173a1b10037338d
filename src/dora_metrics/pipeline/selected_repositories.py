"""The repositories that a sync reads: those of the settings that are in its shard and have something to read."""

from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from dora_metrics.core import formatting
from dora_metrics.core.outcome import Outcome
from dora_metrics.core.shards import Shard
from dora_metrics.errors import SettingsError
from dora_metrics.github.client import Client, GitHubError
from dora_metrics.github.observation import Run
from dora_metrics.github.owned_repositories import ListedRepository, NoteRefusal, OwnerList, expand_patterns
from dora_metrics.pipeline.inputs import NO_REPOSITORY
from dora_metrics.settings.model import EVERY_REPOSITORY, Settings

_MAX_SHARDS_WITH_LISTED_NEWS = 20
"""Each shard lists all repositories. With their news, 5,000 of them take 250 points of the 12,500 an hour for all."""

_ACROSS_SHARDS = (
    "An incident that names a deployment of another shard's repository is attributed to it only where the shards are "
    "read together."
)


_HIDDEN = (
    "GitHub hides {hidden} of {owner}: its list has them without their names. This run does not read them, and the "
    "numbers lack them. Usually the token is not authorised for the organisation's SAML single sign-on, or the "
    "organisation allows other IP addresses only. Authorise the token there, or use one of a GitHub App"
)
_IN_PUBLIC = (
    "{repository}, which holds the ledger, is public, and this run reads {count} into it: everybody can see what is "
    "recorded, such as names, titles and open alerts. Keep the ledger in a repository that is as private as the most "
    "private one that it reads (`ledger: branch:NAME@owner/repo`)"
)


class SelectedRepositories(Struct, frozen=True):
    """What the settings select.

    Attributes:
        to_read: the repositories that have something to read, in the order of the setting.
        empty_count: how many others GitHub's list shows to have nothing.
        notes: what readers must know about the shard; empty without `shard`.
        is_empty_shard: whether it is known that no selected repository is in the run's shard. A list that GitHub
            refuses, or shows in part only, does not say that.
    """

    to_read: tuple[ListedRepository, ...] = ()
    empty_count: int = 0
    notes: tuple[str, ...] = ()
    is_empty_shard: bool = False


def select_repositories(
    client: Client, settings: Settings, run: Run, note: Callable[[Outcome], None]
) -> SelectedRepositories:
    """Return the repositories of the settings, otherwise the run's own.

    Args:
        client: GitHub's API, for the lists of owners.
        settings: the patterns and the shard.
        run: the workflow run.
        note: receives what failed.

    Raises:
        SettingsError: if a command line names no repository.
    """
    if not settings.repositories and run.repository == EVERY_REPOSITORY:
        raise SettingsError(NO_REPOSITORY)
    refusals: list[Outcome] = []
    lists: list[OwnerList] = []

    def note_refusal(owner: str, error: GitHubError) -> None:
        refusals.append(_refusal(owner, error))

    try:
        selected = _selected(client, settings, run, note_refusal, lists.append)
    except GitHubError as error:
        note(_failure(f"GitHub did not list the repositories: {error}"))
        return SelectedRepositories()
    refusals += [_hidden(each) for each in lists if each.hidden_count]
    for refusal in refusals:
        note(refusal)
    if not (selected or refusals):
        names = ", ".join(settings.repositories)
        note(_failure(f"`repositories` ({names}) matches no repository that the token can read"))
    in_shard = _in_shard(selected, settings, run, note)
    _warn_of_public_ledger(in_shard.to_read, lists, settings, run, note)
    return replace(in_shard, is_empty_shard=in_shard.is_empty_shard and bool(selected) and not refusals)


def _in_shard(
    selected: Sequence[ListedRepository], settings: Settings, run: Run, note: Callable[[Outcome], None]
) -> SelectedRepositories:
    """Return the repositories of the run's shard, which may be none; all of them without `shard`."""
    shard = settings.repository_shard
    in_shard = [repository for repository in selected if shard is None or shard.holds(repository.name)]
    if not in_shard and not settings.repositories:
        advice = "Set `repositories`, such as owner/*, to what the shards divide"
        note(Outcome("sync", "skipped", f"{run.repository} is not in shard {shard}. {advice}"))
    to_read = tuple(repository for repository in in_shard if not repository.has_nothing)
    notes = (_shard_note(shard, len(in_shard), len(selected)),) if shard else ()
    return SelectedRepositories(to_read, len(in_shard) - len(to_read), notes, bool(shard) and not in_shard)


def _warn_of_public_ledger(
    to_read: Iterable[ListedRepository],
    lists: Iterable[OwnerList],
    settings: Settings,
    run: Run,
    note: Callable[[Outcome], None],
) -> None:
    """Warn if private repositories are read into a public one, as far as the lists show that. No name is repeated."""
    kind, _, place = settings.ledger.partition(":")
    repository = place.partition("@")[2] or run.repository
    is_public = any(repository.lower() in each.public_names for each in lists)
    private_count = sum(each.is_public is False for each in to_read)
    if kind == "branch" and is_public and private_count:
        count = formatting.count(private_count, "private or internal repository", "private or internal repositories")
        note(_failure(_IN_PUBLIC.format(repository=repository, count=count)))


def _selected(
    client: Client,
    settings: Settings,
    run: Run,
    note_refusal: NoteRefusal,
    note_list: Callable[[OwnerList], None],
) -> Sequence[ListedRepository]:
    if not settings.repositories:
        return [ListedRepository(run.repository)]
    with_news = _lists_news(settings.repository_shard)
    return expand_patterns(
        client, settings.repositories, with_news=with_news, note_refusal=note_refusal, note_list=note_list
    )


def _lists_news(shard: Shard | None) -> bool:
    """Whether GitHub's list is to show the news of repositories, which each of several shards would pay for."""
    return shard is None or shard.count <= _MAX_SHARDS_WITH_LISTED_NEWS


def _shard_note(shard: Shard, in_shard_count: int, selected_count: int) -> str:
    selected = formatting.count(selected_count, "selected repository", "selected repositories")
    return f"Shard {shard} has {in_shard_count:,} of {selected}. {_ACROSS_SHARDS}"


def _refusal(owner: str, error: GitHubError) -> Outcome:
    return _failure(f"GitHub did not list the repositories of {owner}, so this run reads none of its patterns: {error}")


def _hidden(listed: OwnerList) -> Outcome:
    hidden = formatting.count(listed.hidden_count, "repository", "repositories")
    return _failure(_HIDDEN.format(hidden=hidden, owner=listed.owner))


def _failure(problem: str) -> Outcome:
    return Outcome("sync", "failed", problem)
