"""A repository with its deployments, releases, issues, alerts and workflow runs."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from fakes.git import NULL_OID
from fakes.pull_requests import PullRequestStore
from fakes.records import (
    Actor,
    Alert,
    Deployment,
    DeploymentStatus,
    Issue,
    Job,
    Label,
    LabelEvent,
    Release,
    WorkflowRun,
)


class Repository(PullRequestStore):
    def deployment(
        self,
        environment: str = "production",
        *,
        sha: str | None = None,
        ref: str | None = None,
        status: str | None = "success",
        at: datetime | None = None,
        finished_at: datetime | None = None,
        creator: str = "github-actions[bot]",
        task: str = "deploy",
        payload: object = "",
        production: bool | None = None,
        transient: bool = False,
    ) -> Deployment:
        """Create a deployment with a status; status None leaves it without one."""
        is_production = environment == "production" if production is None else production
        target = sha or self.head() or NULL_OID
        deployment = Deployment(
            *self._new_record_fields(at),
            target,
            ref or self.default_branch,
            environment,
            task,
            Actor(creator),
            payload,
            "",
            is_production,
            transient,
        )
        self.add_record(deployment)
        if status:
            self.deployment_status(deployment, status, at=finished_at or at)
        return deployment

    def deployment_status(self, deployment: Deployment, state: str, *, at: datetime | None = None) -> DeploymentStatus:
        """Add a status. A success makes earlier deployments of the environment inactive, as on GitHub."""
        if state == "success":
            for earlier in self.records_of(Deployment):
                is_replaced = earlier.environment == deployment.environment and not earlier.transient
                if is_replaced and earlier.state == "ACTIVE" and earlier is not deployment:
                    self.deployment_status(earlier, "inactive", at=at)
        log_url = deployment.job.url if deployment.job else None
        status = DeploymentStatus(*self._new_record_fields(at), deployment, state, deployment.creator, log_url=log_url)
        deployment.status_history.append(status)
        return status

    def job_deployment(
        self,
        run: WorkflowRun,
        *,
        started_at: datetime | None,
        finished_at: datetime,
        conclusion: str = "success",
        name: str = "deploy",
        created_at: datetime | None = None,
        environment: str = "production",
        attempt: int = 1,
    ) -> Deployment:
        """The deployment that GitHub makes for a job with `environment:`; a cancelled job leaves the state `failure`.

        Without `started_at` no status says when the job began. `created_at` is when it reached its approval.
        """
        repository, database_id, _ = self._new_record_fields(finished_at)
        began_at = started_at or finished_at
        job = Job(repository, database_id, began_at, run, name, attempt, began_at, conclusion)
        self.add_record(job)
        deployment = self.deployment(
            environment, status=None, sha=run.head_sha, ref=run.head_branch, at=created_at or began_at
        )
        deployment.job = job
        if started_at:
            self.deployment_status(deployment, "in_progress", at=started_at)
        self.deployment_status(deployment, "success" if conclusion == "success" else "failure", at=finished_at)
        return deployment

    def release(
        self,
        tag: str,
        *,
        sha: str | None = None,
        published_at: datetime | None = None,
        name: str | None = None,
        body: str = "",
        author: str = "octocat",
        draft: bool = False,
        prerelease: bool = False,
    ) -> Release:
        target = self.git.resolve(f"refs/tags/{tag}") or sha or self.head() or NULL_OID
        if not draft and self.git.ref(f"refs/tags/{tag}") is None:
            self.tag(tag, target)
        commit = self.git.commit(target)
        _, database_id, at = self._new_record_fields(published_at)
        return self.add_record(Release(
            self, database_id, commit.committer.at if commit else at, tag, target, name or tag, body, Actor(author),
            None if draft else at, draft, prerelease,
        ))  # fmt: skip

    def issue(
        self,
        title: str,
        *,
        body: str = "",
        labels: Sequence[str] = (),
        author: str | None = "octocat",
        created_at: datetime | None = None,
        closed_at: datetime | None = None,
        state_reason: str | None = None,
    ) -> Issue:
        repository, database_id, at = self._new_record_fields(created_at)
        reason = state_reason or ("completed" if closed_at else None)
        creator = Actor(author) if author else None
        issue = Issue(
            repository,
            database_id,
            at,
            self._next_number(),
            title,
            body,
            list(labels),
            creator,
            closed_at or at,
            closed_at,
            reason,
        )
        return self.add_record(issue)

    def label(self, issue: Issue, name: str, *, at: datetime | None = None) -> None:
        self._record_label_event(issue, name, at, added=True)
        issue.labels.append(name)

    def unlabel(self, issue: Issue, name: str, *, at: datetime | None = None) -> None:
        self._record_label_event(issue, name, at, added=False)
        issue.labels.remove(name)

    def _record_label_event(self, issue: Issue, name: str, at: datetime | None, *, added: bool) -> None:
        issue.updated_at = at or self.state.now()
        issue.label_events.append(LabelEvent(Label(name), issue.updated_at, added))

    def close(self, issue: Issue, reason: str = "completed", *, at: datetime | None = None) -> None:
        issue.closed_at = issue.updated_at = at or self.state.now()
        issue.state_reason = reason

    def reopen(self, issue: Issue, *, at: datetime | None = None) -> None:
        issue.updated_at = at or self.state.now()
        issue.closed_at, issue.state_reason = None, "reopened"

    def alert(
        self,
        kind: str = "dependabot",
        subject: str = "left-pad",
        *,
        severity: str | None = "high",
        at: datetime | None = None,
        path: str = "package-lock.json",
        branch: str | None = None,
        **extra: object,
    ) -> Alert:
        """Open a security alert; `extra` replaces fields of its REST view."""
        repository, database_id, start = self._new_record_fields(at)
        number = 1 + max((alert.number for alert in self.records_of(Alert) if alert.kind == kind), default=0)
        ref = f"refs/heads/{branch or self.default_branch}"
        return self.add_record(
            Alert(repository, database_id, start, kind, number, subject, severity, path, ref, start, extra=dict(extra))
        )

    def fix(self, alert: Alert, *, at: datetime | None = None) -> None:
        alert.fixed_at = alert.updated_at = at or self.state.now()
        alert.state, alert.resolution = "fixed", "revoked"

    def dismiss(self, alert: Alert, *, at: datetime | None = None, reason: str = "wont_fix") -> None:
        alert.dismissed_at = alert.updated_at = at or self.state.now()
        alert.state, alert.resolution = "dismissed", reason

    def reopen_alert(self, alert: Alert, *, at: datetime | None = None) -> None:
        alert.updated_at = at or self.state.now()
        alert.state, alert.fixed_at, alert.dismissed_at, alert.resolution = "open", None, None, None

    def workflows(self) -> dict[int, tuple[str, str]]:
        """Name and path of each workflow that has run, by its number."""
        paths = {run.path: run.name for run in self.records_of(WorkflowRun)}
        return {number: (paths[path], path) for number, path in enumerate(sorted(paths), 1)}

    def promote(self, release: Release, *, at: datetime) -> None:
        """Turn a prerelease into a release, which leaves its publication as it was."""
        release.is_prerelease, release.edited_at = False, at

    def rerun(
        self, run: WorkflowRun, *, at: datetime, finished_at: datetime | None = None, conclusion: str | None = "success"
    ) -> WorkflowRun:
        """Run a workflow run again: lists show the new attempt, and the earlier ones have addresses of their own.

        Conclusion None means that the new attempt is in progress.
        """
        run.earlier_attempts.append(replace(run, earlier_attempts=[]))
        run.run_attempt += 1
        run.run_started_at, run.updated_at = at, finished_at or at
        run.status, run.conclusion = "completed" if conclusion else "in_progress", conclusion
        return run

    def run(
        self,
        name: str = "Deploy",
        *,
        sha: str | None = None,
        branch: str | None = None,
        event: str = "push",
        conclusion: str | None = "success",
        path: str | None = None,
        at: datetime | None = None,
        finished_at: datetime | None = None,
        attempt: int = 1,
    ) -> WorkflowRun:
        """Add a workflow run; conclusion None means that it is in progress."""
        repository, database_id, start = self._new_record_fields(at)
        file = path or f".github/workflows/{name.lower()}.yml"
        status = "completed" if conclusion else "in_progress"
        number = 1 + len([run for run in self.records_of(WorkflowRun) if run.path == file])
        return self.add_record(WorkflowRun(
            repository, database_id, start, name, file, event, sha or self.head() or NULL_OID,
            branch or self.default_branch, status, conclusion, start, finished_at or start, attempt, number,
        ))  # fmt: skip
