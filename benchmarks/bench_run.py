# SPDX-License-Identifier: Apache-2.0
"""How fast `aiflow run` is, beside raw limits measured in the same run.

    python -m benchmarks.bench_run [--quick] [NAME ...]

Every row is a ratio: our figure over what the machine needs for the bare work at that moment (plain
``bash -c true``, plain forks, plain fsync'd inserts). Machines differ and are shared; ratios travel better
than seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks import workloads

ROOT = Path(__file__).resolve().parent.parent


def run_file(home: Path, file: Path, *options: str) -> dict[str, Any]:
    """Run a workflow file with the command line and return its JSON result."""
    command = [sys.executable, str(ROOT / "aiflow.py"), "run", str(file), "-o", "json", "--quiet", *options]
    environment = {**os.environ, "AIFLOW_HOME": str(home)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout)


def execution_seconds(result: dict[str, Any]) -> float:
    """Return the seconds from the start of the execution to its end."""
    return result["executions"][0]["duration_s"]


def seconds_after_the_first(result: dict[str, Any]) -> float:
    """Return the seconds from the end of the first task of a chain to the end of its last."""
    ends = [datetime.fromisoformat(task["end_date"]) for task in result["executions"][0]["tasks"]]
    return (max(ends) - min(ends)).total_seconds()


def independent_bash(directory: Path) -> str:
    file = workloads.write_workflow(directory, "independent_bash", workloads.INDEPENDENT_BASH, count=100)
    raw_s = workloads.bash_two_at_a_time_seconds(100)
    ours_s = execution_seconds(run_file(directory / "home", file))
    return _row("100 independent `true` Bash tasks", ours_s, "100 `bash -c true`, two at a time", raw_s, 3)


def chain(directory: Path) -> str:
    file = workloads.write_workflow(directory, "chain", workloads.CHAIN, count=30)
    raw_s = workloads.insert_seconds(directory) + workloads.bash_seconds()
    hop_s = seconds_after_the_first(run_file(directory / "home", file)) / 29
    return _row("chain of 30 Bash tasks, per hop", hop_s, "one fsync'd insert + one `bash -c`", raw_s, 2)


def tiny_python(directory: Path) -> str:
    file = workloads.write_workflow(directory, "tiny_python", workloads.TINY_PYTHON_CHAIN, count=40)
    raw_s = 40 * workloads.fork_seconds()
    ours_s = seconds_after_the_first(run_file(directory / "home", file))
    row = _row("40 sequential tiny Python tasks, after the first", ours_s, "40 plain forks", raw_s, None)
    return f"{row}  (aim: 250 ms where a fork takes 1 ms)"


def thousand_python(directory: Path) -> str:
    file = workloads.write_workflow(directory, "thousand", workloads.INDEPENDENT_PYTHON, count=1000)
    raw_s = 1000 * workloads.fork_seconds()
    ours_s = execution_seconds(run_file(directory / "home", file))
    return _row("1,000 no-op Python tasks", ours_s, "1,000 plain forks", raw_s, None)


def event_latency(directory: Path, home: Path | None = None, count: int = 200) -> str:
    median_s, p99_s = event_latencies(directory, home or directory / "home", count)
    raw_s = 2 * workloads.insert_seconds(directory) + workloads.bash_seconds()
    row = _row("event sent to task started, p50", median_s, "two fsync'd inserts + one `bash -c`", raw_s, 3)
    return f"{row}  (p99 {p99_s * 1000:.2f} ms)"


def event_latencies(directory: Path, home: Path, count: int) -> tuple[float, float]:
    """Return the median and the 99th percentile of the seconds from a send to the start of the task."""
    with tempfile.TemporaryDirectory(dir=directory) as place:
        sends, starts = Path(place) / "sends", Path(place) / "starts"
        values = {"sends": str(sends), "starts": str(starts), "count": count}
        file = workloads.write_workflow(Path(place), "event_latency", workloads.EVENT_LATENCY, **values)
        run_file(home, file)
        sent, started = _times(sends), _times(starts)
        latencies = sorted(started[number] - sent[number] for number in sent)
    return statistics.median(latencies), latencies[int(len(latencies) * 0.99)]


def _times(file: Path) -> dict[int, float]:
    """Return the time on each line of a file of `number time`."""
    return {int(number): float(moment) for number, moment in map(str.split, file.read_text().splitlines())}


def first_task(directory: Path) -> str:
    started = directory / "started"
    file = workloads.write_workflow(directory, "first", workloads.FIRST_TASK, started=started)
    latencies: list[float] = []
    for _ in range(5):
        pressed = time.time()
        run_file(directory / "home", file)
        latencies.append(float(started.read_text()) - pressed)
    raw_s = _command_seconds([sys.executable, "-c", "import click"])
    ours_s = statistics.median(latencies)
    row = _row("Enter to first Bash task, median of 5", ours_s, "python -c 'import click'", raw_s, None)
    return f"{row}  (aim: 0.5 s)"


def start_up(directory: Path) -> str:
    ours_s = _command_seconds([sys.executable, str(ROOT / "aiflow.py"), "--version"])
    raw_s = _command_seconds([sys.executable, "-c", "import click"])
    return _row("aiflow --version", ours_s, "python -c 'import click'", raw_s, 2.5)


def idle(directory: Path) -> str:
    import psutil

    file = workloads.write_workflow(directory, "idle", workloads.IDLE)
    command = [sys.executable, str(ROOT / "aiflow.py"), "run", str(file), "--quiet"]
    environment = {**os.environ, "AIFLOW_HOME": str(directory / "home")}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        watched = psutil.Process(process.pid)
        time.sleep(3)
        before, began = watched.cpu_times(), time.monotonic()
        time.sleep(10)
        after, took_s = watched.cpu_times(), time.monotonic() - began
        share = (after.user + after.system - before.user - before.system) / took_s
        rss = watched.memory_info().rss / 1e6
    finally:
        process.terminate()
        process.wait()
    return f"idle scheduler: {share * 100:.2f} % of a core (aim < 1 %), {rss:.0f} MB RSS (aim < 80 MB)"


BENCHMARKS: dict[str, Callable[[Path], str]] = {
    "start_up": start_up,
    "first_task": first_task,
    "independent_bash": independent_bash,
    "chain": chain,
    "tiny_python": tiny_python,
    "thousand_python": thousand_python,
    "event_latency": event_latency,
    "idle": idle,
}


def main() -> None:
    """Run the named benchmarks, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, []], metavar="NAME")
    chosen = parser.parse_args().names or list(BENCHMARKS)
    for name in chosen:
        with tempfile.TemporaryDirectory(prefix="aiflow-bench-") as directory:
            print(BENCHMARKS[name](Path(directory)), flush=True)


def _row(what: str, ours_s: float, raw: str, raw_s: float, aim: float | None) -> str:
    goal = f", aim {aim:g}x" if aim is not None else ""
    return f"{what}: {ours_s * 1000:.2f} ms; {raw}: {raw_s * 1000:.2f} ms; ratio {ours_s / raw_s:.2f}{goal}"


def _command_seconds(command: list[str], times: int = 9) -> float:
    taken: list[float] = []
    for _ in range(times):
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


if __name__ == "__main__":
    main()
