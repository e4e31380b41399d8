import pytest

from emoflow.errors import ConfigError, LabelError
from emoflow.labels import KOREAN_COARSE, KOREAN_FINE, LABEL_MAPS, label_map
from emoflow.types import Emotion, parse_emotion


def test_sixty_fine_emotions_in_six_coarse_ones() -> None:
    assert [
        len([1 for coarse, _ in KOREAN_FINE.values() if coarse == c]) for c in KOREAN_COARSE
    ] == [10] * 6
    assert len(set(KOREAN_FINE.values())) == 60
    assert KOREAN_FINE["E10"] == ("분노", "분노")
    assert KOREAN_FINE["E45"] == ("상처", "가난한, 불우한")
    assert KOREAN_FINE["E59"] == ("당황", "혼란스러운(당황한)")
    assert KOREAN_FINE["E69"] == ("기쁨", "자신하는")


def test_maps_by_name() -> None:
    assert label_map("korean-to-shared")["기쁨"] == "happy"
    assert label_map({" Dislike": "disgust"}) == {"dislike": "disgust"}
    assert label_map(None) is label_map({}) is None
    with pytest.raises(ConfigError, match=r"no map 'nonsense'(.|\n)*korean-to-shared"):
        label_map("nonsense")
    for table in LABEL_MAPS.values():
        assert set(table.values()) <= set(Emotion)


@pytest.mark.parametrize(
    ("spelling", "name"),
    [("기쁨", "happy"), (" 화남 ", "angry"), ("Excitement", "excited"), ("FEARFUL", "fear")],
)
def test_labels_in_korean_and_english(spelling: str, name: str) -> None:
    assert parse_emotion(spelling, where="row 1") == name


def test_a_label_that_no_map_covers() -> None:
    with pytest.raises(LabelError, match=r"row 1: unknown emotion '상처'(.|\n)*data.label_map"):
        parse_emotion("상처", where="row 1")
