"""What a summary says of a part of an attempt: which part it is, and what has not ended yet."""

from collections.abc import Sequence

from dora_metrics.core import formatting
from dora_metrics.core.facts.job_links import job_link_of
from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.markdown import Md, md


def part_sentence(part: Deployment, parts: Sequence[Deployment], part_count: int) -> Md:
    """Return which part of its run a deployment is, and how many have not ended; empty if it is the only one.

    Args:
        part: the deployment.
        parts: all parts of the attempt that are known, this one among them; empty if there are no others.
        part_count: how many parts there are in all, where that is known; otherwise 1.
    """
    link = job_link_of(part)
    known_count = max(len(parts), 1)
    if link is None or max(known_count, part_count) == 1:
        return Md("")
    in_order = sorted(parts, key=lambda each: (each.finished_at, each.id))
    position = next((number for number, each in enumerate(in_order, 1) if each.id == part.id), 1)
    is_total_known = part_count >= known_count and part_count > 1
    number = f"{position} of {part_count}" if is_total_known else str(position)
    others = _others(parts, part_count if is_total_known else 0)
    return md("It is part {} of run {}; {}.", number, link.run_id, others)


def _others(parts: Sequence[Deployment], part_count: int) -> str:
    failed_count = sum(part.status == "failure" for part in parts)
    failed = f", of which {failed_count} failed" if failed_count else ""
    if not part_count:
        return f"{len(parts)} parts have ended so far{failed}"
    missing_count = part_count - max(len(parts), 1)
    if missing_count <= 0:
        return f"all parts have ended{failed}"
    verb = "has" if missing_count == 1 else "have"
    return f"{formatting.count(missing_count, 'part')} {verb} not ended yet"
