"""An object of any shape is read or named; it causes no traceback and no fact that a ledger refuses."""

import json
from collections.abc import Iterator
from copy import deepcopy
from io import BytesIO
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dora_metrics.core.facts import jsonl
from dora_metrics.core.gitops.deployments import new_deployments
from dora_metrics.core.gitops.targets import GitOpsTargets
from dora_metrics.sources.kubernetes.files import read_stream
from dora_metrics.sources.kubernetes.read import read_cluster
from support.cluster import ArgoApplication, FluxHelmRelease, FluxKustomization, Object, canary, git_repository, rollout
from support.facts import at
from support.property_cases import cases

NINE, TEN = "03-05T09:00", "03-05T10:00"
TIMES = ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", "2024-03-05T09:00:00", "2024-02-30T00:00:00Z", "12-31"]
TEXTS = ["", "\x00\ufffd", "x" * 2_000, "a/b:c@sha1:" + "0" * 40, *TIMES]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(TEXTS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)


def objects() -> list[Object]:
    flux, helm, argo = FluxKustomization(), FluxHelmRelease(), ArgoApplication()
    flux.reconcile("A", NINE)
    flux.reconcile("B", TEN, outcome="HealthCheckFailed")
    helm.release("1.0.0", NINE, testHooks={"shop": {"phase": "Failed"}})
    argo.sync("A", NINE)
    argo.fail("B", TEN)
    pods = rollout("B", "B", duration={"rolloutStartedAt": "2024-03-05T08:00:00Z"}, blueGreen={})
    return [flux.object, helm.object, argo.object, canary("one", NINE), pods, git_repository("https://github.com/a/b")]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:  # noqa: ANN401 - any JSON
    """Yield the path of each value in an object."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in items:
        yield (*path, key)
        yield from places(each, (*path, key))


@settings(max_examples=cases(300))
@given(st.sampled_from(objects()), st.data())
def test_an_object_of_any_shape_is_read_or_named(original: Object, data: st.DataObject) -> None:
    changed: Any = deepcopy(original)
    for _ in range(data.draw(st.integers(1, 2))):
        *path, key = data.draw(st.sampled_from(sorted(places(changed), key=repr)))
        parent = changed
        for step in path:
            parent = parent[step]
        parent[key] = data.draw(VALUES)
    other = canary("other", NINE)
    other["metadata"]["name"] = "other"
    file = read_stream("cluster.json", BytesIO(json.dumps({"kind": "List", "items": [changed, other]}).encode()))
    reading = read_cluster(file.objects, at("12-31"), "https://github.com")
    counts = (*reading.read_counts.values(), *reading.unknown_counts.values(), len(reading.unread))
    assert sum(counts) == 2
    assert "apps/other" in [each.deployer.path for each in reading.occurrences]
    new = new_deployments(reading.occurrences, [], GitOpsTargets(), "acme/shop")
    for made in new.deployments:
        assert jsonl.decode_line(jsonl.encode_fact(made)) == made
