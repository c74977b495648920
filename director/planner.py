"""Analysis + Brief → Timeline: cut to the beat, set up every shot, write it all down with reasons."""

from fractions import Fraction

from director.cinematography import Setup, set_up
from director.segmentation import Curves, ShotRange, cut_to_the_beat
from mv.errors import InputError
from mv.schema import Analysis, Brief, Shot, Timeline, film_frames
from mv.timing import parse_fps
from mv.world.vocabulary import PersonReading, describe


def direct(
    analysis: Analysis,
    brief: Brief,
    *,
    song: str,
    analysis_path: str,
    fps: Fraction,
    width: int,
    height: int,
    person: PersonReading | None = None,
) -> Timeline:
    """The shot plan of a whole song; the same input always gives the same plan.

    song and analysis_path are written into the plan as they come. width and height in pixels, 1 to 4096. person: what
    the reference image says of the performer's look.
    Raises InputError for a size, frame rate or cast that cannot be used.
    """
    _check_size(width, height)
    fps = parse_fps(fps)
    curves = Curves.of(analysis)
    ranges = cut_to_the_beat(analysis, fps, curves)
    setups = set_up(ranges, analysis, brief, fps, curves, person)
    return Timeline(
        title=analysis.title,
        song=song,
        analysis=analysis_path,
        fps=fps,
        width=width,
        height=height,
        num_frames=film_frames(analysis.duration, fps),
        brief=brief,
        shots=[_shot(i, shot, setup) for i, (shot, setup) in enumerate(zip(ranges, setups))],
    )


def _shot(index: int, shot: ShotRange, setup: Setup) -> Shot:
    return Shot(
        id=f"s{index + 1:03d}",
        start=shot.start,
        duration=shot.end - shot.start,
        section=shot.section,
        size=setup.size,
        prompt=describe(setup.directions),
        camera=setup.camera,
        transition=setup.transition,
        seed=setup.seed,
        reasons=list(setup.reasons),
    )


def _check_size(width: int, height: int) -> None:
    if not (0 < width <= 4096 and 0 < height <= 4096):
        raise InputError(f"picture size: expected 1 to 4096 pixels each way, got {width}x{height}")
