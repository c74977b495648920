"""How a shot is planned again: with another seed, another move or another size, each of which still cuts with the shots
beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from director import vocabulary as words
from director.lots import in_order, seed_of
from director.setups import framing_of, move_family
from mv.schema import CameraMove, MoveKind, Shot, ShotSize, Timeline
from mv.world.vocabulary import describe, understand

CALMER = 0.7  # the share of its amount that a move keeps when it is replaced by a calmer one


def remedy(plan: Timeline, shots: Sequence[int], change: str, attempt: int) -> tuple[Timeline, dict[int, dict]]:
    """The plan with these shots changed; "choice" says how, and is missing where there is no such change left.

    change: a key of REMEDIES. attempt: which of the possible ones to take, from 0.
    """
    made, seen = list(plan.shots), {}
    for i in shots:
        around = [made[k] for k in (i - 1, i + 1) if 0 <= k < len(made)]
        changes = REMEDIES[change](made[i], around, attempt)
        seen[i] = {"choice": changes.pop("choice")} if changes else {}
        if changes:
            made[i] = made[i].model_copy(update={**changes, "chosen": None})
    return plan.model_copy(update={"shots": made}), seen


def _another_seed(shot: Shot, around: Sequence[Shot], attempt: int) -> dict:
    seed = seed_of(f"{shot.seed}/{attempt}/retake")
    return {"seed": seed, "choice": f"another seed, {seed}"}


def _another_move(shot: Shot, around: Sequence[Shot], attempt: int) -> dict | None:
    """A calmer one, of another kind than the neighbours'."""
    taken = {move_family(other.camera.kind) for other in [shot, *around]}
    calmer = {
        kind: 1.0
        for kind, move in words.MOVES.items()
        if move_family(kind) not in taken and move.energy < words.MOVES[shot.camera.kind].energy
    }
    if not calmer and MoveKind.static not in taken:
        calmer = {MoveKind.static: 1.0}
    kinds = in_order(calmer, f"{shot.seed}/move")
    if attempt >= len(kinds):
        return None
    amount = round(CALMER * shot.camera.amount, 3)
    camera = shot.camera.model_copy(update={"kind": kinds[attempt], "amount": amount, "keyframes": []})
    return {"camera": camera, "choice": f"a calmer move: {kinds[attempt]}, amount {amount:.2f}"}


def _another_size(shot: Shot, around: Sequence[Shot], attempt: int) -> dict | None:
    """The likeliest other size for what is shown, else another framing, from where it cuts with both neighbours."""
    read = understand(shot.prompt).directions
    if describe(read) != shot.prompt:
        return None  # not the director's words
    sizes = words.SIZES_FOR_ACTION[read.action]
    names = [name for name, framing in words.FRAMINGS.items() if framing.size in sizes]
    names = [name for name in names if name != framing_of(shot.size, shot.camera)]
    names.sort(key=lambda name: (words.FRAMINGS[name].size == shot.size, -_share(name, sizes)))
    possible = [
        (name, camera)
        for name in names
        if (camera := _from_where_it_cuts(name, shot.camera, read.scene, around)) is not None
    ]
    if attempt >= len(possible):
        return None
    name, camera = possible[attempt]
    size = words.FRAMINGS[name].size
    prompt = describe(replace(read, size=size.value))
    choice = f"another size: {name}, at {camera.azimuth:+.0f}°"
    return {"size": size, "camera": camera, "prompt": prompt, "choice": choice}


REMEDIES = {"seed": _another_seed, "move": _another_move, "size": _another_size}


def _share(framing: str, sizes: Mapping[ShotSize, float]) -> float:
    return sizes[words.FRAMINGS[framing].size] * words.FRAMING_SHARES[framing]


def _from_where_it_cuts(framing: str, camera: CameraMove, scene: str, around: Sequence[Shot]) -> CameraMove | None:
    """The camera with this framing, turned as little as a cut with each shot around asks for."""
    size, distance = words.FRAMINGS[framing].size, words.FRAMINGS[framing].distance
    for azimuth in sorted(words.AZIMUTHS, key=lambda angle: abs(angle - camera.azimuth)):
        turned = camera.model_copy(update={"azimuth": azimuth, "framing": distance})
        if all(_cuts(size, turned, scene, other) for other in around):
            return turned
    return None


def _cuts(size: ShotSize, camera: CameraMove, scene: str, other: Shot) -> bool:
    """Whether a cut between this picture and the other shot changes place, size or angle enough."""
    turned = abs(camera.azimuth - other.camera.azimuth) >= words.CUT_ANGLE
    return turned or size != other.size or understand(other.prompt).directions.scene != scene
