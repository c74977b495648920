"""The command line: python -m mv COMMAND --help

Results go to standard output, progress and errors to standard error. What the user can mend is one line and exit
code 2, Ctrl-C is 130, a bug keeps its traceback.
"""

import importlib
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from mv.errors import InputError, MusicVideoError
from mv.timing import clock

STAGES = {"listen": "listening", "direct": "directing", "generate": "rendering", "assemble": "assembling"}
# Commands of other parts, imported when asked for: name → module that holds its `app`.
SUBCOMMANDS = {"bench": "mv.measure.cli", "train": "mv.train.cli"}


class Commands(typer.core.TyperGroup):
    """Turns every error of ours into one red line and its exit code; brings in the subcommands of other parts."""

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except MusicVideoError as error:
            _say_error(str(error))
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            _say_error("stopped; what was finished is kept: the same command goes on from there")
            raise typer.Exit(130) from None

    def list_commands(self, ctx) -> list[str]:
        return [*super().list_commands(ctx), *SUBCOMMANDS]

    def get_command(self, ctx, name: str):
        if name not in SUBCOMMANDS:
            return super().get_command(ctx, name)
        command = typer.main.get_command(importlib.import_module(SUBCOMMANDS[name]).app)
        command.name = name
        return command


app = typer.Typer(
    cls=Commands,
    help="A song in, a music video out. The one command most people need: [b]python -m mv make song.mp3[/b]",
    epilog="Each song has a work folder under projects/ (or $MV_HOME); a second run goes on where the first stopped.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)

Song = Annotated[
    Path, typer.Argument(metavar="SONG", help="mp3, wav, flac, m4a, ogg, opus; 1 second to 1 hour.", show_default=False)
]
PlanFile = Annotated[Path, typer.Argument(metavar="PLAN", help="As written by the plan command.", show_default=False)]
FilmFile = Annotated[Path, typer.Option("-o", "--output", help="The film to write, an mp4 file.", show_default=False)]
Theme = Annotated[
    str,
    typer.Option(help='What it should look like, in words: "neon city at night, singer with red hair, blue dress".'),
]
Image = Annotated[
    Path | None,
    typer.Option(help="A picture: where the theme names none, its colour becomes the light, a person in it the cast."),
]
Lyrics = Annotated[Path | None, typer.Option(help="The words of the song: LRC with times, or plain text, in UTF-8.")]
Aspect = Annotated[str, typer.Option(help="Shape of the picture: 16:9, 9:16 or 1:1.")]
Fps = Annotated[str, typer.Option(help="Frames per second: 24, 25, 29.97, 30000/1001 ...")]
Size = Annotated[
    str,
    typer.Option(
        help="draft (288x160), standard (512x288), large (832x480) or hd (1280x704) at 16:9. The embedded model is at "
        "home at standard; large and hd are for Wan-class models."
    ),
]
Seed = Annotated[int, typer.Option(help="The same seed gives the same film; -1 takes a random one and says which.")]
Model = Annotated[str, typer.Option(help="A model that `python -m mv models` lists.")]
Steps = Annotated[
    int | None, typer.Option(help="Denoising steps; fewer is faster and rougher. The model's own number if not given.")
]
Fresh = Annotated[
    bool,
    typer.Option("--fresh/--resume", help="Render every shot again, or go on with the takes that are there already."),
]


@app.command()
def make(
    song: Song,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The film, an mp4 file. [dim]default: films/SONG.mp4[/dim]")
    ] = None,
    theme: Theme = "",
    image: Image = None,
    lyrics: Lyrics = None,
    aspect: Aspect = "16:9",
    fps: Fps = "24",
    size: Size = "standard",
    seed: Seed = 0,
    model: Model = "mv-mini",
    steps: Steps = None,
    fresh: Fresh = False,
) -> None:
    """Make the film of a song: listen, direct, render, assemble.

    Stop it with Ctrl-C at any time; the same command goes on from the shots that are finished.
    """
    from mv.make import make_film

    start = time.monotonic()
    wishes = _wishes(theme, image, lyrics, aspect, fps, size, seed)
    output = output or Path("films") / f"{song.stem}.mp4"
    with _progress() as on_step:
        film = make_film(song, output, model=model, steps=steps, fresh=fresh, on_step=on_step, **wishes)
    _say_film(film, start)


@app.command()
def analyze(
    song: Song,
    json: Annotated[Path | None, typer.Option("--json", help="Write everything that was heard to this file.")] = None,
) -> None:
    """Listen to a song: tempo, beats, sections, energy, voice."""
    from mv.make import Step
    from mv.make import analyze as listen

    with _progress() as on_step:
        analysis = listen(song, lambda share, *_: on_step(Step("listen", share)))
    if json is not None:
        analysis.save(json)
    _show_analysis(analysis)


@app.command()
def plan(
    song: Song,
    output: Annotated[Path, typer.Option("-o", "--output", help="The plan to write, a JSON file.", show_default=False)],
    theme: Theme = "",
    image: Image = None,
    lyrics: Lyrics = None,
    aspect: Aspect = "16:9",
    fps: Fps = "24",
    size: Size = "standard",
    seed: Seed = 0,
) -> None:
    """Write the shot plan of a song: cuts on the beat, shot sizes, camera moves, and the reasons for each."""
    from mv.make import plan_film, save_plan

    wishes = _wishes(theme, image, lyrics, aspect, fps, size, seed)
    with _progress() as on_step:
        timeline = plan_film(song, on_step=on_step, **wishes)
    save_plan(timeline, output)
    _show_plan(timeline)
    print(output)


@app.command()
def animatic(plan: PlanFile, output: FilmFile) -> None:
    """Draw a plan at once, without the model: the same cuts and camera, plain pictures, marked ANIMATIC."""
    _render(plan, output, "animatic", None, False)


@app.command()
def render(
    plan: PlanFile, output: FilmFile, model: Model = "mv-mini", steps: Steps = None, fresh: Fresh = False
) -> None:
    """Render a plan with a model and assemble the film.

    Only shots that changed since the last time are rendered again.
    """
    _render(plan, output, model, steps, fresh)


@app.command()
def models() -> None:
    """List the models: what they are, under which licence, and where their weights lie."""
    from mv.model.catalog import MODELS

    table = Table("model", "what it is", "steps", "licence", header_style="bold")
    table.add_column("weights", overflow="fold")
    for name, spec in MODELS.items():
        weights = f"{spec.folder}" if spec.installed else f"[red]missing[/red]: {escape(str(spec.folder))}"
        table.add_row(name, spec.description, str(spec.steps), spec.licence, weights)
    Console().print(table)


@app.command()
def doctor() -> None:
    """Say what this machine can run, and what is missing. Exit code 0 when the embedded model can run."""
    from mv.doctor import examine

    colors = {"ok": "green", "note": "yellow", "missing": "red"}
    findings = []
    for finding in examine():
        findings.append(finding)
        mark = f"[{colors[finding.state]}]{finding.state:>7}[/]"
        Console().print(f"{mark}  [b]{finding.subject}[/b]: {escape(finding.text)}", soft_wrap=True, highlight=False)
    if any(finding.state == "missing" for finding in findings):
        _say_error("mv-mini cannot run here until what is missing is there")
        raise typer.Exit(2)
    print("mv-mini can run here.")


@app.command()
def studio(
    output_dir: Annotated[
        Path | None, typer.Option(help="Where projects are kept. [dim]default: projects, or $MV_HOME[/dim]")
    ] = None,
    listen: Annotated[bool, typer.Option("--listen", help="On every network interface; needs --auth.")] = False,
    share: Annotated[bool, typer.Option("--share", help="Through a public address of gradio's; needs --auth.")] = False,
    auth: Annotated[str | None, typer.Option(help="USER:PASSWORD that the page asks for.")] = None,
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Port of the page. [dim]default: the first free from 7860[/dim]"),
    ] = None,
    inbrowser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = True,
) -> None:
    """Open the studio in the browser: upload a song, edit the plan, render, watch."""
    from mv.ui.blocks import launch

    launch(output_dir, listen=listen, port=port, share=share, auth=auth, inbrowser=inbrowser)


def main() -> None:
    app()


# ---------------------------------------------------------------- what the commands share


def _render(plan: Path, output: Path, model: str, steps: int | None, fresh: bool) -> None:
    from mv.assembly import check_output
    from mv.make import Step, assemble, generate, load_model, load_plan, stage_progress

    start = time.monotonic()
    timeline = load_plan(plan)
    check_output(output, timeline.song)
    renderer = load_model(model, steps)
    with _progress() as on_step:
        timeline = generate(timeline, renderer, fresh=fresh, on_progress=stage_progress(on_step))
        film = assemble(timeline, output, lambda share: on_step(Step("assemble", share)))
    _say_film(film, start)


def _wishes(theme, image, lyrics, aspect, fps, size, seed) -> dict:
    if seed < -1:
        raise InputError(f"seed: expected 0 or more, or -1 for a random one, got {seed}")
    if seed == -1:
        seed = secrets.randbelow(2**32)
        Console(stderr=True).print(f"seed {seed}", highlight=False)
    return {
        "theme": theme, "image": image, "lyrics": lyrics, "aspect": aspect, "fps": fps, "size": size, "seed": seed
    }  # fmt: skip


@contextmanager
def _progress() -> Iterator:
    """Yields a function of a Step; one bar a stage, with the time left."""
    columns = (
        TextColumn("{task.description:<11}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[text]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(compact=True),
    )
    # A shot may take minutes: estimate the speed over the last quarter of an hour, not rich's 30 seconds.
    with Progress(*columns, console=Console(stderr=True), speed_estimate_period=900) as progress:
        tasks = {}

        def on_step(step) -> None:
            if step.stage not in tasks:
                tasks[step.stage] = progress.add_task(STAGES[step.stage], total=1.0, text="")
            progress.update(tasks[step.stage], completed=step.share, text=step.text)

        yield on_step


def _show_analysis(analysis) -> None:
    console = Console(highlight=False)
    tempo = f"{analysis.tempo:.1f} beats a minute" if analysis.tempo else "no beat found"
    console.print(f"[b]{escape(analysis.title)}[/b]  {clock(analysis.duration)}  {tempo}  {escape(analysis.key)}")
    table = Table("from", "to", "section", "energy", header_style="bold")
    for section in analysis.sections:
        again = f" (as section {section.repeat_of + 1})" if section.repeat_of is not None else ""
        table.add_row(clock(section.start), clock(section.end), section.label + again, "▮" * round(10 * section.energy))
    console.print(table)
    for note in analysis.notes:
        console.print(f"note: {escape(note)}")


def _show_plan(timeline) -> None:
    console = Console(highlight=False)
    table = Table("shot", "from", "seconds", "size", "camera", "prompt", header_style="bold")
    for shot in timeline.shots:
        seconds = f"{float(shot.duration / timeline.fps):.2f}"
        start = clock(float(shot.start / timeline.fps))
        table.add_row(shot.id, start, seconds, shot.size, shot.camera.kind, shot.prompt)
    console.print(table)
    console.print(
        f"{len(timeline.shots)} shots, {timeline.num_frames} frames at {float(timeline.fps):g} per second, "
        f"{timeline.width}x{timeline.height}"
    )


def _say_film(film: Path, start: float) -> None:
    Console(stderr=True).print(f"done in {clock(time.monotonic() - start)}", highlight=False)
    print(film)


def _say_error(message: str) -> None:
    line = " ".join(message.split())
    Console(stderr=True, highlight=False).print(f"[bold red]error:[/bold red] {escape(line)}", soft_wrap=True)
