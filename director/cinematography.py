"""What each shot shows and how the camera moves, and why.

The whole comes first (director/story.py): what the theme says, where each section plays, who performs. Then, shot by
shot: action, size, place of the camera, move, transition. Every choice of a shot draws from its own random stream,
named by brief.seed, section and position in the section: a change elsewhere does not reshuffle it.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from director import vocabulary as words
from director.camerawork import choose_move, choose_size
from director.casting import choose_cast, performer_of, without_names
from director.lots import fit, in_order, seed_of
from director.moments import MOVE_WORDS, Asked
from director.proposals import Idea
from director.references import Light, check_references, lit
from director.segmentation import Curves, ShotRange, bar_position, paces, sections_of
from director.setups import Film, Heard, Setup
from director.story import (
    Place,
    Theme,
    choose_places,
    leave_for_a_drop,
    read_style,
    read_theme,
    returns_of,
    roles_of,
    the_place,
    theme_reason,
)
from director.transitions import Mark, crossfade, find_marks, marked
from mv.schema import Analysis, Brief, Reason, Section, Shot, Transition
from mv.timing import to_seconds
from mv.world import vocabulary as world
from mv.world.vocabulary import Directions, PersonReading, understand


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
    lights: Mapping[str, Light] | None = None,
) -> list[Setup]:
    """One Setup per shot range, in order.

    events: what the brief asks of shots, by index. kept: shots that stay as they are, by index; their neighbours are
    set up to fit. ideas: a writer's, by part of the song. aspect: width / height of the picture. lights: of the
    reference images, by what they stand for, "" for the whole film. Raises InputError for a style there is not, a cast
    the stage world cannot draw, and a picture for what this song does not have.
    """
    curves = curves or Curves.of(analysis)
    sections = sections_of(analysis)
    theme, style = read_theme(without_names(brief.theme, brief.cast)), read_style(brief.style)
    check_references([name for name in lights or {} if name], sections)
    performers = choose_cast(brief, theme, person, analysis.duration)
    film = Film(theme, style, performers, aspect, brief.seed, sections, lights or {})
    instrumental = [i for i, s in enumerate(sections) if curves.mean("voice", s.start, s.end) < words.VOICE_ACTIVE]
    places = choose_places(sections, analysis.mood, theme, brief.seed, instrumental, ideas, style)
    drops = [event.start for event in analysis.events if event.kind == "drop" and event.start > 0]
    pace = paces(sections)
    marks = find_marks(ranges, analysis, sections, curves)
    setups: list[Setup] = []
    heards = _listen(ranges, sections, [place.scene for place in places], instrumental, analysis, curves, fps)
    for i, (shot, heard) in enumerate(zip(ranges, heards)):
        if kept and i in kept:
            setups.append(_setup_of(kept[i]))
            continue
        event = events.get(i) if events else None
        place = places[shot.section]
        if not heard.sings and any(abs(shot.time - drop) < words.DROP_NEAR_SECONDS for drop in drops):
            place = leave_for_a_drop(place, theme, shot.time, brief.seed)
        else:
            place = _place_in_section(place, heard)
        setup = _set_up_shot(shot, heard, place, film, setups[-words.AGAIN_SHOTS :], event)
        if setups:
            setup = _join(setup, setups[-1], ranges[i - 1], shot, pace, marks.get(i), fps)
        setups.append(setup)
    if brief.theme.strip() and setups and 0 not in (kept or {}):
        setups[0] = replace(setups[0], reasons=(theme_reason(theme), *setups[0].reasons))
    return setups


def _set_up_shot(
    shot: ShotRange, heard: Heard, place: Place, film: Film, before: Sequence[Setup], event: Asked | None
) -> Setup:
    """before: the setups of the shots before this one, AGAIN_SHOTS at most, the nearest last."""
    stream = f"{film.seed}/{shot.section}/{shot.position}"
    asked, wanted = (event.fields, event.performer) if event else ({}, None)
    action, why_action = _choose_action(heard, film, f"{film.seed}/{shot.section}", wanted is not None)
    if wanted is None and _looks_away(heard, action, film.theme):
        action, view = None, f"nobody sings, and every {words.INSERT_EVERY}th shot looks away"
        view = "the film opens with a view of the place" if heard.opens else view
        place = (
            place if place.scene == place.view else place.moved(place.view, f"{view}, near {the_place(place.scene)}")
        )
        why_action = Reason(decision="action", choice=world.EMPTY, evidence=f"voice {heard.voice:.2f}; {view}")
    place = lit(place, film.lights, film.sections, shot.section, "palette" in film.theme.said)
    place = replace(place, **{name: asked[name] for name in ("scene", "time", "palette") if name in asked})
    action = asked.get("action", action)
    performer, why_performer = performer_of(film.performers, heard.role, action, heard.position, heard.sung, wanted)
    look = replace(performer.look, **{name: value for name, value in asked.items() if hasattr(performer.look, name)})
    same = bool(before) and before[-1].directions.look == look
    framed = choose_size(action, place.scene, heard, film, before, stream, event, matches=not asked and same)
    camera, why_camera = choose_move(framed, action, heard, film, before, stream, event.move if event else None)
    reasons = (
        Reason(decision="boundary", choice=f"frame {shot.start}", evidence=shot.evidence),
        *place.reasons,
        performer.reason,
        *([] if why_performer is None else [why_performer]),
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
        reasons=reasons if action else tuple(r for r in reasons if r.decision not in ("cast", "performer")),
    )


def _place_in_section(place: Place, heard: Heard) -> Place:
    """A part that goes on moves to its other places in turn, and back between them, by phrases; a chorus that returns
    does so sooner, and to another place each time."""
    grows = heard.label in ("chorus", "drop")
    if not place.others or heard.opens or heard.closes:
        return place
    phrase = words.BARS_IN_PLACE
    if grows:
        phrase = words.BARS_IN_RETURN if heard.returns else words.BARS_IN_FIRST_CHORUS
    turn = int(heard.bars / phrase)
    if turn % 2 == 0:
        return place
    other = place.others[(max(heard.returns - 1, 0) + turn // 2) % len(place.others)]
    grown = f"; this {heard.label} comes back and grows by a place" if heard.returns else ""
    return place.moved(other, f"from bar {turn * phrase + 1} of this part on it leaves {the_place(place.scene)}{grown}")


def _looks_away(heard: Heard, action: str | None, theme: Theme) -> bool:
    """Whether the shot is an insert: a view with nobody in it, in a passage that nobody sings."""
    wanted = theme.directions.action if "action" in theme.said else None
    if action in (None, "singing") or wanted in words.ACTIONS_WITHOUT_VOICE:
        return False
    turn = heard.position % words.INSERT_EVERY == words.INSERT_EVERY - 1
    return (heard.opens and heard.seconds >= words.OPENING_SECONDS) or (turn and heard.label in words.INSERT_LABELS)


def _event_reason(event: Asked) -> Reason:
    asked = {name: value or world.EMPTY for name, value in sorted(event.fields.items())}
    understood = [f"performer {event.performer}"] if event.performer else []
    understood += [f"{name.replace('_', ' ')} {value}" for name, value in asked.items()]
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
    scenes: Sequence[str],
    instrumental: Sequence[int],
    analysis: Analysis,
    curves: Curves,
    fps: Fraction,
) -> list[Heard]:
    pace, returns, roles = paces(sections), _growing(sections), roles_of(sections)
    began = np.round(bar_position(analysis, np.array(_starts_of_parts(sections, scenes))))
    bars = bar_position(analysis, np.array([shot.time for shot in ranges]))
    heard = []
    for i, shot in enumerate(ranges):
        start, end = to_seconds(shot.start, fps), to_seconds(shot.end, fps)
        energy = 0.5 * pace[shot.section] + 0.5 * curves.mean("energy", start, end)
        heard.append(
            Heard(
                label=sections[shot.section].label,
                role=roles[shot.section],
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


def _starts_of_parts(sections: list[Section], scenes: Sequence[str]) -> list[float]:
    """Seconds at which the part that each section belongs to began: neighbours of one role, label and scene are one
    part."""
    parts, starts = list(zip(roles_of(sections), (section.label for section in sections), scenes)), []
    for i, section in enumerate(sections):
        starts.append(starts[-1] if i and parts[i] == parts[i - 1] else section.start)
    return starts


# ---------------------------------------------------------------- shot by shot


def _choose_action(heard: Heard, film: Film, stream: str, somebody: bool) -> tuple[str | None, Reason]:
    """Singing only where a voice sounds; else by energy: an instrumental section has acts that take turns. somebody:
    whether the picture must not be empty."""
    least = words.VOICE_ACTIVE if heard.sung else words.VOICE_ALONE
    voice = f"voice {heard.voice:.2f}" if heard.sings else f"voice {heard.voice:.2f}, under {least:.2f}"
    wanted = film.theme.directions.action if "action" in film.theme.said else "any"
    if wanted is None and not somebody:
        action, evidence = None, f"the theme wants nobody in sight; {voice}"
    elif heard.sings:
        action, evidence = "singing", f"{voice}: from {least:.2f} on somebody sings"
    elif wanted in words.ACTIONS_WITHOUT_VOICE:
        action, evidence = wanted, f"the theme names {wanted}; {voice}, nobody sings"
    elif heard.label in words.EMPTY_LABELS and heard.energy < words.EMPTY_ENERGY and not somebody:
        action, evidence = None, f"{voice}; energy {heard.energy:.2f}: a quiet {heard.label} that nobody sings"
    else:
        weights = {name: _action_weight(name, heard, film.style) for name in words.ACTIONS_WITHOUT_VOICE}
        act = words.ACT_TURNS[heard.position // words.ACT_CHANGE % len(words.ACT_TURNS)]
        action = in_order(weights, f"{stream}/action")[act]
        evidence = f"{voice}: nobody sings; the {words.ordinal(act + 1)} act of this {heard.label}, it suits energy "
        evidence += f"{words.ACTIONS_WITHOUT_VOICE[action]:.2f}, here {heard.pace:.2f}"
    return action, Reason(decision="action", choice=action or world.EMPTY, evidence=evidence)


def _action_weight(action: str, heard: Heard, style: words.Style) -> float:
    weight = fit(heard.pace, words.ACTIONS_WITHOUT_VOICE[action])
    if action in words.INSTRUMENTS and heard.label in words.PLAYING_LABELS:
        weight *= words.INSTRUMENT_BOOST
    if action in words.CROWD_ACTIONS and heard.label not in words.CROWD_LABELS:
        weight *= words.MISFIT_SHARE
    return weight * (words.STYLE_BOOST if action in style.actions else 1.0)


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
    same = setup.directions.look == last.directions.look
    if places[0] != places[1] and alike and same and setup.directions.action == last.directions.action == "singing":
        return Reason(decision="transition", choice="cut, match cut", evidence=words.TRANSITIONS["match cut"])
    return None


def _joined(setup: Setup, transition: Transition, why: Reason) -> Setup:
    return replace(setup, transition=transition, reasons=(*setup.reasons[:-1], why))
