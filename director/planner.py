"""Analysis + Brief → Timeline: cut to the beat, set up every shot, write it all down with reasons."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise

from director.cinematography import set_up
from director.moments import Moment, moments_by_shot, parse_moments, read_event, split_theme, wishes_of
from director.proposals import Part, Request, Writer, consult
from director.references import Light, with_places
from director.segmentation import Curves, ShotRange, cut_to_the_beat, sections_of
from director.setups import Setup
from director.story import read_style, roles_of
from mv.errors import InputError
from mv.schema import Analysis, Brief, Reason, Section, Shot, Timeline, Transition, film_frames
from mv.timing import parse_fps
from mv.world.vocabulary import PersonReading, describe

SLOWEST, FASTEST = 0.5, 2.0  # pace


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
    writer: Writer | None = None,
    lights: Mapping[str, Light] | None = None,
) -> Timeline:
    """The shot plan of a whole song; the same input always gives the same plan.

    song and analysis_path are written into the plan as they come. width and height in pixels, 1 to 4096. person: what
    the reference image says of the performer's look. writer: a language model whose ideas are taken where the rules
    allow it; what it fails at, the rules do. lights: what the reference images say of the light, by what they stand
    for, "" for the whole film.
    Raises InputError for a size, frame rate, style, cast, moment or reference that cannot be used.
    """
    _check_size(width, height)
    fps = parse_fps(fps)
    return Timeline(
        title=analysis.title,
        song=song,
        analysis=analysis_path,
        fps=fps,
        width=width,
        height=height,
        num_frames=film_frames(analysis.duration, fps),
        brief=brief,
        shots=_plan_shots(analysis, brief, fps, width / height, person, writer, lights, kept=[]),
    )


def replan(
    timeline: Timeline,
    analysis: Analysis,
    brief: Brief | None = None,
    person: PersonReading | None = None,
    writer: Writer | None = None,
    lights: Mapping[str, Light] | None = None,
) -> Timeline:
    """The plan made anew, for another brief if one is given; its next revision.

    Shots that are locked or were edited stay bit for bit, in their place, and so does the way the shot after them
    begins, so that their takes still fit; the others are planned round them. A shot that comes out as it was keeps its
    takes. Raises InputError where the analysis is not of this song.
    """
    if film_frames(analysis.duration, timeline.fps) != timeline.num_frames:
        raise InputError(
            f"replan: the plan has {timeline.num_frames} frames, this analysis' song "
            f"{film_frames(analysis.duration, timeline.fps)}: give the analysis the plan was made from"
        )
    brief = brief or timeline.brief
    kept = [shot for shot in timeline.shots if shot.locked or shot.edited]
    before = {shot.fingerprint: shot for shot in timeline.shots}
    shots = []
    aspect = timeline.width / timeline.height
    made = _plan_shots(analysis, brief, timeline.fps, aspect, person, writer, lights, kept)
    transitions = {after.start: after.transition for one, after in pairwise(timeline.shots) if one in kept}
    for shot in (_joined_as_before(shot, transitions, kept) for shot in made):
        known = before.get(shot.fingerprint)
        if known and shot not in kept:
            shot = shot.model_copy(update={"takes": known.takes, "chosen": known.chosen})
        shots.append(shot)
    return Timeline(**{**dict(timeline), "brief": brief, "shots": shots, "revision": timeline.revision + 1})


def read_moments(brief: Brief) -> tuple[Brief, list[Moment]]:
    """The brief whose theme is only words, and the moments of both its fields. Raises InputError with the column."""
    theme, moments = split_theme(brief.theme)
    return brief.model_copy(update={"theme": theme}), [*moments, *parse_moments(brief.moments)]


def _plan_shots(
    analysis: Analysis,
    brief: Brief,
    fps: Fraction,
    aspect: float,
    person: PersonReading | None,
    writer: Writer | None,
    lights: Mapping[str, Light] | None,
    kept: Sequence[Shot],
) -> list[Shot]:
    brief, moments = read_moments(brief)
    brief = with_places(brief)
    pace = min(max(brief.pace * read_style(brief.style).pace, SLOWEST), FASTEST)
    curves, sections = Curves.of(analysis), sections_of(analysis)
    wishes = wishes_of(moments, sections, analysis.duration)
    spans = [(shot.start, shot.end) for shot in kept]
    ranges = cut_to_the_beat(analysis, fps, curves, pace, wishes, spans)
    ranges = _with_room_to_fade(ranges, kept)
    by_start = {shot.start: shot for shot in kept}
    kept_at = {i: by_start[shot.start] for i, shot in enumerate(ranges) if shot.start in by_start}
    asked = moments_by_shot(moments, ranges, sections, analysis.duration, fps)
    events = {i: read_event(those, brief.cast) for i, those in asked.items()}
    ideas = consult(writer, _request(analysis, brief, sections, curves)) if writer else {}
    setups = set_up(ranges, analysis, brief, fps, curves, person, events, kept_at, ideas, aspect, lights)
    names = _new_names(kept)
    return [
        kept_at[i] if i in kept_at else shot_of(next(names), shot, setup)
        for i, (shot, setup) in enumerate(zip(ranges, setups))
    ]


def _request(analysis: Analysis, brief: Brief, sections: Sequence[Section], curves: Curves) -> Request:
    """What a writer is told of the song: each part by the first section that plays it."""
    parts = {}
    for role, section in zip(roles_of(sections), sections):
        voice = curves.mean("voice", section.start, section.end)
        told = (round(value, 2) for value in (section.start, section.duration, section.energy, voice))
        parts.setdefault(role, Part(section.label, *told))
    return Request(brief.theme, analysis.mood.arousal, analysis.mood.valence, parts)


def _with_room_to_fade(ranges: list[ShotRange], kept: Sequence[Shot]) -> list[ShotRange]:
    """A kept shot that fades in needs a shot before it of twice the fade: too short ones join the one before them."""
    fades = {shot.start: shot.transition.in_offset for shot in kept}
    result: list[ShotRange] = []
    for shot in ranges:
        while len(result) > 1 and 2 * fades.get(shot.start, 0) > result[-1].end - result[-1].start:
            if result[-2].start in fades:
                break
            short = result.pop()
            result[-1] = _joined(result[-1], short)
        result.append(shot)
    return result


def _joined(one: ShotRange, other: ShotRange) -> ShotRange:
    return ShotRange(one.start, other.end, one.time, one.beat, one.section, one.position, one.evidence)


def _joined_as_before(shot: Shot, transitions: Mapping[int, Transition], kept: Sequence[Shot]) -> Shot:
    """A shot after a kept one begins as the one there did, where it is long enough."""
    transition = transitions.get(shot.start)
    if transition in (None, shot.transition) or shot in kept or 2 * transition.out_offset > shot.duration:
        return shot
    why = Reason(decision="transition", choice=transition.kind, evidence="as it was: the shot before is kept")
    reasons = [why if reason.decision == "transition" else reason for reason in shot.reasons]
    joined = shot.model_copy(update={"transition": transition, "reasons": reasons})
    return joined.model_copy(update={"planned": joined.fingerprint})


def _new_names(kept: Sequence[Shot]) -> Iterator[str]:
    """s001, s002 ... without those that kept shots have."""
    taken, number = {shot.id for shot in kept}, 0
    while True:
        number += 1
        if f"s{number:03d}" not in taken:
            yield f"s{number:03d}"


def shot_of(name: str, shot: ShotRange, setup: Setup) -> Shot:
    """A shot as planned, with its fingerprint."""
    made = Shot(
        id=name,
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
    return made.model_copy(update={"planned": made.fingerprint})


def _check_size(width: int, height: int) -> None:
    if not (0 < width <= 4096 and 0 < height <= 4096):
        raise InputError(f"picture size: expected 1 to 4096 pixels each way, got {width}x{height}")
