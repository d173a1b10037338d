"""What is done once in a number of days for each repository, on different days for different repositories."""

import hashlib
from datetime import datetime, timedelta

_SAME_DAY = timedelta(hours=20)


def is_its_turn(last: datetime | None, number: int | None, days: int, now: datetime) -> bool:
    """Whether something is due that is done once in a number of days, and was last done at a time.

    Each repository has a day of its own by GitHub's number of it, so that not all of an organisation come on one day.
    """
    if last is None or not timedelta() <= now - last < timedelta(days=days):
        return True
    place = int(hashlib.sha256(str(number).encode()).hexdigest(), 16)
    return now - last > _SAME_DAY and (now.toordinal() + place) % days == 0
