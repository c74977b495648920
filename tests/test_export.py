"""Lists for other programs agree with the plan to the frame."""

import json
import re
import xml.etree.ElementTree as ElementTree
import zipfile
from fractions import Fraction
from pathlib import Path
from urllib.parse import unquote

import pytest
from conftest import conditions_of

from mv import export
from mv.errors import InputError
from mv.generation import generate
from mv.schema import LyricLine, Transition, TransitionKind

FILM = Path("/films/my film.mp4")


def test_edl_tells_every_shot(timeline, analysis):
    text = export.edl(timeline, analysis, FILM)
    events = re.findall(r"^(\d{3})  FILM     V     C        (\S+) (\S+) (\S+) (\S+)$", text, re.MULTILINE)
    assert [event[0] for event in events] == ["001", "002", "003"]
    assert events[2][1:] == ("00:00:02:00", "00:00:04:00", "00:00:02:00", "00:00:04:00")
    assert "* FROM CLIP NAME: my film.mp4" in text and text.startswith("TITLE: Clicks\n")


@pytest.mark.parametrize("kind", [kind for kind in TransitionKind if kind != "cut"])
def test_transitions_stand_as_cuts_with_a_note(timeline, analysis, kind):
    transition = Transition(kind=kind, in_offset=0 if kind == "flash" else 6, out_offset=4)
    third = timeline.shots[2].model_copy(update={"transition": transition})
    plan = timeline.model_copy(update={"shots": [*timeline.shots[:2], third]})
    note = f"begins with a {kind}, {transition.in_offset} frames before the cut and 4 after it, in the film"
    edl = export.edl(plan, analysis, FILM)
    assert edl.count(f"* COMMENT: {note}") == edl.count("begins with") == 1
    assert "00:00:02:00 00:00:04:00 00:00:02:00 00:00:04:00" in edl, "the event is where the cut is"
    clips = json.loads(export.otio(plan, analysis, FILM))["tracks"]["children"][0]["children"]
    assert clips[2]["metadata"]["mv_studio"]["transition"] == transition.model_dump(mode="json")
    assert all(clip["OTIO_SCHEMA"] == "Clip.2" for clip in clips)
    notes = [note.text for note in ElementTree.fromstring(export.fcpxml(plan, analysis, FILM)).iter("note")]
    assert notes[2] == f"{third.prompt}; {note}" and notes[0] == timeline.shots[0].prompt


def test_edl_counts_ntsc_at_the_next_whole_rate(timeline, analysis):
    ntsc = timeline.model_copy(update={"fps": Fraction(30000, 1001)})
    assert "00:00:01:18 00:00:03:06" in export.edl(ntsc, analysis)  # frames 48 and 96 at 30


def test_otio_tiles_the_film(timeline, analysis):
    tracks = json.loads(export.otio(timeline, analysis, FILM))["tracks"]["children"]
    video, audio = tracks
    ranges = [
        (c["source_range"]["start_time"]["value"], c["source_range"]["duration"]["value"]) for c in video["children"]
    ]
    assert ranges == [(0, 24), (24, 24), (48, 48)]
    assert audio["children"][0]["source_range"]["duration"] == {
        "OTIO_SCHEMA": "RationalTime.1",
        "rate": 24,
        "value": 96,
    }
    assert [m["name"] for m in video["markers"]] == ["verse", "chorus"]
    media = video["children"][0]["media_references"]["DEFAULT_MEDIA"]
    assert media["target_url"] == "file:///films/my%20film.mp4"
    missing = json.loads(export.otio(timeline, analysis))["tracks"]["children"][0]["children"][0]
    assert missing["media_references"]["DEFAULT_MEDIA"]["OTIO_SCHEMA"] == "MissingReference.1"


def test_clips_are_cut_from_files_of_their_own(timeline, analysis):
    media = export.of_clips(timeline)
    text = export.edl(timeline, analysis, media=media)
    # s3 fades in over 10 frames, 6 of them before its cut at frame 48: its file begins there.
    events = re.findall(r"^\d{3}  (\S+) +V     (C|D    010) +(\S+) (\S+) (\S+) (\S+)$", text, re.MULTILINE)
    assert events == [
        ("SHOT0001", "C", "00:00:00:00", "00:00:01:00", "00:00:00:00", "00:00:01:00"),
        ("SHOT0002", "C", "00:00:00:00", "00:00:00:18", "00:00:01:00", "00:00:01:18"),
        ("SHOT0002", "C", "00:00:00:18", "00:00:00:18", "00:00:01:18", "00:00:01:18"),
        ("SHOT0003", "D    010", "00:00:00:00", "00:00:02:06", "00:00:01:18", "00:00:04:00"),
    ]
    assert "* SOURCE FILE: clips/shot-003.mp4" in text and "begins with" not in text
    track = json.loads(export.otio(timeline, analysis, media=media))["tracks"]["children"][0]["children"]
    assert [one["OTIO_SCHEMA"] for one in track] == ["Clip.2", "Clip.2", "Transition.1", "Clip.2"]
    assert (track[2]["in_offset"]["value"], track[2]["out_offset"]["value"]) == (6, 4)
    assert track[3]["source_range"]["start_time"]["value"] == 6
    reference = track[3]["media_references"]["DEFAULT_MEDIA"]
    assert reference["target_url"] == "clips/shot-003.mp4" and reference["available_range"]["duration"]["value"] == 54
    tree = ElementTree.fromstring(export.fcpxml(timeline, analysis, media=media))
    assert [asset.get("src") for asset in tree.iter("asset")][:2] == ["clicks.wav", "clips/shot-001.mp4"]
    third = tree.findall(".//spine/asset-clip")[2]
    assert (third.get("offset"), third.get("start"), third.get("duration")) == ("2s", "1/4s", "2s")
    mixed = tree.find(".//spine/transition")
    assert (mixed.get("offset"), mixed.get("duration")) == ("7/4s", "5/12s")
    assert tree.find(".//spine/asset-clip/asset-clip").get("lane") == "-1", "the song"


def test_a_dip_between_clips_is_a_note(timeline, analysis):
    dip = Transition(kind="dip to black", in_offset=6, out_offset=4)
    third = timeline.shots[2].model_copy(update={"transition": dip})
    plan = timeline.model_copy(update={"shots": [*timeline.shots[:2], third]})
    media = export.of_clips(plan)
    note = "begins with a dip to black, 6 frames before the cut and 4 after it, to be added"
    assert f"* COMMENT: {note}" in export.edl(plan, analysis, media=media)
    assert note in export.fcpxml(plan, analysis, media=media) and "transition name" not in export.fcpxml(
        plan, analysis, media=media
    )


def test_the_package_holds_every_file_its_lists_name(timeline, analysis, renderer, tmp_path):
    import av

    takes_dir = tmp_path / "takes"
    made = generate(timeline, conditions_of(timeline), renderer, takes_dir)
    takes = {shot.id: takes_dir / shot.takes[0].file for shot in made.shots}
    target = export.package(made, analysis, takes, tmp_path / "my film.zip")
    with zipfile.ZipFile(target) as archive:
        archive.extractall(tmp_path / "out")
    folder = tmp_path / "out" / "my film"
    track, sound = json.loads((folder / "my film.otio").read_text())["tracks"]["children"]
    for clip in [one for one in (*track["children"], *sound["children"]) if one["OTIO_SCHEMA"] == "Clip.2"]:
        reference = clip["media_references"]["DEFAULT_MEDIA"]
        path = folder / unquote(reference["target_url"])
        with av.open(str(path)) as media:
            if media.streams.video:
                assert media.streams.video[0].frames == reference["available_range"]["duration"]["value"]
    assert sorted(path.name for path in folder.iterdir()) == [
        "clicks.wav", "clips", "my film.edl", "my film.fcpxml", "my film.otio"
    ]  # fmt: skip
    (takes_dir / made.shots[1].takes[0].file).unlink()
    with pytest.raises(InputError, match="shots without a take: 2; render them first"):
        export.package(made, analysis, takes, tmp_path / "none.zip")
    assert not (tmp_path / "none.zip").exists()


def test_packages_are_read_by_the_library_too(timeline, analysis):
    otio = pytest.importorskip("opentimelineio")
    text = export.otio(timeline, analysis, media=export.of_clips(timeline))
    read = otio.adapters.read_from_string(text, "otio_json")
    assert read.duration().to_frames() == 96 and len(list(read.find_clips())) == 4


def test_otio_is_read_by_its_own_library(timeline, analysis):
    otio = pytest.importorskip("opentimelineio")
    read = otio.adapters.read_from_string(export.otio(timeline, analysis, FILM), "otio_json")
    assert read.duration().to_frames() == 96 and len(list(read.find_clips())) == 4


def test_fcpxml_is_whole_frames_and_safe(timeline, analysis):
    hostile = timeline.model_copy(update={"title": "<b>\"x\" & 'y'\x07"})
    tree = ElementTree.fromstring(export.fcpxml(hostile, analysis, FILM))
    clips = tree.findall(".//asset-clip")
    assert [clip.get("offset") for clip in clips] == ["0s", "1s", "2s"] and clips[2].get("duration") == "2s"
    assert tree.find(".//format").get("frameDuration") == "1/24s"
    assert tree.find(".//project").get("name") == "<b>\"x\" & 'y'"


def test_subtitles_have_times(timeline, analysis):
    with pytest.raises(InputError, match="no lyrics"):
        export.srt(timeline, analysis)
    lines = [LyricLine(start=0.5, end=2.25, text="one  line"), LyricLine(start=3661.9996, end=3663, text="two")]
    text = export.srt(timeline, analysis.model_copy(update={"lyrics": lines}))
    assert text.startswith("1\n00:00:00,500 --> 00:00:02,250\none line\n\n2\n01:01:02,000 --> 01:01:03,000\n")


def test_the_command_writes_what_the_name_says(timeline, analysis, renderer, tmp_path):
    from typer.testing import CliRunner

    from mv import cli

    timeline.save(tmp_path / "plan.json")
    analysis.save(tmp_path / "analysis.json")

    def run(*arguments: str):
        return CliRunner().invoke(cli.app, ["export", str(tmp_path / "plan.json"), *arguments])

    for ending in export.FORMATS:
        if ending != ".srt":
            assert run("-o", str(tmp_path / f"cut{ending}")).exit_code == 0
            assert (tmp_path / f"cut{ending}").stat().st_size > 100
    assert run("-o", str(tmp_path / "cut.zip")).exit_code == 2, "no shot has a take yet"
    takes_dir = tmp_path / "takes"
    generate(timeline, conditions_of(timeline), renderer, takes_dir).save(tmp_path / "plan.json")
    assert run("-o", str(tmp_path / "cut.zip")).exit_code == 0
    with zipfile.ZipFile(tmp_path / "cut.zip") as archive:
        assert "cut/clips/shot-003.mp4" in archive.namelist() and "cut/cut.edl" in archive.namelist()
    for arguments in (["-o", "cut.aaf"], ["-o", str(tmp_path / "x.srt")], ["-o", "cut.edl", "--film", "/no/film.mp4"]):
        assert run(*arguments).exit_code == 2
    assert not (tmp_path / "x.srt").exists()
