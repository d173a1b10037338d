"""Hypothesis strategies of facts: few names, so that facts refer to each other, and contradictory times."""

from datetime import datetime, timedelta

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from dora_metrics.core.facts.model import Change, Commit, Deployment, Fact, Incident, Vulnerability
from support.facts import at, commit_id, deployment_id, issue_id, pull_id, sha

OptionalText = SearchStrategy[str | None]

START = at("02-20")

times: SearchStrategy[datetime] = st.one_of(
    st.integers(0, 60 * 24 * 4).map(lambda steps: START + steps * timedelta(minutes=15)),
    st.sampled_from([
        at(text)
        for text in ("03-01", "03-05T12:00", "03-05T12:00:00.000001", "04-01", "03-31T01:30", "9999-12-31T23:59")
    ]),
)  # fmt: skip
optional_times: SearchStrategy[datetime | None] = st.none() | times

numbers = st.integers(1, 7)
shas: OptionalText = st.none() | st.sampled_from("ABCDE").map(sha)
repositories = st.sampled_from(["acme/shop", "acme/shop", "acme/shop", "acme/api"])
services: OptionalText = st.sampled_from([None, "", "shop", "shop", "api"])
environments: OptionalText = st.sampled_from(["production", "production", "production", "prod-eu", "staging", "", None])
sources: OptionalText = st.sampled_from([None, "deployments", "pushes"])
change_ids = numbers.map(pull_id) | numbers.map(commit_id) | st.just("commit:unknown")
deployment_ids = numbers.map(deployment_id)
incident_ids = numbers.map(issue_id)
versions: OptionalText = st.sampled_from([None, "V1", "V2", "v1"])
names: OptionalText = st.one_of(
    st.none(), deployment_ids, incident_ids, shas, versions, st.sampled_from(["", " ", "nowhere", "refs/tags/v1"])
)
titles: OptionalText = st.sampled_from(
    [None, "", "Add it", "hotfix: it", 'Revert "Add it"', 'Revert "Revert "Add it""']
)

_common_fields = {
    "repository": repositories,
    "service": services,
    "observed_at": times,
    "source": sources,
    "url": st.sampled_from([None, "https://a.example/", "javascript:x"]),
    "retracted": st.sampled_from([False, False, False, True]),
}

_jobs = [f"https://github.com/acme/shop/actions/runs/{job}" for job in ("1", "1/job/2", "1/job/3")]
run_urls: OptionalText = st.sampled_from([None, "https://a.example/", *_jobs])

deployments: SearchStrategy[Deployment] = st.builds(
    Deployment,
    id=deployment_ids,
    **{**_common_fields, "url": run_urls},
    run_attempt=st.sampled_from([None, None, 1, 2]),
    workflow=st.sampled_from([None, None, "Deploy", "Backup"]),
    run_event=st.sampled_from([None, None, "push", "pull_request"]),
    finished_at=times,
    status=st.sampled_from(["success", "success", "failure", "cancelled"]),
    environment=environments,
    sha=shas,
    ref=versions,
    version=versions,
    started_at=optional_times,
    changes=st.none() | st.lists(change_ids, max_size=4).map(tuple),
    previous=names,
    remediates=names,
    reached_users=st.booleans(),
    commit_count=st.none() | st.integers(0, 9),
    health=st.sampled_from([None, "passed", "failed"]),
)
commits = st.lists(st.builds(Commit, sha=st.sampled_from("ABCDE").map(sha), authored_at=times), max_size=3).map(tuple)
changes: SearchStrategy[Change] = st.builds(
    Change,
    id=change_ids,
    **_common_fields,
    sha=shas,
    title=titles,
    first_commit_at=optional_times,
    opened_at=optional_times,
    first_review_at=optional_times,
    merged_at=optional_times,
    labels=st.sampled_from([None, (), ("hotfix",), ("bug", "Hotfix")]),
    branch=st.sampled_from([None, "", "hotfix/1", "main"]),
    bot=st.booleans(),
    reverts=st.one_of(st.none(), change_ids, shas, st.lists(change_ids, max_size=3).map(tuple)),
    commits=st.none() | commits,
)
incidents: SearchStrategy[Incident] = st.builds(
    Incident,
    id=incident_ids,
    **_common_fields,
    detected_at=times,
    environment=environments,
    severity=st.sampled_from([None, "critical", "low"]),
    title=titles,
    resolved_at=optional_times,
    deployment=names,
    also=st.lists(incident_ids | st.sampled_from(["#1", "nowhere"]), max_size=2).map(tuple),
)
vulnerabilities: SearchStrategy[Vulnerability] = st.builds(
    Vulnerability,
    id=numbers.map("github:dependabot:acme/shop#{}".format),
    **_common_fields,
    detected_at=times,
    severity=st.sampled_from([None, "critical", "high"]),
    introduced_at=optional_times,
    fixed_at=optional_times,
    dismissed_at=optional_times,
)

any_facts: SearchStrategy[Fact] = st.one_of(deployments, deployments, changes, incidents, vulnerabilities)


def fact_lists(max_size: int = 25) -> SearchStrategy[list[Fact]]:
    """Lists of facts as after merging: each id at most once."""
    return st.lists(any_facts, max_size=max_size, unique_by=lambda fact: fact.id)
