"""Alignment of a known text, on emissions that are made up, and by a real wav2vec2 at tiny size."""

import numpy as np
import pytest
from test_analysis_transcribe import heard

from mv.analysis.align import Letters, align, find_spans, spell
from mv.errors import InputError

INDEX = {"<pad>": 0, "|": 1, "A": 2, "B": 3, "N": 4, "S": 5}
RATE = 10.0


def saying(*spans, seconds=8.0, sure=6.0):
    """Letters where each of spans, (first frame, end frame, letter), is heard."""
    logits = np.zeros((int(seconds * RATE), len(INDEX)))
    logits[:, 0] = sure
    for first, end, letter in spans:
        logits[first:end, 0], logits[first:end, INDEX[letter]] = 0, sure
    return Letters(logits - np.log(np.exp(logits).sum(1, keepdims=True)), RATE, 0, INDEX)


def test_each_letter_gets_the_frames_that_say_it():
    letters = saying((10, 12, "B"), (14, 20, "A"), (40, 41, "N"))
    assert find_spans(letters.log_probs, np.array([3, 2, 4]), 0).tolist() == [[10, 12], [14, 20], [40, 41]]


def test_a_letter_twice_needs_a_gap():
    letters = saying((10, 20, "A"))
    (first, second) = find_spans(letters.log_probs, np.array([2, 2]), 0)
    assert first[1] < second[0]


def test_lines_and_words_stand_where_they_are_sung():
    letters = saying((10, 12, "B"), (12, 14, "A"), (30, 33, "A"), (33, 35, "S"), (60, 62, "N"), (62, 66, "A"))
    first, second = align(["Ba as?", "na"], letters, heard())
    assert (first.text, first.start, first.end) == ("Ba as?", 1.0, 3.5)
    assert [(word.text, word.start, word.end) for word in first.words] == [("Ba", 1.0, 1.4), ("as?", 3.0, 3.5)]
    assert (second.text, second.start, second.end) == ("na", 6.0, 6.6)


def test_what_sounds_like_the_word_where_nobody_sings_is_not_it():
    letters = saying((10, 14, "N"), (60, 64, "N"), sure=3.0)
    analysis = heard()
    quiet = [0.0 if k < 40 else 1.0 for k in range(len(analysis.features["voice"]))]
    analysis = analysis.model_copy(update={"features": analysis.features | {"voice": quiet}})
    (line,) = align(["n"], letters, analysis)
    assert line.start == pytest.approx(6.0, abs=0.11)


def test_case_and_signs_do_not_matter():
    assert spell("b-A!n", INDEX) == [3, 2, 4]
    assert spell("b", {"b": 7}) == [7]


def test_a_line_of_unknown_letters_is_left_out_and_a_text_of_them_refused():
    letters = saying((10, 12, "B"))
    assert [line.text for line in align(["你好", "b"], letters, heard())] == ["b"]
    with pytest.raises(InputError, match="knows none of the letters"):
        align(["你好"], letters, heard())


def test_a_text_longer_than_the_song_is_refused():
    with pytest.raises(InputError, match="81 letters cannot be aligned with 80 frames"):
        align(["ab" * 40 + "a"], saying(), heard())
