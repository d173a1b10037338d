"""What a tool pushes and what its object says in the cluster are the same deployment, whatever they hold."""

from collections.abc import Mapping
from typing import Any

from dora_metrics.core.facts.model import Deployment
from dora_metrics.github.events.observe import observe
from support.cluster import ArgoApplication, FluxKustomization, Object, ReadLedger
from support.events import deployment, make_run, settings
from support.facts import sha
from support.gitops_events import Payload, argocd_sync, flux_event

NINE = "03-05T09:00"
NINE_IN_EVENTS = "2024-03-05T09:00:00Z"


def pushed(payload: Payload) -> Deployment:
    return deployment(observe(make_run("repository_dispatch"), payload, settings(), frozenset()))


def read(*objects: Object) -> Deployment:
    (made,) = ReadLedger().read(*objects).deployments
    return made


def annotated_kustomization(annotations: Mapping[str, str]) -> Object:
    flux = FluxKustomization(name="apps")
    flux.reconcile("A", NINE)
    made = flux.object
    made["metadata"]["annotations"] = {f"event.toolkit.fluxcd.io/{name}": text for name, text in annotations.items()}
    return made


def test_white_space_around_an_environment_makes_no_other_environment() -> None:
    event = flux_event(metadata={"env": "prod-eu\n"}, timestamp=NINE_IN_EVENTS)
    reading = read(annotated_kustomization({"env": "prod-eu\n"}))
    assert reading.environment == "prod-eu"
    assert pushed(event).id == reading.id


def test_an_application_of_many_sources_has_one_id() -> None:
    shop, revisions = ArgoApplication(), [sha(str(number)) for number in range(40)]
    shop.sync("A", NINE, revisions=revisions)
    event = argocd_sync(revisions=revisions, finishedAt=NINE_IN_EVENTS)
    assert pushed(event).id == read(shop.object).id


def test_a_source_without_a_revision_does_not_give_its_repository_to_another_one() -> None:
    revisions, addresses = ["", sha("A")], ["https://github.com/acme/values", "https://github.com/acme/config"]
    sources: list[dict[str, Any]] = [{"repoURL": address} for address in addresses]
    shop = ArgoApplication()
    shop.sync("A", NINE, revisions=revisions, sources=sources)
    event = argocd_sync(revisions=revisions, repositories=addresses, finishedAt=NINE_IN_EVENTS)
    for made in (pushed(event), read(shop.object)):
        assert (made.repository, made.sha) == ("acme/config", sha("A"))
