"""The names of repositories: former names lead to the present one, so that a renamed repository stays one.

GitHub's number of a repository stays the same when it is renamed or transferred; the records of kind `repository` hold
the names of each number. A name that another repository has taken since leads to the one that had it when a fact was
observed. Letter case does not matter in names, as on GitHub.

A service that is named like its repository is the default one, and stays that after a rename.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from functools import cached_property

from msgspec import Struct
from msgspec.structs import replace

from dora_metrics.core.facts import ids
from dora_metrics.core.facts.jsonl import canonical_json
from dora_metrics.core.facts.model import (
    EPOCH,
    Change,
    Deployment,
    Fact,
    FactRecord,
    Incident,
    Repository,
    UnknownRecord,
)
from dora_metrics.core.scope import Scope, default_service

_MICROSECOND = timedelta(microseconds=1)

_REFERENCE = re.compile(
    r"(?P<before>github:[a-z-]+:|https?://[^/\s]+/(?:(?:api/v3/)?repos/)?|)"
    r"(?P<name>[\w.-]+/[\w.-]+)"
    r"(?P<after>[#/?].*|)",
    re.IGNORECASE | re.DOTALL | re.ASCII,
)
"""An id, an address or `owner/name#12`: the texts that can name a repository."""

_PART_OF_REPOSITORY = re.compile(r"#|/(?:pull|issues|commit|releases|deployments|actions)/", re.IGNORECASE)
"""How what follows the name of a repository begins in a text that means a part of it, and not just any address."""


class RepositoryNames(Struct, frozen=True, dict=True):
    """All names of some repositories.

    Attributes:
        repositories: by id, each with every name that was seen.
        services: the names in the setting `services`. Each is a service of its own, also if a repository is, or was,
            named like it.
    """

    repositories: Mapping[str, Repository] = {}
    services: AbstractSet[str] = frozenset()

    @cached_property
    def _holders(self) -> Mapping[str, Sequence[Repository]]:
        """By name in lower case: the repositories that have or had it, in the order in which they got it."""
        holders: defaultdict[str, list[Repository]] = defaultdict(list)
        for repository in self.repositories.values():
            for name in repository.names:
                holders[name.casefold()].append(repository)
        for name, repositories in holders.items():
            repositories.sort(key=lambda repository: (_since(repository, name), repository.id))
        return dict(holders)

    @classmethod
    def of(cls, records: Iterable[FactRecord], services: AbstractSet[str] = frozenset()) -> "RepositoryNames":
        """Return the names in records of kind `repository`. Other records are ignored."""
        return cls({}, services).including(record for record in records if isinstance(record, Repository))

    def including(self, records: Iterable[Repository]) -> "RepositoryNames":
        """Return these names and those of more records."""
        repositories = dict(self.repositories)
        for record in records:
            recorded = repositories.get(record.id)
            repositories[record.id] = unite(recorded, record) if recorded else record
        return RepositoryNames(repositories, self.services)

    def news_in(self, records: Iterable[Repository]) -> Iterator[Repository]:
        """Yield what to record so that these names include those in `records`; nothing where none is new."""
        for repository in self.including(records).repositories.values():
            recorded = self.repositories.get(repository.id)
            if recorded is None:
                yield repository
            elif (recorded.names, recorded.seen_at) != (repository.names, repository.seen_at):
                yield replace(repository, observed_at=max(repository.observed_at, recorded.observed_at + _MICROSECOND))

    def leads_like(self, other: "RepositoryNames", names: Iterable[str]) -> bool:
        """Return whether these names lead to the same present names, whenever they were used."""
        return all(self._all_present_names(name) == other._all_present_names(name) for name in set(names))  # noqa: SLF001

    def _all_present_names(self, name: str) -> Sequence[str]:
        return [self.present_name_of(holder) for holder in self._holders.get(name.casefold(), ())] or [name]

    def present_name(self, name: str) -> str:
        """Return the present name of the repository that has this name, or had it last; an unknown name as it is."""
        holder = self.holder(name)
        return self.present_name_of(holder) if holder else name

    def present_name_of(self, repository: Repository) -> str:
        """Return the present name of one of the repositories.

        If another repository has taken its last known name, its present name is not known yet. Its number then
        distinguishes it: `acme/shop@12`.
        """
        name = repository.names[-1]
        return name if self.holder(name) is repository else _with_number(name, repository)

    def unknown_names(self, facts: Iterable[Fact]) -> list[str]:
        """Return the names that no repository is known to have or have had, in what facts refer to, each once."""
        texts = (text for fact in facts for text in _references_of(fact))
        names = {name.casefold(): name for text in texts if (name := _repository_in(text))}
        return [name for key, name in names.items() if key not in self._holders]

    def holder(self, name: str) -> Repository | None:
        """Return the repository that has a name, otherwise the one that had it last; None for an unknown name."""
        holders = self._holders.get(name.casefold(), ())
        present = [holder for holder in holders if holder.names[-1].casefold() == name.casefold()]
        return max(present, key=_age, default=holders[-1] if holders else None)

    def stable_name(self, name: str) -> str:
        """Return the first known name of the repository that has `name`. It stays the same through renames.

        `name` may be a present name with a number, such as `acme/shop@12`.
        """
        repository = self._repositories_by_present_name.get(name.casefold()) or self.holder(name)
        return self._stable_name_of(repository) if repository else name

    def numbered_name(self, name: str) -> str:
        """Return the first known name of the repository that has `name`, with its number, such as `acme/shop@12`.

        No other repository is ever called so, also by ledgers that know other names. An unknown name stays as it is.
        """
        repository = self._repositories_by_present_name.get(name.casefold()) or self.holder(name)
        if repository is None:
            return name
        return _with_number(min(repository.names, key=lambda each: _since(repository, each)), repository)

    @cached_property
    def _repositories_by_present_name(self) -> Mapping[str, Repository]:
        """The repositories by their present names, in lower case."""
        return {self.present_name_of(each).casefold(): each for each in self.repositories.values()}

    def _stable_name_of(self, repository: Repository) -> str:
        first = min(repository.names, key=lambda name: _since(repository, name))
        return first if self._holders[first.casefold()][0] is repository else _with_number(first, repository)

    def stable_scope(self, scope: Scope) -> Scope:
        """Return a scope with the first known name of its repository, for keys that stay the same through renames."""
        repository, service, environment = self.scope_to_store(scope)
        return Scope(repository, service or default_service(repository), environment)

    def scope_to_store(self, scope: Scope) -> Scope:
        """Return a scope under names that no rename changes, in the form that `stored_scope` reads.

        It has the first known name of its repository, and no service if that is the default one, which is renamed with
        the repository. Where `services` names that one, or one with a former name, each has its own name.
        """
        is_default = scope.service == default_service(scope.repository)
        service = "" if is_default and not self._listed_default_service(scope.repository) else scope.service
        return Scope(self.stable_name(scope.repository), service, scope.environment)

    def stored_scope(self, stored: Scope) -> Scope:
        """Return the scope with present names that `scope_to_store` stored, before or after a rename."""
        present_names = self._present_names_by_stable_name
        repository = present_names.get(stored.repository) or self.present_name(stored.repository)
        default = self._listed_default_service(repository) or default_service(repository)
        service = self.present_service(repository, stored.service) if stored.service else default
        return Scope(repository, service, stored.environment)

    def present_service(self, repository: str, service: str) -> str:
        """Return the present name of a service of a repository.

        A service with the name of its repository, or with a former one, in any letter case, is the default one. A name
        in the setting `services` stays as it is.

        Args:
            repository: its present name.
            service: a name that a fact or a file has.
        """
        if service in self.services:
            return service
        is_default = service.casefold() in self._default_services.get(repository.casefold(), {})
        return default_service(repository) if is_default else service

    def _listed_default_service(self, repository: str) -> str | None:
        """Return the service in `services` that a repository, by its present name, was named like first."""
        names = self._default_services.get(repository.casefold(), {}).values()
        return next((name for name in names if name in self.services), None)

    @cached_property
    def _default_services(self) -> Mapping[str, Mapping[str, str]]:
        """By present names in lower case: the names of the default service, as `_names_of_default_service` has them."""
        return {name: _names_of_default_service(each) for name, each in self._repositories_by_present_name.items()}

    @cached_property
    def _present_names_by_stable_name(self) -> Mapping[str, str]:
        return self.present_by_stable_name()

    def repository_id(self, present_name: str) -> str | None:
        """Return the id of the repository with a present name; None if its number is not known."""
        repository = self._repositories_by_present_name.get(present_name.casefold())
        return repository.id if repository else None

    def has_had_other_holder(self, name: str) -> bool:
        """Return whether several repositories have or had a name."""
        return len(self._holders.get(name.casefold(), ())) > 1

    def present_by_stable_name(self) -> dict[str, str]:
        """Return the present name of every repository by its stable name."""
        repositories = self.repositories.values()
        return {self._stable_name_of(repository): self.present_name_of(repository) for repository in repositories}

    def as_written_with(self, known: "RepositoryNames") -> "RepositoryNames":
        """Return these names for facts of a ledger that knows only some of them.

        Args:
            known: what the ledger knows of the names; all of its repositories are among these.
        """
        names = (name for repository in known.repositories.values() for name in repository.names)
        return (
            _NamesAsWritten(self.repositories, self.services, known)
            if any(map(self.has_had_other_holder, names))
            else self
        )

    def stable_names_from(self, known: "RepositoryNames") -> dict[str, str]:
        """Return the stable name of each repository by the one that it has in a ledger which knows only some names."""
        return {
            known._stable_name_of(each): self._stable_name_of(self.repositories[each.id])  # noqa: SLF001 - its own kind
            for each in known.repositories.values()
        }

    def present_id(self, fact_id: str) -> str:
        """Return the id of a fact with the present name of its repository."""
        return self._reference(fact_id, None)

    def numbered_id(self, fact_id: str) -> str:
        """Return the id of a fact with the first known name and the number of its repository, as in `numbered_name`."""
        return _with_name(fact_id, self.numbered_name)

    def resolve(self, record: FactRecord) -> FactRecord:
        """Return a record with present names. A record that no number is computed from is returned unchanged."""
        return record if isinstance(record, Repository | UnknownRecord) else self.resolve_fact(record)

    def resolve_fact(self, fact: Fact) -> Fact:
        """Return a fact with present names, in its id and in what it refers to."""
        return fact if self._has_present_names(fact) else _replaced(fact, self._resolved_fields(fact))

    def _has_present_names(self, fact: Fact) -> bool:
        """Return whether a fact has no former name. Most facts have none, so this is faster than resolving them."""
        if not self._is_present(fact.repository, fact.service):
            return False
        if not self._former_names:
            return True
        text = "\n".join(_texts_with_names(fact)).casefold()
        return not any(name in text for name in self._former_names)

    def are_present(self, names: Iterable[tuple[str, str | None]]) -> bool:
        """Return whether facts with these names, each of a repository and a service, have present names only."""
        return not self._former_names and all(self._is_present(*pair) for pair in set(names))

    def _is_present(self, repository: str, service: str | None) -> bool:
        if not self._is_present_name(repository):
            return False
        return not service or self.present_service(repository, service) == service

    def _is_present_name(self, name: str) -> bool:
        if name not in self._present_by_name:
            self._present_by_name[name] = self.present_name(name)
        return self._present_by_name[name] == name

    @cached_property
    def _present_by_name(self) -> dict[str, str]:
        """Present names, by names that were looked up."""
        return {}

    @cached_property
    def _former_names(self) -> tuple[str, ...]:
        """In lower case, the names that another name has replaced, or that several repositories had."""
        return tuple(
            name
            for name, holders in self._holders.items()
            if len(holders) > 1 or self.present_name_of(holders[0]).casefold() != name
        )

    def _resolved_fields(self, fact: Fact) -> dict[str, object]:
        at = fact.observed_at
        repository = self._name_at(fact.repository, at)
        fields: dict[str, object] = {
            "repository": repository,
            "service": fact.service and self.present_service(repository, fact.service),
            "id": self._reference(fact.id, at),
            "url": self._reference(fact.url, at) if fact.url and ids.is_github(fact.id) else fact.url,
        }
        match fact:
            case Deployment():
                fields["changes"] = fact.changes and self._references(fact.changes, at)
                fields["remediates"] = fact.remediates and self._reference(fact.remediates, at)
            case Change(reverts=str() as name):
                fields["reverts"] = self._reference(name, at)
            case Change(reverts=tuple() as names):
                fields["reverts"] = self._references(names, at)
            case Incident():
                fields["deployment"] = fact.deployment and self._reference(fact.deployment, at)
                fields["also"] = self._references(fact.also, at)
        return fields

    def _references(self, texts: tuple[str, ...], at: datetime) -> tuple[str, ...]:
        return tuple(self._reference(text, at) for text in texts)

    def _reference(self, text: str, at: datetime | None) -> str:
        """Return an id, address or `owner/name#12` with the present name; any other text as it is."""
        return _with_name(text, lambda name: self._name_at(name, at))

    def _name_at(self, name: str, at: datetime | None) -> str:
        """Return the present name of the repository that had a name at a time; None means now."""
        holder = self._holder_at(name, at)
        return self.present_name_of(holder) if holder else name

    def _holder_at(self, name: str, at: datetime | None) -> Repository | None:
        holders = self._holders.get(name.casefold(), ())
        if at is None or len(holders) < 2:  # noqa: PLR2004 - a single holder has had it all the time
            return self.holder(name)
        holders_until_then = [holder for holder in holders if _since(holder, name) <= at]
        return holders_until_then[-1] if holders_until_then else holders[0]

    def observed_now(self, fact: Fact) -> Fact:
        """Return a fact that this run has observed, with present names.

        If another repository had the name before, `observed_at` decides whose fact it is. It is raised to the time when
        the name had changed hands, since the run observed the fact after that.
        """
        holder = self.holder(fact.repository)
        if holder and len(self._holders[fact.repository.casefold()]) > 1:
            fact = replace(fact, observed_at=max(fact.observed_at, _since(holder, fact.repository)))
        return self.resolve_fact(fact)

    @property
    def notes(self) -> tuple[str, ...]:
        """What readers must know: which repositories have lost their name, and have no known one."""
        return tuple(
            f"{repository.names[-1]} is now the name of another repository. The one that had it before is shown as "
            f"{self.present_name_of(repository)} until its new name is known."
            for repository in self.repositories.values()
            if self.present_name_of(repository) != repository.names[-1]
        )


NO_NAMES = RepositoryNames()


class _NamesAsWritten(RepositoryNames, frozen=True, dict=True):
    """Names that lead from those of one ledger to the present ones over all ledgers.

    A ledger that began when a name had changed hands knows the present holder alone. All its facts are of that one,
    also those from a time when another repository had the name.

    Attributes:
        known: the names that the ledger knows. Any others are read by what all ledgers know.
    """

    known: RepositoryNames = NO_NAMES

    def _holder_at(self, name: str, at: datetime | None) -> Repository | None:
        holder = self.known._holder_at(name, at)  # noqa: SLF001 - of its own kind
        return self.repositories[holder.id] if holder else RepositoryNames._holder_at(self, name, at)  # noqa: SLF001


def observed_repository(
    names: RepositoryNames, number: int, name: str, now: datetime, former_names: Iterable[str] = ()
) -> Repository | None:
    """Return the record to write for a repository that was seen; None if nothing about its names is new.

    Args:
        names: what is known.
        number: of the repository.
        name: its name at `now`.
        now: the time of the observation.
        former_names: names that it is known to have had before. None of them becomes its first known name.
    """
    recorded = names.repositories.get(ids.repository(number))
    observed = _first_seen(number, name, now)
    for former_name in former_names:
        if former_name.casefold() != name.casefold():
            former = replace(_first_seen(number, former_name, now), seen_at=(now + _MICROSECOND,))
            observed = _with_present_name(unite(observed, former), name)
    if recorded is None:
        return observed
    is_overtaken = now < _since(recorded, recorded.names[-1])
    present_name = recorded.names[-1] if is_overtaken else name
    united = _with_present_name(unite(recorded, observed), present_name)
    if united.names == recorded.names:
        return None
    return replace(united, observed_at=max(now, recorded.observed_at + _MICROSECOND))


def _with_name(text: str, new_name: Callable[[str], str]) -> str:
    """Return an id, address or `owner/name#12` with another name of its repository; any other text as it is."""
    match = _REFERENCE.fullmatch(text) if "/" in text else None
    if match is None or not (match["before"] or match["after"].startswith("#")):
        return text
    return f"{match['before']}{new_name(match['name'])}{match['after']}"


def _references_of(fact: Fact) -> Iterator[str]:
    """Yield what people have written in a revert or an incident to name something of a repository."""
    match fact:
        case Change():
            yield from fact.reverted_names
        case Incident():
            yield from (fact.deployment or "", *fact.also)


def _repository_in(text: str) -> str | None:
    """Return the name of a repository in an id, an address or `owner/name#12`; None if the text has none."""
    match = _REFERENCE.fullmatch(text) if "/" in text else None
    return match["name"] if match and _PART_OF_REPOSITORY.match(match["after"]) else None


def _first_seen(number: int, name: str, now: datetime) -> Repository:
    return Repository(id=ids.repository(number), repository=name, observed_at=now, names=(name,), seen_at=(now,))


def unite(first: Repository, second: Repository) -> Repository:
    """Return one record with all names of two records of a repository. The present name is that of the newer record.

    Uniting is commutative, associative and idempotent.
    """
    if first == second:
        return first
    older, newer = sorted((first, second), key=_age)
    spellings, since = dict[str, str](), dict[str, datetime]()
    for repository in (older, newer):
        for name in repository.names:
            time, key = _since(repository, name), name.casefold()
            since[key] = min(time, since.get(key, time))
            spellings[key] = name
    in_order = sorted(spellings, key=lambda key: (since[key], key))
    united = replace(
        newer, names=tuple(spellings[key] for key in in_order), seen_at=tuple(since[key] for key in in_order)
    )
    return _with_present_name(united, newer.names[-1])


def _with_present_name(repository: Repository, name: str) -> Repository:
    """Return a record with one of its names as the last one, in this spelling."""
    times = dict(zip(repository.names, repository.seen_at, strict=True))
    former = [each for each in repository.names if each.casefold() != name.casefold()]
    seen_at = (*(times[each] for each in former), _since(repository, name))
    return replace(repository, repository=name, names=(*former, name), seen_at=seen_at)


def _age(repository: Repository) -> tuple[datetime, str, bytes]:
    """Sort key of records: the older one first."""
    return repository.observed_at, repository.names[-1], canonical_json(repository)


def _names_of_default_service(repository: Repository) -> Mapping[str, str]:
    """Return the names that the default service had, by those in lower case; the first one first.

    Each is there with the number of the repository too.
    """
    in_order = sorted(repository.names, key=lambda name: _since(repository, name))
    spelled = [default_service(each) for name in in_order for each in (name, _with_number(name, repository))]
    return {name.casefold(): name for name in spelled}


def _since(repository: Repository, name: str) -> datetime:
    """Return when a repository was first seen under a name."""
    key = name.casefold()
    for seen_name, time in zip(repository.names, repository.seen_at, strict=False):
        if seen_name.casefold() == key:
            return time
    return repository.observed_at if repository.names[-1].casefold() == key else EPOCH


def _texts_with_names(fact: Fact) -> Iterator[str]:
    """Yield the fields that may hold the name of a repository."""
    yield from (fact.repository, fact.id, fact.url or "")
    match fact:
        case Deployment():
            yield from (fact.remediates or "", *(fact.changes or ()))
        case _:
            yield from _references_of(fact)


def _replaced(fact: Fact, fields: Mapping[str, object]) -> Fact:
    """Return a fact with these fields; the same one if it has them already."""
    differing = {name: value for name, value in fields.items() if value != getattr(fact, name)}
    return replace(fact, **differing) if differing else fact


def _with_number(name: str, repository: Repository) -> str:
    return f"{name}@{ids.repository_number(repository.id)}"
