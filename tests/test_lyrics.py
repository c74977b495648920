import pytest

from mv.errors import InputError
from mv.lyrics import plain_lines, read_lyrics
from mv.schema import LyricLine


def read(tmp_path, text, duration=60.0):
    (tmp_path / "words").write_text(text, encoding="utf-8")
    return read_lyrics(tmp_path / "words", duration)


def words(line):
    return [(word.start, word.end, word.text) for word in line.words]


def test_enhanced_lrc_has_times_for_its_words(tmp_path):
    (line, after) = read(tmp_path, "[00:10.00]<00:10.00>far <00:10.50>away <00:11.25>from home\n[00:14]next")
    assert line.text == "far away from home"
    assert words(line) == [(10, 10.5, "far"), (10.5, 11.25, "away"), (11.25, 14, "from home")]
    assert after.words == []


def test_a_bare_time_ends_the_last_word_and_the_first_word_needs_none(tmp_path):
    (line,) = read(tmp_path, "[00:10]far <00:10.50>away <00:12.00>")
    assert words(line) == [(10, 10.5, "far"), (10.5, 12, "away")]


def test_word_times_follow_the_offset(tmp_path):
    (line,) = read(tmp_path, "[offset:1000]\n[00:10]<00:10.00>far <00:11.00>away")
    assert (line.start, words(line)[1][0]) == (9, 10)


def test_only_the_appearance_they_belong_to_has_word_times(tmp_path):
    first, again = read(tmp_path, "[00:10][00:30]<00:10.00>far <00:11.00>away")
    assert first.text == again.text == "far away"
    assert len(first.words) == 2 and again.words == []


def test_word_times_out_of_order_are_left_out(tmp_path):
    (line,) = read(tmp_path, "[00:10]<00:12.00>far <00:11.00>away")
    assert line.text == "far away" and line.words == []


SRT = """1
00:00:01,500 --> 00:00:03,000
<i>So far away</i>

2
00:00:04.000 --> 00:01:05.000 X1:40
{\\an8}from
home
"""


def test_srt_lines(tmp_path):
    for text in (SRT, "\ufeff" + SRT.replace("\n", "\r\n")):
        found = [(line.start, line.end, line.text) for line in read(tmp_path, text)]
        assert found == [(1.5, 3, "So far away"), (4, 60, "from home")]


def test_srt_is_sorted_and_empty_blocks_are_left_out(tmp_path):
    text = "00:00:09,0 --> 00:00:10,0\nlater\n\n00:00:05,0 --> 00:00:06,0\n\n00:00:01,0 --> 00:00:02,0\nfirst\n"
    assert [line.text for line in read(tmp_path, text)] == ["first", "later"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SRT.replace("00:00:04.000 -->", "4 s -->"), "line 6: expected hh:mm:ss,mmm"),
        (SRT.replace("00:00:03,000", "00:00:01,000"), "line 2: ends at 1.0 s, before it starts at 1.5 s"),
        (SRT.replace("00:00:01,500", "00:59:01,500").replace("00:00:03,000", "00:59:03,000"), "the song ends at 60.0"),
        ("[00:01]<00:99>a", "line 1: <00:99> has 99 seconds"),
    ],
)
def test_broken_files_name_their_line(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, text)


def test_plain_text_has_no_times(tmp_path):
    assert read(tmp_path, "So far away\nfrom home -> you\n") == []


def test_plain_lines_are_those_that_are_sung(tmp_path):
    (tmp_path / "words").write_text("[Verse 1]\nSo far away\n\n  from home  \n(solo)\n")
    assert plain_lines(tmp_path / "words") == ["So far away", "from home"]
    (tmp_path / "words").write_text("[00:10]far\n")
    with pytest.raises(InputError, match="times already"):
        plain_lines(tmp_path / "words")


def test_lines_saved_before_there_were_word_times_can_be_read():
    assert LyricLine.model_validate({"start": 1, "end": 2, "text": "a"}).words == []
