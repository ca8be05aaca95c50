"""Machines, disks and cost up to a country: `python -m benchmarks.capacity [--measure] [--json] [--write]`.

Computes from the inputs that were measured last (`scale_inputs.json`), or measures them now. With `--write`
the page docs/scale.md is made anew, and the inputs kept.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import scale_inputs
from benchmarks.scale_model import most_spaces
from benchmarks.scale_tables import TABLES, Model, capacity, crowded, figures, waiting

TEMPLATE = Path(__file__).with_name("scale_page.md")
PAGE = Path(__file__).parents[1] / "docs" / "scale.md"
_PLACE = re.compile(r"\{\{(\w+)\}\}")


def page(model: Model) -> str:
    """docs/scale.md. Raises KeyError for a place of the template that nothing fills."""
    told = figures(model) | {name: made(model) for name, made in TABLES.items()}
    return _PLACE.sub(lambda place: told[place.group(1)], TEMPLATE.read_text())


def answer(model: Model) -> dict[str, Any]:
    """All that is computed, for software."""
    plans = []
    for one in model.plans():
        told = asdict(one) | {"machines": one.machines}
        if one.spaces > 1:
            told["morning"] = {"wait_p99": waiting(model, one), "capacity": capacity(model, one)}
            told["within_a_minute"] = asdict(crowded(model, one))
        plans.append(told)
    most = {
        name: most_spaces(model.inputs, model.assumed, model.engine(name)) for name in ("plain", "timescale")
    }
    return {
        "inputs": asdict(model.inputs),
        "assumed": asdict(model.assumed),
        "plans": plans,
        "most_spaces_of_one_server": most,
    }


def parsed(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--measure", action="store_true", help="measure the inputs now, on this machine")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write", action="store_true", help="keep the inputs, and make docs/scale.md anew")
    return parser.parse_args(given)


def main() -> int:
    arguments = parsed()
    inputs = scale_inputs.measure() if arguments.measure else scale_inputs.recorded()
    model = Model(inputs)
    if arguments.write:
        scale_inputs.record(inputs)
        PAGE.write_text(page(model))
    if arguments.json:
        print(json.dumps(answer(model)))
    else:
        print(f"Measured {inputs.measured} on {inputs.machine}\n")
        for name, made in TABLES.items():
            print(f"{name}\n\n{made(model)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
