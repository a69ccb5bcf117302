"""Runs the tests of a transformers checkout twice, on stock models and on attached ones, and compares them test by test.

    make upstream TRANSFORMERS=path/to/checkout

With keep=1.0 nothing is dropped, so a test that passes on the stock model must pass on the attached one. The checkout's tests
run against the installed transformers, so it should be of the same release; tests that fail on stock are left out of the
comparison. Exits 1 if a test differs, 2 if there was nothing to compare.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import torch
import transformers

import v2drop

TESTS = Path(__file__).parent.parent


def run(checkout, folders, options, outcomes):
    """pytest in the checkout with our plugin; outcomes by test id."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "upstream.plugin", "-p", "no:cacheprovider", "--tb=short"]
    command += ["-o", "addopts=", "-W", "ignore", f"--rootdir={checkout}", f"--outcomes={outcomes}", *options, *folders]
    given = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    paths = [str(Path(path).resolve()) for path in (TESTS, *given)]  # pytest runs in another folder
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1, 5):  # all passed, some failed, none collected
        sys.exit(f"pytest could not run the tests of {checkout}:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return {record["id"]: record for record in map(json.loads, outcomes.read_text().splitlines())}


def table(stock, attached):
    """Lines with the counts of each test file."""
    rows = [("test file", "tests", "pass stock", "pass attached", "made a model", "saw vision tokens")]
    for file in sorted({name.split("::")[0] for name in stock}):
        here = Counter()
        for name, record in stock.items():
            if name.split("::")[0] == file:
                other = attached.get(name, {})
                here["tests"] += 1
                here["stock"] += record["outcome"] == "passed"
                here["attached"] += other.get("outcome") == "passed"
                here["model"] += other.get("attached", 0) > 0
                here["vision"] += other.get("saw_vision", 0) > 0
        rows.append((Path(file).name, *(here[key] for key in ("tests", "stock", "attached", "model", "vision"))))
    rows.append(("all", *(sum(row[column] for row in rows[1:]) for column in range(1, 6))))
    widths = [max(len(str(row[column])) for row in rows) for column in range(6)]
    return ["  ".join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="upstream", description=__doc__.splitlines()[0])
    parser.add_argument("checkout", type=Path, help="a checkout of transformers, or what holds its tests folder")
    parser.add_argument(
        "--models", nargs="+", default=list(v2drop.registered_adapters()), help="folders of tests/models"
    )
    parser.add_argument(
        "-m", "--mark", default="generate", help="pytest marker; '' runs every test (default: generate)"
    )
    parser.add_argument("-k", "--keyword", default="", help="pytest keyword expression")
    parser.add_argument("--keep", type=float, default=1.0, help="ratio at every layer; below 1 tests may rightly fail")
    parser.add_argument("--seconds", type=float, default=60, help="leave out tests that take longer on stock models")
    chosen = parser.parse_args(arguments)
    checkout = chosen.checkout.resolve()
    folders = [f"tests/models/{model}" for model in chosen.models if (checkout / "tests/models" / model).is_dir()]
    if not folders:
        parser.error(f"no {' or '.join(chosen.models)} in {checkout / 'tests/models'}: pass a checkout of transformers")
    options = [*(["-m", chosen.mark] if chosen.mark else []), *(["-k", chosen.keyword] if chosen.keyword else [])]

    with tempfile.TemporaryDirectory() as scratch:
        first, second, ids = (Path(scratch, name) for name in ("stock.jsonl", "attached.jsonl", "ids.txt"))
        stock = run(checkout, folders, [*options, f"--seconds={chosen.seconds}"], first)
        passing = [name for name, record in stock.items() if record["outcome"] == "passed"]
        ids.write_text("\n".join(passing))
        attach = [*options, f"--attach-keep={chosen.keep}", f"--only={ids}"]
        attached = run(checkout, folders, attach, second) if passing else {}

    print(f"transformers {transformers.__version__}, torch {torch.__version__}; attached with keep={chosen.keep:g}")
    print(*table(stock, attached), sep="\n")
    differing = [name for name in passing if attached.get(name, {}).get("outcome") != "passed"]
    for name in differing:
        print(f"differs: {name}: {attached.get(name, {}).get('why', 'did not run')}")
    for name, record in stock.items():
        if record["outcome"] == "failed":
            print(f"fails on stock: {name}: {record['why']}")
    if not any(record.get("attached") for record in attached.values()):
        print("nothing compared: no test that passes on the stock model made a model that v2drop can be attached to")
        return 2
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
