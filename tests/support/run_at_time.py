"""Run the program with a fixed clock: `python run_at_time.py 2026-11-21T12:00:00Z`."""

import os
import sys
import time
from datetime import datetime

from dora_metrics.cli import run
from dora_metrics.runtime import Runtime

if __name__ == "__main__":
    now = datetime.fromisoformat(sys.argv[1])
    sys.exit(run(["action"], Runtime(os.environ, sys.stdin.buffer, sys.stdout, sys.stderr, now, time.sleep)))
