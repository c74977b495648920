"""What the page is told of a project, and only what it does not know yet.

Everything the page shows is cut into parts: one card a shot, the order of the shots, the head (revision, undo, film),
the music. Each part remembers the number of its last change. The page says which number it knows and gets the parts
changed since: so nothing is lost when two answers cross or two tabs edit, and an edit costs one card, not the plan.
"""

import os
import threading
import time
from collections.abc import Mapping
from functools import lru_cache
from itertools import count
from pathlib import Path
from urllib.parse import quote

import numpy as np

from mv.jobs import ShotProgress, picture_path
from mv.schema import Analysis, MoveKind, Shot, ShotSize, Take, Timeline, TransitionKind
from mv.timing import to_seconds
from mv.ui import edits, music, strips
from mv.ui.keyframes import row_of
from mv.ui.project import Project

ENERGY_RATE = 4  # values a second of the energy curve on the page
PATH_POINTS, KEYFRAMED_POINTS = 9, 41  # of the camera's way seen from above; keyframes may turn more often
WORDS = {
    "sizes": [str(size) for size in ShotSize],
    "moves": [str(kind) for kind in MoveKind],
    "transitions": [str(kind) for kind in TransitionKind],
    "labels": music.LABELS,
}


class Desk:
    """One project as the page sees it. lock: one edit or one look at a time."""

    def __init__(self, project: Project) -> None:
        self.project, self.lock = project, threading.Lock()
        self._numbers = count(time.time_ns() // 1_000_000)  # a page of an earlier server gets everything
        self._parts: dict[str, object] = {}
        self._changed: dict[str, int] = {}
        self._seen: dict[str, tuple] = {}  # id → (shot, the next one): what its card was made of
        self._setting: tuple = ()  # what all cards depend on
        self._fixed: dict[str, tuple] = {}  # id → (what it was made of, signature and costly part of its card)
        self._finished: dict[str, str] = {}  # shot → key of its take, of the newest job
        self._music: tuple[object, dict] | None = None
        self.number = next(self._numbers)

    def refresh(self, progress: list[ShotProgress] | None = None) -> None:
        """Read the project again. progress: of its newest job's shots; None: as at the last look. Only the cards of
        shots that are not the very same as then are made anew, unless takes or the picture's shape changed."""
        project = self.project
        plan, analysis = project.plan(), project.analysis()
        if progress is not None:
            self._finished = {p.shot: p.key for p in progress if p.state == "done"}
        finished = self._finished
        new: dict[str, object] = {"head": self._head(plan, analysis), "music": self._music_of(plan, analysis)}
        setting = project.takes_stamp(), finished, plan.analysis, plan.width, plan.height, plan.fps, plan.num_frames
        seen = self._seen if setting == self._setting else {}
        around = {shot.id: (shot, after) for shot, after in zip(plan.shots, [*plan.shots[1:], None])}
        stale = [i for i, shot in enumerate(plan.shots) if not _same(seen.get(shot.id), around[shot.id])]
        if stale:
            new |= self._cards(plan, stale, finished)
        if around.keys() != self._seen.keys() or list(around) != self._parts["order"]:
            new["order"] = list(around)
            for gone in self._seen.keys() - around.keys():
                self._parts.pop(f"shot {gone}")
                self._fixed.pop(gone)
        changed = [name for name, part in new.items() if self._parts.get(name) != part]
        if changed:
            self.number = next(self._numbers)
            self._changed.update(dict.fromkeys(changed, self.number))
            self._parts |= new
        self._seen, self._setting = around, setting

    def _cards(self, plan: Timeline, indices: list[int], finished: Mapping[str, str]) -> dict[str, dict]:
        files, fixed = self.project.take_files(), {index: self._fixed_of(plan, index) for index in indices}
        standing = self.project.take_finder(finished, lambda plan, index: fixed[index][0])
        cards = {}
        for index in indices:
            shot, take = plan.shots[index], standing(plan, index)
            takes = [t for t in [*shot.takes, *([take] if take and take not in shot.takes else [])] if t.file in files]
            cards[f"shot {shot.id}"] = _card(plan, index, *fixed[index], takes, take)
        return cards

    def _fixed_of(self, plan: Timeline, index: int) -> tuple[str, dict]:
        """Kept while the shot and what lies round it stay the same: a finished take changes neither."""
        shot, shape = plan.shots[index], (plan.span(index), plan.analysis, plan.width, plan.height, plan.fps)
        known = self._fixed.get(shot.id)
        if known is None or known[0] is not shot or known[1] != shape:
            part, aspect = _shot_part(plan, shot), plan.width / plan.height
            if known and _same_way(known[0], shot) and known[1][2:4] == shape[2:4]:
                part["path"] = known[2][1]["path"]
            else:
                part["path"] = _path_from_above(shot.camera, shot.size, shot.seed, aspect)
            known = shot, shape, (edits.shot_signature(plan, index), part)
            self._fixed[shot.id] = known
        return known[2]

    def news(self, since: int = -1) -> dict:
        """The parts changed after number `since`; all of them where it is not of this desk."""
        new = [name for name in self._parts if self._changed[name] > since]
        told: dict = {"base": since, "number": self.number, "project": self.project.name}
        told |= {name: self._parts[name] for name in ("head", "music", "order") if name in new}
        told["shots"] = [self._parts[name] for name in new if name.startswith("shot ")]
        return told

    def drawn_of(self, told: Mapping) -> list[str]:
        """Names of the sheets that are drawn, of those of the shots in `news`."""
        folder = self.project.folder / "storyboard"
        return [card["strip"] for card in told["shots"] if (folder / f"{card['strip']}.jpg").exists()]

    def strips(self) -> list[str]:
        """Names of the sheets that are drawn, of those that the plan shows."""
        folder = self.project.folder / "storyboard"
        there = {name.removesuffix(".jpg") for name in os.listdir(folder)} if folder.is_dir() else set()
        return [sheet for sheet in self.sheets() if sheet in there]

    def sheets(self) -> list[str]:
        """Names of the sheets that the plan shows."""
        return [part["strip"] for name, part in self._parts.items() if name.startswith("shot ")]

    @property
    def num_shots(self) -> int:
        return len(self._parts.get("order", []))

    # -- the parts

    def _head(self, plan: Timeline, analysis: Analysis) -> dict:
        undo, redo = self.project.history.names()
        films = [
            {"file": self._url(path), "name": path.name, "time": path.stat().st_mtime} for path in self.project.films()
        ]
        return {
            "revision": plan.revision,
            "title": plan.title or Path(plan.song).stem,
            "fps": float(plan.fps),
            "frames": plan.num_frames,
            "width": plan.width,
            "height": plan.height,
            "seed": plan.brief.seed,
            "song": self._url(self.project.folder / plan.song),
            "peaks": self._url(strips.peaks_path(self.project.folder)),
            "strips": self._url(self.project.folder / "storyboard") + "/",
            "folder": self._url(self.project.folder) + "/",
            "takes": self._url(self.project.folder / "takes") + "/",
            "undo": undo,
            "redo": redo,
            "films": films,
            "words": WORDS,
            "columns": strips.COLUMNS,
        }

    @staticmethod
    def _url(path: Path) -> str:
        return "gradio_api/file=" + quote(str(path))

    def _music_of(self, plan: Timeline, analysis: Analysis) -> dict:
        if self._music is None or self._music[0] is not analysis:
            self._music = analysis, music_part(analysis)
        return self._music[1]


def _same(known: tuple | None, now: tuple) -> bool:
    return known is not None and all(one is other for one, other in zip(known, now))


def _same_way(one: Shot, other: Shot) -> bool:
    """Whether the camera goes the same way in both."""
    return one.camera is other.camera and one.size == other.size and one.seed == other.seed


def _card(plan: Timeline, index: int, signature: str, fixed: Mapping, takes: list[Take], standing: Take | None) -> dict:
    shot = plan.shots[index]
    start, stop = plan.span(index)
    return {
        **fixed,
        "strip": signature,
        "span": [start, stop],
        "sketches": strips.strip_frames(stop - start, float(plan.fps)),
        "takes": [_take_part(take, edits.fits(plan, index, take)) for take in takes],
        "take": standing and standing.key,
        "chosen": shot.chosen,
    }


def _shot_part(plan: Timeline, shot: Shot) -> dict:
    camera = shot.camera
    return {
        "id": shot.id,
        "start": shot.start,
        "end": shot.end,
        "section": shot.section,
        "size": str(shot.size),
        "prompt": shot.prompt,
        "move": str(camera.kind),
        "amount": round(camera.amount, 3),
        "beat": round(camera.beat, 3),
        "keyframes": [row_of(keyframe) for keyframe in camera.keyframes],
        "reference": shot.reference and quote(shot.reference),
        "transition": str(shot.transition.kind),
        "fade": [shot.transition.in_offset, shot.transition.out_offset],
        "veil": shot.transition.look.veil and "rgb({} {} {})".format(*shot.transition.look.veil),
        "seed": shot.seed,
        "locked": shot.locked,
        "edited": shot.edited,
        "reasons": [[r.decision, r.choice, r.evidence] for r in shot.reasons],
        "ignored": _ignored(shot.prompt),
        "seconds": round(to_seconds(shot.duration, plan.fps), 3),
    }


def _take_part(take: Take, fits: bool) -> dict:
    return {
        "key": take.key,
        "file": quote(take.file),
        "model": take.model,
        "frames": take.num_frames,
        "seconds": take.seconds,
        "fits": fits,
        "measurements": {name: round(value, 4) for name, value in take.measurements.items()},
    }


def music_part(analysis: Analysis) -> dict:
    """Times in seconds; energy 0..1, ENERGY_RATE values a second."""
    downbeats = set(analysis.downbeats)
    return {
        "duration": analysis.duration,
        "tempo": analysis.tempo,
        "key": analysis.key,
        "notes": list(analysis.notes),
        "beats": [round(beat, 3) for beat in analysis.beats],
        "downbeats": [index for index, beat in enumerate(analysis.beats) if beat in downbeats],
        "sections": [[round(s.start, 3), round(s.end, 3), s.label, round(s.energy, 2)] for s in analysis.sections],
        "lyrics": [[round(line.start, 2), round(line.end, 2), line.text] for line in analysis.lyrics],
        "energy": _energy(analysis),
    }


def _energy(analysis: Analysis) -> list[float]:
    """Smoothed over about two seconds: the shape of the song, not of each drum."""
    curve = np.asarray(analysis.features["energy"])
    width = max(1, round(2 * analysis.feature_rate))
    padded = np.pad(curve, (width // 2, width - 1 - width // 2), mode="edge")
    smooth = np.convolve(padded, np.full(width, 1 / width), "valid")
    times = np.arange(0, analysis.duration, 1 / ENERGY_RATE)
    values = np.interp(times, np.arange(len(smooth)) / analysis.feature_rate, smooth)
    return [round(float(value), 3) for value in np.clip(values, 0, 1)]


@lru_cache(maxsize=4096)
def _ignored(prompt: str) -> list[str]:
    """Words that the built-in model does not know."""
    from mv.world.vocabulary import understand

    return list(understand(prompt).ignored)


def _path_from_above(camera, size: ShotSize, seed: int, aspect: float) -> list[list[float]]:
    """Points (x, z, yaw): metres and radians, the performer at 0, 0; the beat's pushes left out."""
    from mv.camera import camera_path
    from mv.errors import InputError

    try:
        path = camera_path(camera, size, KEYFRAMED_POINTS if camera.keyframes else PATH_POINTS, aspect, seed=seed)
    except InputError:  # keyframes that cannot be followed: rendering says so
        return []
    poses = path.c2w
    yaws = np.arctan2(poses[:, 0, 2], poses[:, 2, 2])
    return [[round(float(x), 3) for x in (pose[0, 3], pose[2, 3], yaw)] for pose, yaw in zip(poses, yaws)]


def progress_part(shots: list[ShotProgress], folder: Path) -> Mapping[str, list]:
    """Shots in work or failed: id → [state, share, error, address of a picture of it as it is now, or None]."""
    return {
        p.shot: [p.state, round(p.progress, 3), p.error, _picture(folder, p.shot) if p.state == "running" else None]
        for p in shots
        if p.state in ("running", "failed")
    }


def _picture(folder: Path, shot: str) -> str | None:
    path = picture_path(folder, shot)
    try:
        return f"gradio_api/file={quote(str(path))}?v={path.stat().st_mtime_ns}"
    except FileNotFoundError:
        return None
