"""The command line: python -m mv COMMAND --help

Results go to standard output, progress and errors to standard error. What the user can mend is one line and exit
code 2, Ctrl-C is 130, a bug keeps its traceback.
"""

import importlib
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
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
    typer.Option(
        help='What it should look like, in words: "neon city at night, singer with red hair, blue dress". Moments it '
        'must have stand in it as <crowd jumps& start>@1:02 or <guitar& all>@chorus 2; "only" keeps the film there.'
    ),
]
Image = Annotated[
    list[str] | None,
    typer.Option(
        "--image",
        metavar="[NAME=]FILE",
        help="A picture: where the theme names none, its colour becomes the light, a person in it the cast. May come "
        "again with what it stands for: cast=, light=, a section (chorus=, 'chorus 2='), a place (ocean=).",
    ),
]
Cast = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME: LOOKS",
        help='Who performs: --cast "Mira: long red hair, green dress"; skin, hair and clothes. Comes again for each '
        "further performer, the lead first. A name may stand in moments: <Mira dancing& start>@1:02.",
    ),
]
Lyrics = Annotated[
    Path | None, typer.Option(help="The words of the song: LRC or SRT with times, or plain text; UTF-8.")
]
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
Style = Annotated[
    str, typer.Option(help="A preset: performance, road movie, neon, dream, raw or intimate. The theme outranks it.")
]
Pace = Annotated[float, typer.Option(help="How fast to cut: 0.5 to 2, at 2 shots are half as long.")]
Writer = Annotated[
    str | None,
    typer.Option(
        metavar="URL|FOLDER|NAME",
        help="A language model that proposes places: an OpenAI-compatible address such as "
        "http://127.0.0.1:11434/v1#MODEL (its key in $MV_WRITER_KEY), or a transformers model, by its folder or its "
        "name on the hub; Qwen2.5-Omni hears the song. With --retakes it also says what to change in a bad shot. "
        "Without an answer the rules decide.",
    ),
]
Retakes = Annotated[
    int,
    typer.Option(
        help="Look at every finished shot, and plan and render a bad one again, up to so many times: 0 to 8. Looking "
        "takes seconds a shot."
    ),
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
    cast: Cast = None,
    lyrics: Lyrics = None,
    aspect: Aspect = "16:9",
    fps: Fps = "24",
    size: Size = "standard",
    seed: Seed = 0,
    style: Style = "",
    pace: Pace = 1.0,
    writer: Writer = None,
    model: Model = "mv-mini",
    steps: Steps = None,
    retakes: Retakes = 0,
    fresh: Fresh = False,
) -> None:
    """Make the film of a song: listen, direct, render, assemble.

    Stop it with Ctrl-C at any time; the same command goes on from the shots that are finished.
    """
    from mv.make import make_film

    start = time.monotonic()
    wishes = _wishes(theme, image, cast, lyrics, aspect, fps, size, seed, style, pace, writer)
    output = output or Path("films") / f"{song.stem}.mp4"
    with _progress() as on_step:
        film = make_film(
            song, output, model=model, steps=steps, fresh=fresh, retakes=retakes, on_step=on_step, **wishes
        )
    _say_film(film, start)


@app.command()
def analyze(
    song: Song,
    json: Annotated[Path | None, typer.Option("--json", help="Write everything that was heard to this file.")] = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw what was heard on one page, a PNG file.")] = None,
    transcribe: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Write down the words by a Whisper or wav2vec2 model: its folder, or its name on the hub.",
        ),
    ] = None,
    lyrics: Annotated[
        Path | None,
        typer.Option(help="LRC or SRT; or plain text, which a wav2vec2 model (--transcribe) aligns with the voice."),
    ] = None,
) -> None:
    """Listen to a song: tempo, beats, sections, energy, voice; with a speech model the words too."""
    from mv.analysis.plot import check_plot, save_plot
    from mv.analysis.transcribe import Transcriber
    from mv.make import Step
    from mv.make import analyze as listen

    if plot is not None:
        check_plot(plot)
    writer = Transcriber.load(transcribe) if transcribe else None
    with _progress() as on_step:
        analysis = listen(song, lambda share, *_: on_step(Step("listen", share)))
    analysis = analysis.model_copy(update={"lyrics": _words(song, analysis, lyrics, writer)})
    if json is not None:
        analysis.save(json)
    if plot is not None:
        save_plot(analysis, song, plot)
    _show_analysis(analysis)


@app.command()
def plan(
    song: Song,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The plan to write, a JSON file.", show_default=False)
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Print the shot list as a page to read: every shot, every reason.")
    ] = False,
    format: Annotated[
        str, typer.Option("--format", help="Of the page --explain prints: text, markdown or csv.")
    ] = "text",
    theme: Theme = "",
    image: Image = None,
    cast: Cast = None,
    lyrics: Lyrics = None,
    aspect: Aspect = "16:9",
    fps: Fps = "24",
    size: Size = "standard",
    seed: Seed = 0,
    style: Style = "",
    pace: Pace = 1.0,
    writer: Writer = None,
) -> None:
    """Write the shot plan of a song: cuts on the beat, shot sizes, camera moves, and the reasons for each."""
    from director.shotlist import FORMATS, shot_list
    from mv.make import plan_film, read_analysis, save_plan

    if output is None and not explain:
        raise InputError("plan: expected -o FILE to write the plan to, or --explain to print it")
    if format not in FORMATS:
        raise InputError(f"format: expected one of {', '.join(FORMATS)}, got {format!r}")
    wishes = _wishes(theme, image, cast, lyrics, aspect, fps, size, seed, style, pace, writer)
    with _progress() as on_step:
        timeline = plan_film(song, on_step=on_step, **wishes)
    if output is not None:
        save_plan(timeline, output)
    if explain:
        print(shot_list(timeline, read_analysis(timeline), format), end="")
    else:
        _show_plan(timeline)
        print(output)


@app.command()
def animatic(plan: PlanFile, output: FilmFile) -> None:
    """Draw a plan at once, without the model: the same cuts and camera, plain pictures, marked ANIMATIC."""
    _render(plan, output, "animatic", None, False, 0)


@app.command()
def render(
    plan: PlanFile,
    output: FilmFile,
    model: Model = "mv-mini",
    steps: Steps = None,
    retakes: Retakes = 0,
    writer: Writer = None,
    fresh: Fresh = False,
    executor: Annotated[
        str, typer.Option(help="Where shots are drawn: local, or ray: on all devices of this machine or a cluster.")
    ] = "local",
    address: Annotated[
        str | None, typer.Option(help="With --executor ray: the cluster's head, host:port.", show_default=False)
    ] = None,
) -> None:
    """Render a plan with a model and assemble the film.

    Only shots that changed since the last time are rendered again.
    """
    _render(plan, output, model, steps, fresh, retakes, writer, executor, address)


@app.command()
def pack(
    project: Annotated[Path, typer.Argument(metavar="PROJECT", help="A folder under projects/.", show_default=False)],
    output: Annotated[Path, typer.Option("-o", "--output", help="The file to write, a zip.", show_default=False)],
) -> None:
    """Put a project into one zip file: song, plan, takes and films."""
    from mv.archive import export_project

    print(export_project(project, output))


@app.command()
def unpack(
    archive: Annotated[Path, typer.Argument(metavar="ZIP", help="As written by pack.", show_default=False)],
) -> None:
    """Make a project of a zip file, under projects/ (or $MV_HOME); one of the same name stays as it is."""
    from mv.archive import import_project
    from mv.make import projects_home

    print(projects_home() / import_project(archive, projects_home()))


@app.command()
def export(
    plan: PlanFile,
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            help="The file to write: .srt, .edl, .otio, .fcpxml, or .zip: all of these and a clip for each shot.",
            show_default=False,
        ),
    ],
    film: Annotated[
        Path | None, typer.Option(help="The film made of this plan, which the other program is to cut.")
    ] = None,
) -> None:
    """Write a plan for other programs: subtitles (SRT), its cuts as EDL, OpenTimelineIO or FCPXML, or all with clips.

    Clips are of the takes named in the plan: give rendered.json of the song's work folder.
    """
    from mv.export import FORMATS, package
    from mv.generation import chosen_take
    from mv.make import load_plan, read_analysis, takes_dir
    from mv.schema import write_atomically

    timeline = load_plan(plan)
    if output.suffix.lower() == ".zip":
        takes = {shot.id: takes_dir(timeline) / take.file for shot in timeline.shots if (take := chosen_take(shot))}
        print(package(timeline, read_analysis(timeline), takes, output))
        return
    if output.suffix.lower() not in FORMATS:
        raise InputError(f"{output}: expected a name that ends in {', '.join(FORMATS)} or .zip")
    if film is not None and not film.is_file():
        raise InputError(f"--film {film}: no such file; make the film first, or leave it out")
    write_atomically(output, FORMATS[output.suffix.lower()](timeline, read_analysis(timeline), film).encode())
    print(output)


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
    auth: Annotated[
        list[str] | None,
        typer.Option(
            metavar="USER:PASSWORD", help="The page asks for it. Several times: each user has projects of their own."
        ),
    ] = None,
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


def _render(
    plan: Path,
    output: Path,
    model: str,
    steps: int | None,
    fresh: bool,
    retakes: int,
    writer: str | None = None,
    executor: str = "local",
    address: str | None = None,
) -> None:
    from mv.assembly import check_output
    from mv.make import Step, assemble, generate, load_plan, stage_progress
    from mv.projects import lock

    start = time.monotonic()
    timeline = load_plan(plan)
    check_output(output, timeline.song)
    renderer = _where_to_render(executor, address, model, steps)
    with lock(Path(timeline.analysis).parent, "render"), _progress() as on_step:
        timeline = generate(
            timeline, renderer, fresh=fresh, retakes=retakes, writer=writer, on_progress=stage_progress(on_step)
        )
        film = assemble(timeline, output, lambda share: on_step(Step("assemble", share)))
    _say_film(film, start)


def _where_to_render(executor: str, address: str | None, model: str, steps: int | None):
    """A Renderer for this process, or an Executor over a cluster."""
    from mv.make import load_model

    if executor not in ("local", "ray"):
        raise InputError(f"executor: expected local or ray, got {executor!r}")
    if executor == "local":
        if address is not None:
            raise InputError("--address: it needs --executor ray")
        return load_model(model, steps)
    from mv.executors import ray_executor

    return ray_executor(partial(load_model, model, steps), address)


def _wishes(theme, images, cast, lyrics, aspect, fps, size, seed, style, pace, writer) -> dict:
    from director.references import parse_references

    picture, references = parse_references(images or [])
    if seed < -1:
        raise InputError(f"seed: expected 0 or more, or -1 for a random one, got {seed}")
    if seed == -1:
        seed = secrets.randbelow(2**32)
        Console(stderr=True).print(f"seed {seed}", highlight=False)
    return {
        "theme": theme, "image": picture, "references": references, "cast": "\n".join(cast or []), "lyrics": lyrics,
        "aspect": aspect, "fps": fps, "size": size, "seed": seed, "style": style, "pace": pace, "writer": writer,
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


def _words(song: Path, analysis, lyrics: Path | None, writer) -> list:
    """Timed lines from a file, by alignment, by transcription; none where there is neither."""
    from mv.lyrics import plain_lines, read_lyrics

    if lyrics is None:
        return writer.transcribe(song, analysis) if writer else analysis.lyrics
    if timed := read_lyrics(lyrics, analysis.duration):
        return timed
    if writer is None:
        raise InputError(f"{lyrics}: plain text has no times; give a wav2vec2 model by --transcribe, or an LRC file")
    return writer.align(song, analysis, plain_lines(lyrics))


def _show_analysis(analysis) -> None:
    console = Console(highlight=False)
    tempo = f"{analysis.tempo:.1f} beats a minute" if analysis.tempo else "no beat found"
    console.print(f"[b]{escape(analysis.title)}[/b]  {clock(analysis.duration)}  {tempo}  {escape(analysis.key)}")
    table = Table("from", "to", "section", "energy", header_style="bold")
    for section in analysis.sections:
        again = f" (as section {section.repeat_of + 1})" if section.repeat_of is not None else ""
        table.add_row(clock(section.start), clock(section.end), section.label + again, "▮" * round(10 * section.energy))
    console.print(table)
    for line in analysis.lyrics:
        console.print(f"{clock(line.start)}  {escape(line.text)}")
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
