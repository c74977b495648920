"""The film on one page: analyze, direct, generate, assemble.

    analysis = analyze("song.mp3")
    plan = direct(analysis, "song.mp3", theme="neon night")
    plan = generate(plan, model="mv-mini")
    assemble(plan, "film.mp4")

Each song has a work folder, projects/<song>-<hash>/ (or under MV_HOME): the song as uploaded, analysis.json, plan.json,
takes/, and rendered.json, the plan last rendered with its takes: a take chosen in plan.json is a person's choice.
A second run finds there what the first one made. Plans in memory hold absolute paths, plans on disk hold paths relative
to their own folder where they can, so that a project folder may be moved.
"""

import functools
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from mv import assembly, generation
from mv.devices import turn
from mv.errors import AudioError, Cancelled, InputError
from mv.generation import Conditions, Executor, Ledger, Progress, Renderer
from mv.projects import lock, sweep
from mv.schema import Analysis, Brief, Take, Timeline, dump_compact
from mv.timing import parse_fps

# Preset: aspect: (width, height) in pixels. Models draw in blocks of 32 pixels, so a size whose sides do not fall on
# them takes the nearest shape there is: draft 1.80 and hd 1.82 instead of 1.78, large 1.73 as Wan's own 480p.
SIZES = {
    "draft": {"16:9": (288, 160), "9:16": (160, 288), "1:1": (224, 224)},
    "standard": {"16:9": (512, 288), "9:16": (288, 512), "1:1": (384, 384)},
    "large": {"16:9": (832, 480), "9:16": (480, 832), "1:1": (640, 640)},
    "hd": {"16:9": (1280, 704), "9:16": (704, 1280), "1:1": (960, 960)},
}
ASPECTS = tuple(SIZES["standard"])


@dataclass(frozen=True)
class Step:
    """Progress of the whole: stage is listen, direct, generate or assemble; share 0..1 of it; text for people."""

    stage: str
    share: float
    text: str = ""


OnStep = Callable[[Step], None]


def make_film(
    song: str | Path,
    output: str | Path,
    *,
    model: str | Renderer = "mv-mini",
    steps: int | None = None,
    fresh: bool = False,
    retakes: int = 0,
    on_step: OnStep = lambda step: None,
    cancelled: Callable[[], bool] = lambda: False,
    **wishes,
) -> Path:
    """Song in, film out. wishes as for `direct`. Run again after a stop, it goes on where it was; fresh: anew.

    retakes: as for `generate`.

    Raises AudioError, InputError, OutputError, ModelError, Cancelled.
    """
    output = assembly.check_output(output, song)
    check_wishes(**wishes)
    check_retakes(retakes)
    folder = project_folder(song)  # a missing song is told before a model is loaded
    renderer = load_model(model, steps)
    # Listening and directing write whole files, so they need no lock; and what is no song makes no folder.
    plan = plan_film(song, fresh=fresh, on_step=on_step, **wishes)
    with lock(folder, "make"):
        sweep(folder)
        project_plan = Path(plan.analysis).with_name("plan.json")
        _keep_edited(project_plan)
        save_plan(plan, project_plan)
        plan = generate(
            plan,
            renderer,
            fresh=fresh,
            retakes=retakes,
            writer=wishes.get("writer"),
            on_progress=stage_progress(on_step),
            cancelled=cancelled,
        )
        save_plan(plan, project_plan.with_name("rendered.json"))
        return assemble(plan, output, on_progress=lambda share: on_step(Step("assemble", share)), cancelled=cancelled)


def plan_film(song: str | Path, *, fresh: bool = False, on_step: OnStep = lambda step: None, **wishes) -> Timeline:
    """analyze and direct in one; the analysis of an earlier run is used again unless fresh."""
    check_wishes(**wishes)
    analysis = None if fresh else _known_analysis(project_folder(song))
    if analysis is None:
        on_step(Step("listen", 0.0))
        analysis = analyze(song, lambda share, *_: on_step(Step("listen", share)))
    on_step(Step("listen", 1.0))
    on_step(Step("direct", 0.0))
    plan = direct(analysis, song, **wishes)
    on_step(Step("direct", 1.0, f"{len(plan.shots)} shots"))
    return plan


def analyze(song: str | Path, on_progress: Callable[[float], None] | None = None) -> Analysis:
    """Everything heard in a song. Raises AudioError."""
    from mv import analysis

    return analysis.analyze(song, on_progress)


def direct(
    analysis: Analysis,
    song: str | Path,
    *,
    theme: str = "",
    image: str | Path | None = None,
    references: Mapping[str, str | Path] | None = None,
    cast: str = "",
    lyrics: str | Path | None = None,
    aspect: str = "16:9",
    fps: str | int | Fraction = 24,
    size: str = "standard",
    seed: int = 0,
    style: str = "",
    pace: float = 1.0,
    writer: str | None = None,
) -> Timeline:
    """The shot plan of a film for this song; makes the song's work folder.

    theme: what it should look like, in words. image: its dominant colour becomes the light, and the look of a person in
    it the performer's, where the theme names none. references: more pictures by what they stand for: cast, light, a
    section such as "chorus 2", or a place; see director.references. cast: who performs, a line each, such as "Mira:
    long red hair, green dress"; see director.casting.
    lyrics: LRC, or plain text. aspect: 16:9, 9:16 or 1:1. size: a key of SIZES. style: a key of director.vocabulary's
    STYLES. pace: 0.5 to 2, how fast to cut. writer: address, folder or hub name of a language model that proposes
    places, one that hears the song among them; see director.llm.open_writer. Raises InputError, OutputError.
    """
    import director
    from director.casting import parse_cast
    from director.llm import open_writer

    width, height = picture_size(size, aspect)
    fps = parse_fps(fps)
    lines = _read_words(lyrics, analysis.duration)
    brief = Brief(theme=theme, image=_text(image), lyrics=_text(lyrics), seed=_check_seed(seed))
    brief = brief.model_copy(update={"style": style, "pace": _check_pace(pace), "cast": parse_cast(cast)})
    brief = brief.model_copy(update={"references": {name: str(file) for name, file in (references or {}).items()}})
    person, lights = _read_pictures(brief)
    project = project_folder(song)
    kept = _keep(song, project)
    pictures = {name: _keep(file, project, f"{name}-") for name, file in brief.references.items()}
    kept_files = {"image": _keep(image, project), "lyrics": _keep(lyrics, project), "references": pictures}
    analysis = analysis.model_copy(update={"lyrics": lines or analysis.lyrics})
    path = _save_analysis(analysis, project, lyrics=bool(lines))
    return director.direct(
        analysis,
        brief.model_copy(update=kept_files),
        song=kept,
        analysis_path=str(path),
        fps=fps,
        width=width,
        height=height,
        person=person,
        writer=open_writer(writer, _ear(song)) if writer else None,
        lights=lights,
    )


def replan(plan: Timeline, analysis: Analysis) -> Timeline:
    """The plan made anew for what was heard now; shots that are locked or edited stay. Paths as in `plan`, absolute.

    Raises InputError where the analysis is not of this song.
    """
    import director

    person, lights = _read_pictures(plan.brief)
    return director.replan(plan, analysis, plan.brief, person, lights=lights)


def generate(
    plan: Timeline,
    model: str | Renderer | Executor = "mv-mini",
    steps: int | None = None,
    *,
    fresh: bool = False,
    retakes: int = 0,
    writer: str | None = None,
    only: Collection[str] | None = None,
    kept: Mapping[str, Take] | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    cancelled: Callable[[], bool] = lambda: False,
    ledger: Ledger | None = None,
) -> Timeline:
    """The plan with a take for every shot; takes of an earlier run, of other projects too, are used again unless fresh.

    model: a name `python -m mv models` lists, "animatic", any Renderer, or an Executor. steps: denoising steps; None:
    the model's own number. retakes: finished shots are looked at, and those that measure badly planned and rendered
    again up to so many times (0 to 8); what was seen and done stands in retakes.log. writer: a language model, as for
    `direct`, that says what to change in a bad shot. only: ids of the shots to render; None: all. kept: shot id → the
    take that stands for it, which is not rendered. ledger: told about every shot asked for.
    """
    from director.llm import check_writer, open_writer

    check_retakes(retakes)
    if writer:
        check_writer(writer)
    if retakes and (only is not None or kept):
        raise InputError(f"retakes: expected 0 together with only or kept, got {retakes}; retakes look at all shots")
    renderer, heard = load_model(model, steps), read_analysis(plan)

    def render(plan: Timeline, fresh: bool = False) -> Timeline:
        return generation.generate(
            plan,
            lambda index: conditions(plan, index, heard),
            renderer,
            takes_dir(plan),
            on_progress,
            cancelled,
            fresh,
            only=only,
            kept=kept,
            elsewhere=_other_takes(plan),
            ledger=ledger,
        )

    plan = render(plan, fresh)
    if not retakes:
        return plan
    from mv.retakes import shoot_again

    return shoot_again(
        plan,
        heard,
        render,
        lambda plan, i: conditions(plan, i, heard),
        takes_dir(plan),
        retakes,
        steps=getattr(renderer, "num_inference_steps", 1),
        draw=_single_pictures(renderer, cancelled),
        adviser=open_writer(writer, _ear(plan.song)) if writer else None,
    )


def _single_pictures(renderer: Renderer | Executor, cancelled: Callable[[], bool]):
    """Conditions → frames, drawn at once when the device is free; None for an executor, which draws takes."""
    if isinstance(renderer, Executor):
        return None

    def wait(holder: str) -> None:
        if cancelled():
            raise Cancelled("stopped; the shots that were finished are kept")

    def draw(one: Conditions) -> np.ndarray:
        with turn(wait):
            return renderer.render(one, cancelled=cancelled)

    return draw


def assemble(
    plan: Timeline,
    output: str | Path,
    on_progress: Callable[[float], None] = lambda share: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Path:
    """Takes and song → the film, an mp4."""
    return assembly.assemble(plan, plan.song, output, takes_dir(plan), on_progress=on_progress, cancelled=cancelled)


# ---------------------------------------------------------------- between the stages


def conditions(plan: Timeline, index: int, analysis: Analysis) -> Conditions:
    """What a renderer is given for the shot with this index, handles included."""
    from director.trajectories import trajectory

    shot = plan.shots[index]
    start, stop = plan.span(index)
    return Conditions(
        prompt=shot.prompt,
        path=trajectory(plan, index, analysis),
        audio=analysis.on_grid(plan.fps, start, stop - start),
        fps=plan.fps,
        width=plan.width,
        height=plan.height,
        seed=shot.seed,
        reference=shot.reference,
    )


def _ear(song: str | Path) -> Callable[[float, float], np.ndarray]:
    """What a writer that hears is given: (start, seconds) → samples, see director.local.Ear; the song is read once,
    when it is first asked for."""
    from director.local import HEARING_SR
    from mv.audio import mono, read_audio

    y = functools.cache(lambda: mono(read_audio(song, HEARING_SR)))
    return lambda start, seconds: y()[round(start * HEARING_SR) : round((start + seconds) * HEARING_SR)]


def load_model(model: str | Renderer | Executor, steps: int | None = None) -> Renderer | Executor:
    """Raises InputError for a name or steps that cannot be, ModelError for an incomplete model."""
    if not isinstance(model, str):
        return model
    if steps is not None and steps < 1:
        raise InputError(f"steps: expected 1 or more, got {steps}")
    if model == "animatic":
        from mv.animatic import AnimaticRenderer

        return AnimaticRenderer()
    from mv.model.catalog import load_renderer

    return load_renderer(model, steps)


def takes_dir(plan: Timeline) -> Path:
    return Path(plan.analysis).parent / "takes"


def _other_takes(plan: Timeline) -> list[Path]:
    """The takes of all other projects; of a user's own, where the studio keeps users apart."""
    own, home = takes_dir(plan).absolute(), projects_home()
    home = own.parents[1] if own.is_relative_to(home) else home
    return sorted(folder for folder in home.glob("*/takes") if folder != own)


def read_analysis(plan: Timeline) -> Analysis:
    return Analysis.load(plan.analysis)


def stage_progress(on_step: OnStep) -> Callable[[Progress], None]:
    """Reports a generation as a Step."""
    return lambda p: on_step(Step("generate", p.share, generation_words(p)))


def generation_words(progress: Progress) -> str:
    """The shot in work, or what is waited for."""
    return progress.waits or f"shot {min(progress.shots_done + 1, progress.num_shots)} of {progress.num_shots}"


# ---------------------------------------------------------------- wishes


def check_wishes(
    *,
    image=None,
    references=None,
    cast="",
    lyrics=None,
    aspect="16:9",
    fps=24,
    size="standard",
    seed=0,
    theme="",
    style="",
    pace=1.0,
    writer=None,
) -> None:
    """Raise InputError for what `direct` would refuse, before minutes of listening."""
    from director.casting import parse_cast
    from director.llm import check_writer
    from director.moments import split_theme
    from director.references import check_name, with_places
    from director.story import read_style

    picture_size(size, aspect)
    parse_fps(fps)
    _check_seed(seed)
    _check_pace(pace)
    read_style(style)
    if writer:
        check_writer(writer)
    brief = Brief(theme=theme, image=_text(image), references={k: str(v) for k, v in (references or {}).items()})
    brief = brief.model_copy(update={"cast": parse_cast(cast)})
    for name in brief.references:
        check_name(name)
    with_places(brief.model_copy(update={"theme": split_theme(theme)[0]}))
    _read_pictures(brief)
    _read_words(lyrics, duration=float("inf"))


def check_retakes(retakes: int) -> None:
    """Raises InputError."""
    from director.agent import MAX_RETAKES

    if not 0 <= retakes <= MAX_RETAKES:
        raise InputError(f"retakes: expected 0 to {MAX_RETAKES}, got {retakes}")


def picture_size(size: str, aspect: str) -> tuple[int, int]:
    """(width, height) in pixels."""
    if size not in SIZES:
        raise InputError(f"size: expected one of {', '.join(SIZES)}, got {str(size)[:40]!r}")
    if aspect not in SIZES[size]:
        raise InputError(f"aspect: expected one of {', '.join(SIZES[size])}, got {str(aspect)[:40]!r}")
    return SIZES[size][aspect]


def _check_pace(pace: float) -> float:
    if not 0.5 <= pace <= 2:
        raise InputError(f"pace: expected 0.5 to 2, got {pace:g}")
    return pace


def _check_seed(seed: int) -> int:
    if not 0 <= seed < 2**32:
        raise InputError(f"seed: expected 0 to {2**32 - 1}, got {seed}")
    return seed


def _read_words(lyrics: str | Path | None, duration: float):
    from mv.lyrics import read_lyrics

    return read_lyrics(lyrics, duration) if lyrics else []


def _read_pictures(brief: Brief):
    """(PersonReading or None, lights by what they stand for) of the brief's reference images. Raises InputError."""
    from director.references import Light
    from mv.reference import read_palette, read_person

    pictures = {"": brief.image, **brief.references}
    whose = pictures.get("cast") or brief.image
    lights = {name: read_palette(file) for name, file in pictures.items() if file and name != "cast"}
    lights = {name: Light(reading.palette, reading.evidence) for name, reading in lights.items()}
    return read_person(whose) if whose else None, lights


def _text(path: str | Path | None) -> str | None:
    return None if path is None else str(path)


# ---------------------------------------------------------------- work folders


def projects_home() -> Path:
    """Where the work folders stand: MV_HOME, else ./projects."""
    return Path(os.environ.get("MV_HOME") or "projects").absolute()


def project_folder(song: str | Path) -> Path:
    """projects/<song>-<hash of its content>, or where the song lies in such a folder already; nothing is made. Raises
    AudioError where the song cannot be read."""
    song = Path(song).absolute()
    name = re.sub(r"[^\w.-]+", "-", song.stem).strip("-.")[:60] or "song"
    folder = projects_home() / f"{name}-{_hash(song)[:8]}"
    return song.parent if song.parent.name == folder.name else folder


def _hash(song: Path) -> str:
    try:
        with song.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise AudioError(f"{song}: no such file; check the name of the song") from None
    except (OSError, ValueError) as error:
        raise AudioError(f"{song}: cannot read the song: {getattr(error, 'strerror', None) or error}") from None


def _keep(file: str | Path | None, folder: Path, prefix: str = "") -> str | None:
    """Copy a file of the user's into the work folder, whole or not at all; returns the copy's path.

    prefix: of its name, so that two files of one name stay two; what lies in the folder stays as it is.
    """
    from mv.video import whole_file

    if file is None:
        return None
    source = Path(file)
    # The folder's own files are .json: a song of that name must not take their place.
    if prefix and source.parent.absolute() == folder:
        return str(source.absolute())
    copy = folder / (prefix + (f"{source.name}.upload" if source.suffix == ".json" else source.name))
    if not copy.exists() or not _same(source, copy):
        with whole_file(copy) as temporary:
            shutil.copyfile(source, temporary)
    return str(copy)


def _same(a: Path, b: Path) -> bool:
    return a.samefile(b) or (a.stat().st_size == b.stat().st_size and _hash(a) == _hash(b))


def _save_analysis(analysis: Analysis, folder: Path, lyrics: bool) -> Path:
    """analysis.json is what was heard; with words of the user's it takes a name of its own, so that other plans of the
    song keep theirs."""
    tag = f"-{hashlib.sha256(dump_compact(analysis).encode()).hexdigest()[:8]}" if lyrics else ""
    path = folder / f"analysis{tag}.json"
    analysis.save(path)
    return path


def _known_analysis(folder: Path) -> Analysis | None:
    """The analysis of an earlier run, unless the analysing code has changed since."""
    path = folder / "analysis.json"
    here = Path(__file__).parent
    sources = [here / "audio.py", here / "schema.py", *(here / "analysis").glob("*.py")]
    try:
        if path.stat().st_mtime > max(source.stat().st_mtime for source in sources):
            return Analysis.load(path)
    except (OSError, InputError):
        pass  # none there, or not usable: listen again
    return None


# ---------------------------------------------------------------- plans on disk


def save_plan(plan: Timeline, path: str | Path) -> None:
    """Raises OutputError."""
    relative_plan(plan, Path(path).absolute().parent).save(path)


def relative_plan(plan: Timeline, folder: Path) -> Timeline:
    """The plan with the paths of files in `folder` relative to it: as it is saved there."""
    return _with_paths(plan, lambda file: _inside(file, folder))


def load_plan(path: str | Path) -> Timeline:
    """A plan with absolute paths, its song and analysis at hand. Raises InputError."""
    folder = Path(path).absolute().parent
    plan = _with_paths(Timeline.load(path), lambda file: str(folder / file))
    for kind, file in (("song", plan.song), ("analysis", plan.analysis)):
        if not Path(file).is_file():
            raise InputError(f"{path}: its {kind} {file} is not there: put it back, or plan the song again")
    return plan


def _inside(file: str, folder: Path) -> str:
    path = Path(file).absolute()
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)


def _with_paths(plan: Timeline, change: Callable[[str], str]) -> Timeline:
    brief = {name: change(file) for name in ("image", "lyrics") if (file := getattr(plan.brief, name))}
    brief["references"] = {name: change(file) for name, file in plan.brief.references.items()}
    shots = [
        shot.model_copy(update={"reference": change(shot.reference)}) if shot.reference else shot for shot in plan.shots
    ]
    return plan.model_copy(
        update={
            "song": change(plan.song),
            "analysis": change(plan.analysis),
            "brief": plan.brief.model_copy(update=brief),
            "shots": shots,
        }
    )


def _keep_edited(path: Path) -> None:
    """A plan that was edited by hand is set aside, never written over."""
    if not path.exists():
        return
    try:
        revision = Timeline.load(path).revision
    except InputError:
        revision = None
    if revision != 0:
        path.replace(path.with_name(f"plan-{'damaged' if revision is None else f'r{revision}'}.json"))
