"""`python -m mv bench`: measures of a model, beside its teacher's."""

import json as json_text
import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from mv.timing import clock

app = typer.Typer(no_args_is_help=True, help="Measure a model: camera, beat, mouth, cast, sharpness, seams, drift.")


@app.callback()
def bench() -> None:
    pass  # keeps `model` a command by its name while it is the only one


@app.command()
def model(
    model: Annotated[str, typer.Option(help="A model that `python -m mv models` lists.")] = "mv-mini",
    clips: Annotated[int, typer.Option(min=0, help="Short shots a seed; ten movements take turns.")] = 40,
    seeds: Annotated[int, typer.Option(min=1, help="Sets of shots, each with its own noise.")] = 3,
    singers: Annotated[int, typer.Option(min=0, help="Close-ups of singers a seed.")] = 4,
    seconds: Annotated[float, typer.Option(min=0, help="Length of the long shot of a seed, for seams and drift.")] = 20,
    steps: Annotated[int | None, typer.Option(help="Denoising steps; the model's own number if not given.")] = None,
    json: Annotated[Path | None, typer.Option("--json", help="Write the table to this file, too.")] = None,
) -> None:
    """How well a model does what it is told, on plans it was not trained on, beside the stage world's own pictures.

    Mean and worst of the seeds. The teacher's column is the stage world through the same estimator.
    """
    from mv.measure.bench import measure_model
    from mv.model.catalog import load_renderer
    from mv.schema import write_atomically

    start, console = time.monotonic(), Console(stderr=True, highlight=False)

    def on_progress(done: int, total: int, text: str) -> None:
        left = f", {clock((time.monotonic() - start) / done * (total - done))} left" if done else ""
        if done % 10 == 0 or done == total:
            console.print(f"{done}/{total} shots, {clock(time.monotonic() - start)}{left}: {text}")

    rows = measure_model(load_renderer(model, steps), clips, seeds, singers, seconds, on_progress)
    if json is not None:
        settings = dict(model=model, clips=clips, seeds=seeds, singers=singers, seconds=seconds, steps=steps)
        # JSON has no nan.
        table = [{k: None if isinstance(v, float) and math.isnan(v) else v for k, v in asdict(r).items()} for r in rows]
        write_atomically(json, (json_text.dumps({**settings, "rows": table}, indent=1) + "\n").encode())
    Console(highlight=False).print(show(rows))


def show(rows) -> Table:
    """The rows of mv.measure.bench as a table for the terminal."""
    table = Table("measure", header_style="bold")
    for title in ("mean", "worst", "teacher"):
        table.add_column(title, justify="right")
    table.add_column("goal")
    for row in rows:
        numbers = ("–" if math.isnan(x) else f"{x:.3g}" for x in (row.mean, row.worst, row.teacher))
        table.add_row(row.measure, *numbers, row.goal)
    return table
