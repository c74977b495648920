"""The shot list as text, markdown and CSV, and the numbers of a plan."""

import csv
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from test_director import POP, invent_song, plan, scene_of

from director.measures import entropy, longest_repetition, measure_plan, surprise
from director.segmentation import section_names
from director.shotlist import SAME_CHOICE, TOLD_ELSEWHERE, shot_list
from mv.errors import InputError


def test_the_page_tells_every_shot_and_every_reason_of_its_own():
    analysis = invent_song()
    timeline = plan(analysis, theme="a neon city", seed=5)
    page = shot_list(timeline, analysis)
    flat = " ".join(page.split())
    assert max(map(len, page.splitlines())) <= 110
    everything = sum(len(f"{r.decision}: {r.choice}. {r.evidence}") for shot in timeline.shots for r in shot.reasons)
    assert len(flat) < 0.75 * everything
    for shot in timeline.shots:
        assert f"  {shot.id}  " in page
        for reason in shot.reasons:
            told = reason.choice.split()[0] if reason.decision in SAME_CHOICE else reason.evidence
            assert " ".join(told.split()) in flat or (reason.decision, reason.choice) in TOLD_ELSEWHERE
    assert [line.split()[0] for line in page.splitlines() if line[:2].strip().isupper()][:3] == [
        "INTRO", "VERSE", "CHORUS"
    ]  # fmt: skip
    assert "chorus 2 starts" in flat and "of max" in flat


def test_a_section_tells_its_scene_once():
    analysis = invent_song()
    page = shot_list(plan(analysis), analysis)
    assert page.count("plays where the chorus plays") == 3


@pytest.mark.parametrize("seed", range(6))
def test_a_page_calls_a_place_new_only_where_it_is(seed):
    shots = plan(invent_song(), seed=seed).shots
    for i, shot in enumerate(shots):
        size = next(reason.evidence for reason in shot.reasons if reason.decision == "size")
        if "moves to another place" in size:
            assert scene_of(shot) not in {scene_of(before) for before in shots[max(0, i - 4) : i]}


@pytest.mark.parametrize("seed", range(6))
def test_a_quiet_end_begins_in_its_own_place_also_after_a_loud_one(seed):
    song = invent_song(160.0, parts=[*POP[:6], ("outro", 0.9, 0.0, None), ("outro", 0.1, 0.0, None)])
    shots = plan(song, seed=seed).shots
    loud, quiet = (next(shot for shot in shots if shot.section == section) for section in (6, 7))
    (scene,) = [reason for reason in quiet.reasons if reason.decision == "scene"]
    goes_on = scene.evidence.endswith(f"it leaves the {scene_of(loud)}")  # in the one landscape that both play in
    assert goes_on or scene.evidence.startswith("outro 2 plays at home")


def test_a_calm_shot_says_that_the_beat_does_not_move_it():
    song = invent_song(40.0, parts=[("intro", 0.0, 0.0, None)])
    beats = [reason for shot in plan(song).shots for reason in shot.reasons if reason.decision == "beat"]
    assert beats and all(reason.choice == "none" and "too calm" in reason.evidence for reason in beats)


def test_the_table_holds_every_shot():
    analysis = invent_song()
    timeline = plan(analysis)
    shots = [s.model_copy(update={"prompt": '=HYPERLINK("x"), "quoted"'}) if i == 1 else s
             for i, s in enumerate(timeline.shots)]  # fmt: skip
    timeline = timeline.model_copy(update={"shots": shots})
    rows = list(csv.DictReader(shot_list(timeline, analysis, "csv").splitlines()))
    assert [int(row["start_frame"]) for row in rows] == [shot.start for shot in shots]
    assert [row["move"] for row in rows] == [shot.camera.kind for shot in shots]
    assert rows[1]["prompt"] == '\'=HYPERLINK("x"), "quoted"'
    assert rows[0]["section"] == "intro" and "boundary: frame 0: the film starts" in rows[0]["reasons"]


def test_markdown_cells_stay_cells():
    analysis = invent_song(title="A|B *bold*")
    timeline = plan(analysis)
    text = shot_list(timeline, analysis, "markdown")
    rows = [line for line in text.splitlines() if line.startswith("| s0")]
    assert text.startswith("# A\\|B \\*bold\\*") and len(rows) == len(timeline.shots)
    assert all(row.replace("\\|", "").count("|") == 8 for row in rows)


def test_an_unknown_format_is_refused():
    analysis = invent_song(20.0)
    with pytest.raises(InputError, match="expected one of text, markdown, csv, got 'pdf'"):
        shot_list(plan(analysis), analysis, "pdf")


def test_sections_are_numbered_where_there_are_several():
    names = section_names(invent_song().sections)
    assert names == ["intro", "verse 1", "chorus 1", "verse 2", "chorus 2", "bridge", "chorus 3", "outro"]


def test_entropy_and_repetition_know_simple_truths():
    assert entropy("aaaa") == 0 and entropy("abab") == 1 and entropy("abcd") == 2
    assert surprise("abcabcabcabc") == 0 and surprise("aaaa") == 0 and surprise("a") == 0
    assert surprise("aabba" * 40) == pytest.approx(1.0, abs=0.1) and surprise("ab" * 9 + "b") > 0
    for names, longest in [("abcd", 0), ("abab", 2), ("aaaa", 2), ("aaaaa", 2), ("xabcyabcz", 3), ("", 0)]:
        assert longest_repetition(names) == longest, names


def test_longest_repetition_agrees_with_trying_everything():
    rng = np.random.default_rng(1)
    for _ in range(40):
        names = "".join(rng.choice(list("abc"), rng.integers(1, 14)))
        runs = [n for n in range(1, len(names)) for i in range(len(names)) if names[i : i + n] in names[i + n :]
                and len(names[i : i + n]) == n]  # fmt: skip
        assert longest_repetition(names) == max(runs, default=0), names


@pytest.mark.parametrize("seed", range(4))
def test_a_plan_is_varied_and_on_the_beat(seed):
    analysis = invent_song()
    timeline = plan(analysis, seed=seed)
    measured = measure_plan(timeline, analysis)
    assert measured.on_beat == 1.0 and measured.on_downbeat > 0.6
    assert measured.move_entropy > 2.8 and measured.size_entropy > 2.0 and measured.scene_entropy > 1.0
    assert measured.size_surprise > 0.8
    assert measured.longest_repetition <= 2 and measured.alike_neighbours == 0
    assert set(measured.shots_per_minute) == {label for label, *_ in POP}
    assert measured.shots_per_minute["chorus"] > measured.shots_per_minute["intro"]
    minutes = Counter()
    for shot in timeline.shots:
        minutes[analysis.sections[shot.section].label] += shot.duration / 24 / 60
    assert sum(measured.shots_per_minute[k] * minutes[k] for k in minutes) == pytest.approx(len(timeline.shots))
    assert all(one.end == two.start for one, two in pairwise(timeline.shots))
