"""How large a shot is, from where it is seen, with which lens, and how the camera moves; each with its reason."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from director import vocabulary as words
from director.lots import fit, in_order, seed_of
from director.moments import Asked
from director.setups import Film, Heard, Setup, move_family
from director.story import the_place
from director.trajectories import safe_amount
from mv.schema import CameraMove, MoveKind, Reason, ShotSize


@dataclass(frozen=True)
class Framed:
    """size and the film's name of the framing; azimuth in degrees; match: as the shot before, in another place."""

    size: ShotSize
    framing: str
    azimuth: float
    match: bool
    reason: Reason


def choose_size(
    action: str | None,
    scene: str,
    heard: Heard,
    film: Film,
    before: Sequence[Setup],
    stream: str,
    event: Asked | None,
    matches: bool,
) -> Framed:
    """Within one scene a cut changes the size, or the angle by at least 30 degrees. A singer who moves on to another
    place within a section stays as large: a match cut, unless `matches` forbids it."""
    last = before[-1] if before else None
    same_scene = last is not None and last.directions.scene == scene
    if matches and heard.position and last and not same_scene and action == last.directions.action == "singing":
        evidence = (
            f"a match cut from {the_place(last.directions.scene)} to {the_place(scene)}: the singer stays as they were"
        )
        return _framed(last.size, last.framing, last.camera.azimuth, True, evidence)
    weights = dict(words.SIZES_FOR_ACTION[action])
    for size in weights:
        weights[size] *= words.STYLE_BOOST if size in film.style.sizes else 1.0
    if "size" in film.theme.said and ShotSize(film.theme.directions.size) in weights:
        weights[ShotSize(film.theme.directions.size)] *= 3
    if same_scene and last.size in weights and len(weights) > 1:
        weights[last.size] *= 0.3
    weights[ShotSize.wide] *= 1 + words.WIDE_GROWTH * heard.returns
    moved = not any(setup.directions.scene == scene for setup in before)  # an insert between does not count
    if moved or heard.closes:
        weights[ShotSize.wide] *= 3  # a place is shown before its details
    asked = event.fields.get("size") if event else None
    size = ShotSize(asked) if asked else in_order(weights, f"{stream}/size")[0]
    framing = event.framing if event and event.framing else _choose_framing(size, action, heard, stream)
    azimuths = in_order(words.AZIMUTHS, f"{stream}/azimuth")
    if same_scene and last.size == size:
        azimuths = [a for a in azimuths if abs(a - last.camera.azimuth) >= words.CUT_ANGLE]
    evidence = words.FRAMINGS[framing].meaning if action else words.EMPTY_PICTURE
    if event and (event.framing or asked):
        evidence += "; the brief asks for it"
    elif same_scene:
        evidence += f"; {_after(framing, last, abs(azimuths[0] - last.camera.azimuth))}"
    elif size == ShotSize.wide and moved:
        evidence += "; the film moves to another place, which is shown before its details" if before else ""
    return _framed(size, framing, azimuths[0], False, evidence)


def _framed(size: ShotSize, framing: str, azimuth: float, match: bool, evidence: str) -> Framed:
    reason = Reason(decision="size", choice=f"{framing}, at {azimuth:+.0f}°", evidence=evidence)
    return Framed(size, framing, azimuth, match, reason)


def _after(framing: str, last: Setup, turn: float) -> str:
    """What the cut changes within a place. turn: degrees."""
    order = list(words.FRAMINGS)
    step = order.index(framing) - order.index(last.framing)
    size = "as large as" if not step else "tighter than" if step < 0 else "looser than"
    return f"{size} the {last.framing} before it" + (f", {turn:.0f}° round" if turn else "")


def _choose_framing(size: ShotSize, action: str | None, heard: Heard, stream: str) -> str:
    shares = {name: share for name, share in words.FRAMING_SHARES.items() if words.FRAMINGS[name].size == size}
    if words.ESTABLISHING in shares and (heard.opens or heard.closes or action is None):
        return words.ESTABLISHING if heard.opens or heard.closes else in_order(
            {"long shot": 1.0, words.ESTABLISHING: 1.0}, f"{stream}/framing"
        )[0]  # fmt: skip
    return in_order(shares, f"{stream}/framing")[0]


def choose_move(
    framed: Framed,
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
    move = wanted
    safe = safe_amount(wanted, framed.size, film.aspect, heard.seconds, seed_of(stream))
    if action and safe < wanted.amount:
        move = wanted.model_copy(update={"amount": math.floor(1000 * safe) / 1000})
    held = f"; held from {wanted.amount:.2f} so that the performer stays in the picture"
    evidence = _why_move(kind, heard, film.style, asked is not None) + (held if move.amount < wanted.amount else "")
    push = f"{words.ACCENT_MEANINGS[move.accent]}; energy {heard.grown:.2f}, {heard.beats} beats in it"
    if not beat:
        push = "no beat in it" if not heard.beats else f"energy {heard.grown:.2f}, too calm to move with the beat"
    return move, (
        Reason(decision="move", choice=f"{kind}, amount {move.amount:.2f}", evidence=evidence),
        Reason(decision="lens", choice=lens, evidence=words.LENSES[lens].meaning),
        Reason(decision="beat", choice=f"{move.accent} {beat:.2f}" if beat else "none", evidence=push),
    )


def _why_move(kind: MoveKind, heard: Heard, style: words.Style, asked: bool) -> str:
    """What is seen, and which rule of _move_weight speaks for it."""
    music, home, label = heard.grown, words.MOVES[kind].energy, heard.camera_label
    reasons = ["the brief asks for it"] if asked else []
    if kind in words.MOVES_FOR_LABEL[label]:
        reasons.append(f"a move for {'an' if label[0] in 'io' else 'a'} {label}")
    if str(kind).split()[0] in style.moves:
        reasons.append("the style prefers it")
    contrast = (
        f"{'calmer' if music > home else 'livelier'} than the music: " if abs(music - home) > words.CONTRAST else ""
    )
    reasons.append(f"{contrast}it suits energy {home:.2f}, here {music:.2f}")
    if heard.returns:
        reasons.append(f"{music - heard.energy:.2f} of it for the {words.ordinal(heard.returns)} return")
    return f"{words.MOVES[kind].meaning}; {', '.join(reasons)}"


def _choose_accent(heard: Heard) -> str:
    return min(words.ACCENTS, key=lambda accent: abs(words.ACCENTS[accent] - heard.grown))


def _choose_lens(size: ShotSize, action: str | None, stream: str) -> str:
    """The standard lens where nobody stands in the picture to be flattered."""
    weights = {name: lens.weights[size] for name, lens in words.LENSES.items() if lens.weights[size]}
    standard = next(name for name, lens in words.LENSES.items() if lens.focal == 1)
    return in_order(weights, f"{stream}/lens")[0] if action else standard


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
