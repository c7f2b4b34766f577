"""Many scenes and seeds, each the whole way: prepare, train, render, segment, post-process, evaluate; one report.

    python benchmarks/nvidia8.py SCENE... --out DIR [--seeds 0 1 2] [--preset NAME] [--set KEY=VALUE ...] [--crf]
        [--truth DIR] [--ray ADDRESS] [--cpus N] [--gpus N]

A SCENE is anything that `saff-fast prepare` takes, or a scene folder that it has made. Each scene and seed is one Ray
task, on a local cluster unless --ray names another, whose machines must then see the same folders. The same command
again goes on: a step that was done with the same arguments is not done again. A step that fails ends its task only;
the report says which and why, and the exit code is 1. DIR/report.md has the tables, DIR/report.json everything.
"""

import argparse
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from saff_fast.errors import UserError
from saff_fast.evaluate.collect import Entry, truth_of
from saff_fast.evaluate.comparison import as_markdown, compare
from saff_fast.files import read_json, save_json, save_text
from saff_fast.scene import layout

_STEPS = "steps.json"


@dataclass(frozen=True)
class Settings:
    """What all tasks share."""

    out: Path
    preset: str
    assignments: tuple[str, ...]
    crf: bool
    truth: Path | None
    threads: int


@dataclass(frozen=True)
class Task:
    """One scene with one seed."""

    source: Path
    seed: int

    @property
    def scene(self) -> str:
        return layout.scene_name(self.source)

    @property
    def name(self) -> str:
        return f"{self.scene}_seed{self.seed}"


@dataclass
class Outcome:
    """How a task went."""

    task: str
    scene: str
    seed: int
    seconds: dict[str, float] = field(default_factory=dict)
    """Of each step, when it was done, now or earlier."""
    failed: str = ""
    """The step that failed."""
    reason: str = ""
    results: dict[str, Any] = field(default_factory=dict)


def commands(task: Task, settings: Settings) -> dict[str, list[str]]:
    """The steps of a task as arguments of `saff-fast`, in order. Seeds share a scene: it is prepared before."""
    run, scene = settings.out / task.name, scene_folder(task, settings)
    assignments = [part for assignment in settings.assignments for part in ("--set", assignment)]
    truth = truth_of(task.scene, settings.truth)
    return {
        "train": [
            *("train", f"{scene}", "--out", f"{run}"),
            *("--preset", settings.preset, "--seed", f"{task.seed}", *assignments),
        ],
        "render": ["render", f"{run}"],
        "segment": ["segment", f"{run}"],
        "postprocess": ["postprocess", f"{run}", *(["--crf"] if settings.crf else [])],
        "evaluate": ["evaluate", f"{run}", *(["--truth", f"{truth}"] if truth else [])],
    }


def scene_folder(task: Task, settings: Settings) -> Path:
    """The prepared scene: the source itself, or where it is to be prepared."""
    prepared = (layout.scene_root(task.source) / layout.POSES).is_file()
    return task.source if prepared else settings.out / "scenes" / task.scene


def prepare(task: Task, settings: Settings) -> str:
    """Prepare the scene of a task unless it is; why that failed, or nothing."""
    folder = scene_folder(task, settings)
    if folder == task.source:
        return ""
    return step(["prepare", f"{task.source}", f"{folder}"], settings.threads)


def step(arguments: list[str], threads: int) -> str:
    """Run `saff-fast` in a process of its own; its last words where it fails, nothing where it does not."""
    environment = os.environ | {"OMP_NUM_THREADS": f"{threads}"}
    command = [sys.executable, "-P", "-m", "saff_fast", *arguments]  # the installed one, not the source tree
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return ""
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return lines[-1] if lines else f"exit code {done.returncode}"


def work(task: Task, settings: Settings) -> Outcome:
    """Do what is left of a task after its preparation."""
    outcome = Outcome(task.name, task.scene, task.seed)
    run = settings.out / task.name
    record = run / _STEPS
    done: dict[str, Any] = read_json(record) if record.is_file() else {}
    for name, arguments in commands(task, settings).items():
        if done.get(name, {}).get("arguments") != arguments:
            begin = time.perf_counter()
            outcome.reason = step(arguments, settings.threads)
            if outcome.reason:
                outcome.failed = name
                return outcome
            # Whatever follows was made from what this step has just replaced.
            kept = {earlier: done[earlier] for earlier in outcome.seconds}
            done = kept | {name: {"arguments": arguments, "seconds": time.perf_counter() - begin}}
            save_json(record, done)
        outcome.seconds[name] = done[name]["seconds"]
    outcome.results = read_json(run / "results.json")
    return outcome


def run_all(tasks: list[Task], settings: Settings, options: argparse.Namespace) -> list[Outcome]:
    """All tasks on the cluster; scenes are prepared first, once each."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray = _ray()
    # Ray would run its workers at the lowest priority, behind everything else on this machine.
    quiet = {"include_dashboard": False, "_system_config": {"worker_niceness": 0}}
    local = {"num_cpus": options.local_cpus, **quiet} if options.ray == "local" else {}
    ray.init(address=options.ray, log_to_driver=False, **local)
    resources = {"num_cpus": options.cpus, "num_gpus": options.gpus, "max_retries": 0}
    try:
        first = {task.scene: task for task in reversed(tasks)}
        remote = ray.remote(prepare).options(**resources)
        prepared = {remote.remote(task, settings): scene for scene, task in first.items()}
        failures = {prepared[job]: reason for job, reason in _finished(ray, list(prepared), "prepare")}
        remote = ray.remote(work).options(**resources)
        ready = [task for task in tasks if not failures[task.scene]]
        jobs = {remote.remote(task, settings): task for task in ready}
        outcomes = {jobs[job]: value for job, value in _finished(ray, list(jobs), "work")}
    finally:
        ray.shutdown()
    for task in tasks:
        lost = outcomes.get(task, failures[task.scene])
        if isinstance(lost, str):
            stage = "a worker" if task in outcomes else "prepare"
            outcomes[task] = Outcome(task.name, task.scene, task.seed, failed=stage, reason=lost)
    return [outcomes[task] for task in tasks]


def _finished(ray: Any, jobs: list[Any], what: str) -> list[tuple[Any, Any]]:
    """Jobs with what they gave, as they end; where Ray lost one, with the reason as text."""
    found, waiting = [], jobs
    while waiting:
        ready, waiting = ray.wait(waiting)
        for job in ready:
            try:
                value = ray.get(job)
            except ray.exceptions.RayError as error:
                value = f"{type(error).__name__}: {str(error).strip().splitlines()[-1]}"
            found.append((job, value))
            print(f"{what}: {len(found)} of {len(jobs)}", file=sys.stderr)
    return found


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise UserError("Ray must be there, but is not installed; run `pip install 'saff-fast[ray]'`") from error
    return ray


def report(outcomes: list[Outcome], settings: Settings) -> str:
    """Scores of the tasks that came to their end, seconds, and what failed."""
    good = [outcome for outcome in outcomes if not outcome.failed]
    entries = [Entry(f"seed {o.seed}", o.scene, o.results, lambda view: None, ()) for o in good]
    parts = [f"# {len(good)} of {len(outcomes)} tasks, preset {settings.preset}\n"]
    if entries:
        parts.append(as_markdown(compare(entries)))
    times = [
        f"| {o.task} | {' | '.join(f'{o.seconds.get(name, 0):.0f}' for name in _names(outcomes))} |\n" for o in good
    ]
    if times:
        header = f"| seconds | {' | '.join(_names(outcomes))} |\n| --- | {'---: | ' * len(_names(outcomes))}\n"
        parts.append(header.replace("| \n", "|\n") + "".join(times))
    if len(good) < len(outcomes):
        parts.append("".join(f"- {o.task}: {o.failed} failed: {o.reason}\n" for o in outcomes if o.failed))
    return "\n".join(parts)


def _names(outcomes: list[Outcome]) -> list[str]:
    return list(dict.fromkeys(name for outcome in outcomes for name in outcome.seconds))


def main() -> int:
    options = parser().parse_args()
    missing = [source for source in options.scenes if not source.exists()]
    names = [layout.scene_name(source) for source in options.scenes]
    if len(set(names)) < len(names):
        print(f"nvidia8: scenes must have names of their own, got {', '.join(names)}", file=sys.stderr)
        return 2
    for source in missing:
        print(f"nvidia8: {source} does not exist; its tasks will fail", file=sys.stderr)
    out = options.out.resolve()
    settings = Settings(out, options.preset, tuple(options.set), options.crf, options.truth, max(1, options.cpus))
    tasks = [Task(source.resolve(), seed) for source in options.scenes for seed in options.seeds]
    try:
        outcomes = run_all(tasks, settings, options)
    except (UserError, ConnectionError) as error:
        print(f"nvidia8: {error}", file=sys.stderr)
        return 2
    text = report(outcomes, settings)
    save_json(out / "report.json", [asdict(outcome) for outcome in outcomes])
    save_text(out / "report.md", text)
    print(text)
    return 1 if any(outcome.failed for outcome in outcomes) else 0


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("scenes", nargs="+", type=Path, metavar="SCENE")
    options.add_argument("--out", type=Path, required=True, metavar="DIR", help="where runs and the report go")
    options.add_argument("--seeds", type=int, nargs="+", default=[0], metavar="INT")
    options.add_argument("--preset", default="cpu-preview", metavar="NAME")
    options.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="keys of the configuration")
    options.add_argument("--crf", action="store_true", help="post-process with the dense CRF")
    options.add_argument("--truth", type=Path, metavar="DIR", help="true label maps, in SCENE/truth, SCENE or gt_masks")
    options.add_argument("--ray", default="local", metavar="ADDRESS", help="a cluster (default: one on this machine)")
    options.add_argument("--local-cpus", type=int, metavar="N", help="cores of the local cluster (default: all)")
    options.add_argument("--cpus", type=int, default=1, metavar="N", help="cores of a task")
    options.add_argument("--gpus", type=float, default=0, metavar="N", help="GPUs of a task")
    return options


if __name__ == "__main__":
    sys.exit(main())
