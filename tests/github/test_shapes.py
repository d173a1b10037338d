"""Answers are checked in several threads at once, because a sync reads several kinds of things side by side."""

import subprocess
import sys

CHECK_FROM_MANY_THREADS = """
import sys
from threading import Barrier, Thread

from dora_metrics.github import shapes

sys.setswitchinterval(1e-6)


def check(name, barrier):
    barrier.wait()
    shapes.problem_of_graphql(name, {}, {"data": {"repository": {}}})


for name in shapes.OF_QUERIES:
    barrier = Barrier(8)
    threads = [Thread(target=check, args=(name, barrier)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
"""


def test_the_first_answers_of_a_process_may_arrive_at_once() -> None:
    """In a process of its own: what msgspec knows of a shape is built once, and a crash ends the process."""
    completed = subprocess.run([sys.executable, "-c", CHECK_FROM_MANY_THREADS], capture_output=True, check=False)
    assert completed.returncode == 0, completed.stderr
