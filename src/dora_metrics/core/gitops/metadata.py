"""What the metadata of events, and annotations of objects, say about a rollout."""

import re
from collections.abc import Mapping

from dora_metrics.core.markdown import storable

EVENT_GROUP = "event.toolkit.fluxcd.io/"
"""How the names of the annotations begin that Flux adds to the metadata of an object's events."""

_MAX_COUNT, _MAX_LENGTH = 50, 300


def short_texts(texts: Mapping[str, object]) -> dict[str, str]:
    """Return the metadata of an event, or the annotations of an object, as they are used: in order, and bounded.

    What is not a text is left out. So is a long one, such as `kubectl.kubernetes.io/last-applied-configuration`.
    """
    clean = ((storable(name), storable(text).strip()) for name, text in texts.items() if isinstance(text, str))
    short = [(name, text) for name, text in clean if max(len(name), len(text)) <= _MAX_LENGTH]
    return dict(sorted(short)[:_MAX_COUNT])


def event_annotations(annotations: Mapping[str, str]) -> Mapping[str, str]:
    """Return the annotations of an object that Flux adds to its events, under the names that they have there."""
    return {
        name.removeprefix(EVENT_GROUP): value for name, value in annotations.items() if name.startswith(EVENT_GROUP)
    }


def environment_in(metadata: Mapping[str, str]) -> str | None:
    """Return the environment that metadata name; None if they do not."""
    return metadata.get("env") or metadata.get("environment") or None


def images_in(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Return the images that metadata name, with commas or white space between them."""
    return tuple(filter(None, re.split(r"[,\s]+", f"{metadata.get('image', '')} {metadata.get('images', '')}")))
