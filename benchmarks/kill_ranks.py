"""Several ranks under torchrun, killed in four ways, against an undisturbed run, bit by bit.

    python benchmarks/kill_ranks.py resume --ranks 2 --runs 10    # all killed, then --resume
    python benchmarks/kill_ranks.py saving --ranks 4 --runs 20    # all killed inside a save
    python benchmarks/kill_ranks.py elastic --ranks 2 --runs 10   # one killed: --max-restarts
    python benchmarks/kill_ranks.py hang --ranks 4 --runs 2       # one stopped: named, in time

Each prints a line a run and writes its counts to benchmarks/results/kill_ranks.json.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from kill_resume import contents, equal, newest_step, unfinished

RECIPE = (
    "--model resnet8 --limit 2010 --epochs 4 --batch-size 32 --seed 3 --ema 0.99 --erase 0.25 "
    "--label-smoothing 0.1 --clip 5 --val-fraction 0.02"
).split()
SESSION = ["--workers", "1", "--threads", "1"]
RESULTS = Path(__file__).parent / "results" / "kill_ranks.json"
GRACE = 30
"""Seconds that torchrun leaves a rank that does not end by itself."""


def start(out: Path, ranks: int, *flags: str, resume: bool = False) -> subprocess.Popen:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(ranks)]
    restarts = ["--max-restarts", "3"] if "elastic" in flags else []
    own = ["--resume"] if resume else ["fashion-mnist", *RECIPE]
    more = [flag for flag in flags if flag != "elastic"]
    command = [*torchrun, *restarts, "-m", "resnetkit", "train", *own, *SESSION, *more]
    return subprocess.Popen(
        [*command, "--out", str(out)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def members(job: subprocess.Popen) -> dict[int, int]:
    """Rank -> process id of the ranks that live."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "environ").read_bytes().split(b"\0")
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, ValueError, IndexError):
            continue
        ranks = [int(word[5:]) for word in words if word.startswith(b"RANK=")]
        if ranks and parent == job.pid:
            found[ranks[0]] = int(folder.name)
    return found


def wait_for(condition, job: subprocess.Popen) -> bool:
    while not condition():
        if job.poll() is not None:
            return False
        time.sleep(0.002)
    return True


def finish(out: Path, ranks: int, *, resume: bool) -> None:
    job = start(out, ranks, resume=resume)
    _, errors = job.communicate(timeout=600)
    if job.returncode:
        raise SystemExit(f"{out}: exit {job.returncode}\n{errors[-3000:]}")


def kill_all(job: subprocess.Popen) -> None:
    """torchrun and every rank at once, as a power cut does it."""
    for pid in [job.pid, *members(job).values()]:
        os.kill(pid, signal.SIGKILL)
    job.communicate()


def disturb(kind: str, out: Path, ranks: int, draw: random.Random) -> str | None:
    """Disturb one run and bring it to its end; what was done, or None when it came too late."""
    often = ["--checkpoint-seconds", "0.3"]
    job = start(out, ranks, *often, *(["elastic"] if kind == "elastic" else []))
    if not wait_for(lambda: newest_step(out) is not None, job):
        return None
    time.sleep(draw.uniform(0, 2.0))
    if kind == "saving" and not wait_for(lambda: unfinished(out, kind), job):
        return None
    if kind == "elastic":
        living = members(job)
        if len(living) < ranks:
            job.communicate()
            return None
        rank, step = draw.choice(sorted(living)), newest_step(out)
        os.kill(living[rank], signal.SIGKILL)
        _, said = job.communicate(timeout=600)
        if job.returncode or "from step" not in said:
            return None if "exitcode: -9" not in said else f"FAILED: {said[-2000:]}"
        return f"rank {rank} killed after the checkpoint of step {step}, came back by itself"
    kill_all(job)
    if kind == "saving" and not unfinished(out, kind):
        return None
    if (out / "classifier").exists():
        return None
    step = newest_step(out)
    finish(out, ranks, resume=True)
    return f"all killed{' inside a save' if kind == 'saving' else ''}, resumed from step {step}"


def hang(out: Path, ranks: int, draw: random.Random) -> bool:
    """Stop one rank: the job must end within its time, and name the rank."""
    job = start(out, ranks, "--rank-timeout", "5", "--checkpoint-seconds", "0.3")
    wait_for(lambda: newest_step(out) is not None, job)
    rank = draw.randrange(ranks)
    began = time.monotonic()
    os.kill(members(job)[rank], signal.SIGSTOP)
    _, said = job.communicate(timeout=300)
    seconds = time.monotonic() - began
    line = next((li for li in said.splitlines() if li.startswith("resnetkit: ")), "no line")
    good = f"rank {rank} did not answer" in line and seconds < 5 + 5 + GRACE + 15
    print(f"rank {rank} of {ranks} stopped; ended after {seconds:.0f} s: {line}")
    return good


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=("resume", "saving", "elastic", "hang"))
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    draw, folder = random.Random(options.seed), Path(tempfile.mkdtemp(prefix="ranks-"))
    kind, ranks, good = options.kind, options.ranks, 0
    undisturbed = {}
    if kind != "hang":
        finish(folder / "undisturbed", ranks, resume=False)
        undisturbed = contents(folder / "undisturbed")
    for number in range(options.runs):
        out = folder / f"run-{number}"
        if kind == "hang":
            good += hang(out, ranks, draw)
            continue
        while (done := disturb(kind, out, ranks, draw)) is None:
            shutil.rmtree(out, ignore_errors=True)
        same = not done.startswith("FAILED") and equal(contents(out), undisturbed)
        good += same
        print(f"run {number}: {done}: {'equal' if same else 'DIFFERS'}", flush=True)
    print(f"{kind}, {ranks} ranks: {good} of {options.runs} good")
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results[f"{kind}, {ranks} ranks"] = f"{good} of {options.runs}"
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    shutil.rmtree(folder)
    sys.exit(good != options.runs)


if __name__ == "__main__":
    main()
