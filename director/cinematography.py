"""What each shot shows and how the camera moves, and why.

The whole comes first (director/story.py): what the theme says, where each section plays, who performs. Then, shot by
shot: action, size, place of the camera, move, transition. Every choice of a shot draws from its own random stream,
named by brief.seed, section and position in the section: a change elsewhere does not reshuffle it.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from director import vocabulary as words
from director.llm import Idea
from director.lots import fit, in_order, seed_of
from director.moments import MOVE_WORDS, Asked
from director.segmentation import Curves, ShotRange, bar_position, paces, sections_of
from director.story import (
    Casting,
    Place,
    Theme,
    cast,
    choose_places,
    leave_for_a_drop,
    read_style,
    read_theme,
    returns_of,
    roles_of,
    theme_reason,
)
from director.trajectories import safe_amount
from director.transitions import Mark, crossfade, find_marks, marked
from mv.schema import Analysis, Brief, CameraMove, MoveKind, Reason, Section, Shot, ShotSize, Transition
from mv.timing import to_seconds
from mv.world import vocabulary as world
from mv.world.vocabulary import Directions, PersonReading, understand


@dataclass(frozen=True)
class Heard:
    """The music of one shot.

    seconds: its length; energy, voice 0..1: means over it; beats: how many fall in it; returns: how often this chorus
    or drop has been before; position: which shot of its section this is, from 0; pace 0..1 of the section; sung:
    whether the section is; bars: since this part began; opens, closes: whether it is the film's first or last shot.
    """

    label: str
    seconds: float
    energy: float
    voice: float
    beats: int
    returns: int
    position: int
    pace: float
    sung: bool
    bars: float
    opens: bool = False
    closes: bool = False

    @property
    def grown(self) -> float:
        """The energy the picture is given, 0..1: a chorus that comes back grows."""
        return min(self.energy + min(words.GROWTH * self.returns, words.MAX_GROWTH), 1.0)

    @property
    def sings(self) -> bool:
        return self.voice >= (words.VOICE_ACTIVE if self.sung else words.VOICE_ALONE)

    @property
    def camera_label(self) -> str:
        """Whose moves suit the shot: the film's first and last shots open and close it whatever the section is."""
        return "intro" if self.opens else "outro" if self.closes else self.label


@dataclass(frozen=True)
class Film:
    """What holds for all shots: the user's words, the style, the performer, width / height, the seed."""

    theme: Theme
    style: words.Style
    casting: Casting
    aspect: float
    seed: int


@dataclass(frozen=True)
class Setup:
    """One shot as the crew sets it up."""

    directions: Directions
    camera: CameraMove
    transition: Transition
    seed: int
    reasons: tuple[Reason, ...]

    @property
    def size(self) -> ShotSize:
        return ShotSize(self.directions.size)

    @property
    def framing(self) -> str:
        """The name in FRAMINGS whose distance is nearest."""
        return framing_of(self.size, self.camera)


def framing_of(size: ShotSize, camera: CameraMove) -> str:
    """The film's name of a shot's size, a key of FRAMINGS."""
    names = [name for name, framing in words.FRAMINGS.items() if framing.size == size]
    return min(names, key=lambda name: abs(words.FRAMINGS[name].distance - camera.framing))


def set_up(
    ranges: list[ShotRange],
    analysis: Analysis,
    brief: Brief,
    fps: Fraction,
    curves: Curves | None = None,
    person: PersonReading | None = None,
    events: Mapping[int, Asked] | None = None,
    kept: Mapping[int, Shot] | None = None,
    ideas: Mapping[str, Idea] | None = None,
    aspect: float = 16 / 9,
) -> list[Setup]:
    """One Setup per shot range, in order.

    events: what the brief asks of shots, by index. kept: shots that stay as they are, by index; their neighbours are
    set up to fit. ideas: a writer's, by part of the song. aspect: width / height of the picture. Raises InputError for
    a style there is not and a cast the stage world cannot draw.
    """
    curves = curves or Curves.of(analysis)
    sections = sections_of(analysis)
    theme, style = read_theme(brief.theme), read_style(brief.style)
    film = Film(theme, style, cast(brief, theme, person, analysis.duration), aspect, brief.seed)
    instrumental = [i for i, s in enumerate(sections) if curves.mean("voice", s.start, s.end) < words.VOICE_ACTIVE]
    places = choose_places(sections, analysis.mood, theme, brief.seed, instrumental, ideas, style)
    drops = [event.start for event in analysis.events if event.kind == "drop" and event.start > 0]
    pace = paces(sections)
    marks = find_marks(ranges, analysis, sections, curves)
    setups: list[Setup] = []
    for i, (shot, heard) in enumerate(zip(ranges, _listen(ranges, sections, instrumental, analysis, curves, fps))):
        if kept and i in kept:
            setups.append(_setup_of(kept[i]))
            continue
        event = events.get(i) if events else None
        place = places[shot.section]
        if not heard.sings and any(abs(shot.time - drop) < words.DROP_NEAR_SECONDS for drop in drops):
            place = leave_for_a_drop(place, theme, shot.time, brief.seed)
        else:
            place = _place_in_section(place, heard)
        setup = _set_up_shot(shot, heard, place, film, setups[-2:], event)
        if setups:
            setup = _join(setup, setups[-1], ranges[i - 1], shot, pace, marks.get(i), fps)
        setups.append(setup)
    if brief.theme.strip() and setups and 0 not in (kept or {}):
        setups[0] = replace(setups[0], reasons=(theme_reason(theme), *setups[0].reasons))
    return setups


def _set_up_shot(
    shot: ShotRange, heard: Heard, place: Place, film: Film, before: Sequence[Setup], event: Asked | None
) -> Setup:
    """before: the setups of the one or two shots before this one, the nearest last."""
    stream = f"{film.seed}/{shot.section}/{shot.position}"
    asked = _asked_fields(event)
    look = film.casting.look
    look = replace(look, **{name: value for name, value in asked.items() if hasattr(look, name)})
    action, why_action = _choose_action(heard, film, f"{film.seed}/{shot.section}")
    if _looks_away(heard, action, film.theme):
        action, view = None, f"shot {heard.position + 1} of a {heard.label} nobody sings: an insert"
        view = "the film opens with a view of the place" if heard.opens else view
        place = place if place.scene == place.view else place.moved(place.view, f"{view}, near the {place.scene}")
        why_action = Reason(decision="action", choice=world.EMPTY, evidence=f"voice {heard.voice:.2f}; {view}")
    place = replace(place, **{name: asked[name] for name in ("scene", "time", "palette") if name in asked})
    action = asked.get("action", action)
    framed = _choose_size(action, place.scene, heard, film, before, stream, event, matches=not asked)
    camera, why_camera = _choose_move(framed, action, heard, film, before, stream, event.move if event else None)
    reasons = (
        Reason(decision="boundary", choice=f"frame {shot.start}", evidence=shot.evidence),
        *place.reasons,
        film.casting.reason,
        *([] if "action" in asked else [why_action]),
        *(framed.reason, *why_camera),
        *([_event_reason(event)] if event else []),
        Reason(decision="transition", choice="cut", evidence="the cut falls on the beat" if before else "first shot"),
    )
    return Setup(
        directions=Directions(place.scene, place.time, place.palette, framed.size.value, action, look),
        camera=camera,
        transition=Transition(),
        seed=seed_of(stream),
        reasons=reasons if action else tuple(r for r in reasons if r.decision != "cast"),
    )


def _place_in_section(place: Place, heard: Heard) -> Place:
    """A part that goes on moves to its second place and back by phrases; a chorus that returns does so sooner."""
    grows = heard.label in ("chorus", "drop")
    if place.second is None or heard.opens or heard.closes:
        return place
    phrase = words.BARS_IN_PLACE
    if grows:
        phrase = words.BARS_IN_RETURN if heard.returns else words.BARS_IN_FIRST_CHORUS
    if int(heard.bars / phrase) % 2 == 0:
        return place
    grown = f"; return {heard.returns} of this {heard.label}: it grows by a place" if heard.returns else ""
    return place.moved(
        place.second, f"bar {int(heard.bars) + 1} of this part: it moves on from the {place.scene}{grown}"
    )


def _looks_away(heard: Heard, action: str | None, theme: Theme) -> bool:
    """Whether the shot is an insert: a view with nobody in it, in a passage that nobody sings."""
    wanted = theme.directions.action if "action" in theme.said else None
    if action in (None, "singing") or wanted in words.ACTIONS_WITHOUT_VOICE:
        return False
    turn = heard.position % words.INSERT_EVERY == words.INSERT_EVERY - 1
    return (heard.opens and heard.seconds >= words.OPENING_SECONDS) or (turn and heard.label in words.INSERT_LABELS)


def _asked_fields(event: Asked | None) -> dict[str, str | None]:
    """The fields of Directions and Look that a moment's words decide."""
    if event is None:
        return {}
    read = {**vars(event.reading.directions), **vars(event.reading.directions.look)}
    return {name: read[name] for name in event.reading.said}


def _event_reason(event: Asked) -> Reason:
    asked = {name: value or world.EMPTY for name, value in sorted(_asked_fields(event).items())}
    understood = [f"{name.replace('_', ' ')} {value}" for name, value in asked.items()]
    understood += [f"framing {event.framing}"] if event.framing else []
    understood += [f"move {event.move}"] if event.move else []
    spoken = " ".join([*MOVE_WORDS, *words.FRAMINGS]).replace("-", " ").split() if event.move or event.framing else []
    unknown = [word for word in event.reading.ignored if not set(word.split("-")) <= set(spoken)]
    ignored = f"; no meaning here: {', '.join(unknown)}" if unknown else ""
    choice = ", ".join(understood)
    return Reason(
        decision="moment", choice=choice, evidence=f"the brief asks for {' '.join(map(str, event.moments))}{ignored}"
    )


def _setup_of(shot: Shot) -> Setup:
    """A shot that is kept, as its neighbours see it."""
    read = understand(shot.prompt).directions
    return Setup(
        directions=replace(read, size=shot.size.value),
        camera=shot.camera,
        transition=shot.transition,
        seed=shot.seed,
        reasons=tuple(shot.reasons),
    )


def _growing(sections: list[Section]) -> list[int]:
    """How often the chorus or drop that each section is has been before; 0 for the others."""
    roles, returns = roles_of(sections), returns_of(sections)
    return [count if role.startswith(("chorus", "drop")) else 0 for role, count in zip(roles, returns)]


def _listen(
    ranges: Sequence[ShotRange],
    sections: list[Section],
    instrumental: Sequence[int],
    analysis: Analysis,
    curves: Curves,
    fps: Fraction,
) -> list[Heard]:
    pace, returns = paces(sections), _growing(sections)
    began = np.round(bar_position(analysis, np.array(_starts_of_parts(sections))))
    bars = bar_position(analysis, np.array([shot.time for shot in ranges]))
    heard = []
    for i, shot in enumerate(ranges):
        start, end = to_seconds(shot.start, fps), to_seconds(shot.end, fps)
        energy = 0.5 * pace[shot.section] + 0.5 * curves.mean("energy", start, end)
        heard.append(
            Heard(
                label=sections[shot.section].label,
                seconds=end - start,
                energy=min(max(energy, 0.0), 1.0),
                voice=curves.mean("voice", start, end),
                beats=bisect_left(analysis.beats, end) - bisect_left(analysis.beats, start),
                returns=returns[shot.section],
                position=shot.position,
                pace=pace[shot.section],
                sung=shot.section not in instrumental,
                bars=max(float(bars[i] - began[shot.section]), 0.0) + 0.01,
                opens=i == 0,
                closes=i == len(ranges) - 1 and i > 0,
            )
        )
    return heard


def _starts_of_parts(sections: list[Section]) -> list[float]:
    """Seconds at which the part that each section belongs to began: neighbours of one role and label are one part."""
    parts, starts = list(zip(roles_of(sections), (section.label for section in sections))), []
    for i, section in enumerate(sections):
        starts.append(starts[-1] if i and parts[i] == parts[i - 1] else section.start)
    return starts


# ---------------------------------------------------------------- shot by shot


def _choose_action(heard: Heard, film: Film, stream: str) -> tuple[str | None, Reason]:
    """Singing only where a voice sounds; else by energy: an instrumental section has two acts that take turns."""
    voice = f"voice {heard.voice:.2f}, energy {heard.energy:.2f}"
    wanted = film.theme.directions.action if "action" in film.theme.said else "any"
    if wanted is None:
        action, evidence = None, f"the theme wants nobody in sight; {voice}"
    elif heard.sings:
        least = words.VOICE_ACTIVE if heard.sung else words.VOICE_ALONE
        action, evidence = "singing", f"{voice}: a voice sounds (from {least:.2f})"
    elif wanted in words.ACTIONS_WITHOUT_VOICE:
        action, evidence = wanted, f"the theme names {wanted}; {voice}, nobody sings"
    elif heard.label in words.EMPTY_LABELS and heard.energy < words.EMPTY_ENERGY:
        action, evidence = None, f"{voice}: a quiet {heard.label} without a voice"
    else:
        weights = {name: _action_weight(name, heard, film.style) for name in words.ACTIONS_WITHOUT_VOICE}
        act = heard.position // words.ACT_CHANGE % 2
        action = in_order(weights, f"{stream}/action")[act]
        evidence = f"{voice}: no voice; {action} suits pace {words.ACTIONS_WITHOUT_VOICE[action]:.2f}"
        evidence += f", the {heard.label}'s is {heard.pace:.2f}; act {act + 1} of the section's two"
    return action, Reason(decision="action", choice=action or world.EMPTY, evidence=evidence)


def _action_weight(action: str, heard: Heard, style: words.Style) -> float:
    weight = fit(heard.pace, words.ACTIONS_WITHOUT_VOICE[action])
    if action in words.INSTRUMENTS and heard.label in words.PLAYING_LABELS:
        weight *= words.INSTRUMENT_BOOST
    return weight * (words.STYLE_BOOST if action in style.actions else 1.0)


@dataclass(frozen=True)
class _Framed:
    """size and the film's name of the framing; azimuth in degrees; match: as the shot before, in another place."""

    size: ShotSize
    framing: str
    azimuth: float
    match: bool
    reason: Reason


def _choose_size(
    action: str | None,
    scene: str,
    heard: Heard,
    film: Film,
    before: Sequence[Setup],
    stream: str,
    event: Asked | None,
    matches: bool,
) -> _Framed:
    """Within one scene a cut changes the size, or the angle by at least 30 degrees. A singer who moves on to another
    place within a section stays as large: a match cut, unless `matches` forbids it."""
    last = before[-1] if before else None
    same_scene = last is not None and last.directions.scene == scene
    if matches and heard.position and last and not same_scene and action == last.directions.action == "singing":
        evidence = f"a match cut: the {last.directions.scene} becomes the {scene}, the singer stays as they were"
        return _framed(last.size, last.framing, last.camera.azimuth, True, evidence)
    weights = dict(words.SIZES_FOR_ACTION[action])
    for size in weights:
        weights[size] *= words.STYLE_BOOST if size in film.style.sizes else 1.0
    if "size" in film.theme.said and ShotSize(film.theme.directions.size) in weights:
        weights[ShotSize(film.theme.directions.size)] *= 3
    if same_scene and last.size in weights and len(weights) > 1:
        weights[last.size] *= 0.3
    weights[ShotSize.wide] *= 1 + words.WIDE_GROWTH * heard.returns
    if not same_scene or heard.closes:
        weights[ShotSize.wide] *= 3  # a new place is shown before its details
    asked = _asked_fields(event).get("size")
    size = ShotSize(asked) if asked else in_order(weights, f"{stream}/size")[0]
    framing = event.framing if event and event.framing else _choose_framing(size, action, heard, stream)
    azimuths = in_order(words.AZIMUTHS, f"{stream}/azimuth")
    if same_scene and last.size == size:
        azimuths = [a for a in azimuths if abs(a - last.camera.azimuth) >= words.CUT_ANGLE]
    evidence = f"{words.FRAMINGS[framing].meaning}; {action or 'nobody'} in the picture"
    evidence += "" if same_scene else "; a new place opens wide more often"
    evidence += _grows(heard)
    if same_scene:
        turn = abs(azimuths[0] - last.camera.azimuth)
        evidence += f"; after {'an' if last.framing[0] == 'e' else 'a'} {last.framing} here, camera {turn:.0f}° round"
    return _framed(size, framing, azimuths[0], False, evidence)


def _framed(size: ShotSize, framing: str, azimuth: float, match: bool, evidence: str) -> _Framed:
    reason = Reason(decision="size", choice=f"{framing}, at {azimuth:+.0f}°", evidence=evidence)
    return _Framed(size, framing, azimuth, match, reason)


def _choose_framing(size: ShotSize, action: str | None, heard: Heard, stream: str) -> str:
    shares = {name: share for name, share in words.FRAMING_SHARES.items() if words.FRAMINGS[name].size == size}
    if words.ESTABLISHING in shares and (heard.opens or heard.closes or action is None):
        return words.ESTABLISHING if heard.opens or heard.closes else in_order(
            {"long shot": 1.0, words.ESTABLISHING: 1.0}, f"{stream}/framing"
        )[0]  # fmt: skip
    return in_order(shares, f"{stream}/framing")[0]


def _choose_move(
    framed: _Framed,
    action: str | None,
    heard: Heard,
    film: Film,
    before: Sequence[Setup],
    stream: str,
    asked: MoveKind | None = None,
) -> tuple[CameraMove, tuple[Reason, ...]]:
    """Never the move of the shot before nor its reverse. Amount by length and energy, held in the picture's safe area;
    beat coupling by energy."""
    families = [move_family(setup.camera.kind) for setup in before]
    weights = {
        kind: _move_weight(kind, framed.size, action, heard, film.style)
        * (words.AGAIN_SHARE if move_family(kind) in families[:-1] else 1.0)
        for kind in words.MOVES
        if move_family(kind) not in families[-1:]
    }
    kind = asked or in_order(weights, f"{stream}/move")[0]
    # A long shot may travel farther; the sway of a shoulder does not grow with time.
    time_share = 1.0 if kind == MoveKind.handheld else min(max(heard.seconds / 3, 0.4), 1.2)
    beat = round(min(max((heard.grown - 0.2) / 0.6, 0.0), 1.0), 3) if heard.beats else 0.0
    wanted = CameraMove(
        kind=kind,
        amount=round(time_share * (0.5 + 0.7 * heard.grown), 3),
        beat=beat,
        accent=_choose_accent(heard),
        azimuth=framed.azimuth,
        framing=words.FRAMINGS[framed.framing].distance,
        lens=words.LENSES[lens := _choose_lens(framed.size, action, stream)].focal,
        easing="smooth" if heard.seconds >= 2 else "linear",
    )
    safe = safe_amount(wanted, framed.size, film.aspect, heard.seconds) if action else wanted.amount
    move = wanted.model_copy(update={"amount": round(safe, 3)})
    music = f"{heard.label}, energy {heard.energy:.2f}, {heard.seconds:.2f} s{_grows(heard)}"
    suits = f"{words.MOVES[kind].meaning}; suits energy {words.MOVES[kind].energy:.2f}"
    if kind in words.MOVES_FOR_LABEL[heard.camera_label]:
        suits += f" and {'an' if heard.camera_label[0] in 'io' else 'a'} {heard.camera_label}"
    if move.amount < wanted.amount:
        suits += f"; held from {wanted.amount:.2f} so that the performer stays in the picture"
    push = f"energy {heard.energy:.2f}, {heard.beats} beats in it"
    return move, (
        Reason(decision="move", choice=f"{kind}, amount {move.amount:.2f}", evidence=f"{music}; {suits}"),
        Reason(decision="lens", choice=lens, evidence=words.LENSES[lens].meaning),
        Reason(decision="beat", choice=f"{move.accent} {beat:.2f}", evidence=push),
    )


def _choose_accent(heard: Heard) -> str:
    return min(words.ACCENTS, key=lambda accent: abs(words.ACCENTS[accent] - heard.grown))


def _choose_lens(size: ShotSize, action: str | None, stream: str) -> str:
    """The standard lens where nobody stands in the picture to be flattered."""
    weights = {name: lens.weights[size] for name, lens in words.LENSES.items() if lens.weights[size]}
    standard = next(name for name, lens in words.LENSES.items() if lens.focal == 1)
    return in_order(weights, f"{stream}/lens")[0] if action else standard


def _grows(heard: Heard) -> str:
    if not heard.returns:
        return ""
    return f"; return {heard.returns} of this {heard.label}: it grows by {heard.grown - heard.energy:.2f}"


def _move_weight(kind: MoveKind, size: ShotSize, action: str | None, heard: Heard, style: words.Style) -> float:
    name = str(kind).split()[0]
    weight = fit(heard.grown, words.MOVES[kind].energy) * words.RARITY.get(name, 1.0)
    if name in words.GREAT_MOVES:
        weight *= 1 + words.WIDE_GROWTH * heard.returns
    if kind in words.MOVES_FOR_LABEL[heard.camera_label]:
        weight *= words.LABEL_BOOST
    if name in style.moves:
        weight *= words.STYLE_BOOST
    if kind == MoveKind.static:
        weight *= words.STILL_SHARE
    if (size == ShotSize.close and name in words.UNSTEADY_CLOSE) or (not action and name in words.NEEDS_SOMEBODY):
        weight *= words.MISFIT_SHARE
    whips = name == "whip-pan" and (heard.seconds > words.WHIP_SECONDS or heard.opens or heard.closes)
    if whips or (name == "dolly-zoom" and heard.seconds < words.TRICK_SECONDS):
        weight *= 1e-3
    return weight


def move_family(kind: MoveKind) -> str:
    """The kind without its direction, pan of "pan left", and of those that feel alike the one name."""
    name = str(kind).split()[0]
    return words.FAMILIES.get(name, name)


def _join(
    setup: Setup,
    last: Setup,
    before: ShotRange,
    shot: ShotRange,
    pace: list[float],
    mark: Mark | None,
    fps: Fraction,
) -> Setup:
    """A dip or a flash where the song asks for one, a crossfade where a calm section begins or where there is no beat
    to cut on; else a cut."""
    joined = marked(mark, before, shot, fps) if mark else None
    if joined is None:
        change = before.section != shot.section
        calm = (pace[before.section] + pace[shot.section]) / 2 if change else 1.0
        if shot.beat is not None and calm >= words.CALM:
            return setup if (why := _why_cut(setup, last)) is None else _joined(setup, setup.transition, why)
        evidence = f"a calm change of section, pace {calm:.2f}" if shot.beat is not None else "no beat to cut on"
        joined = crossfade(before, shot, fps, evidence)
    return _joined(setup, *joined)


def _why_cut(setup: Setup, last: Setup) -> Reason | None:
    """What is more than a plain cut: out of a whip, or onto a picture like the last one in another place."""
    if str(last.camera.kind).startswith("whip-pan"):
        return Reason(decision="transition", choice="cut, whip", evidence=words.TRANSITIONS["whip"])
    places = (last.directions.scene, setup.directions.scene)
    alike = (last.framing, last.camera.azimuth) == (setup.framing, setup.camera.azimuth)
    if places[0] != places[1] and alike and setup.directions.action == last.directions.action == "singing":
        return Reason(decision="transition", choice="cut, match cut", evidence=words.TRANSITIONS["match cut"])
    return None


def _joined(setup: Setup, transition: Transition, why: Reason) -> Setup:
    return replace(setup, transition=transition, reasons=(*setup.reasons[:-1], why))
