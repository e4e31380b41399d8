"""Label sets of corpora that keep their own, and maps from one set to another.

A map is given to a corpus by its name, ``--data.label_map korean-to-shared``, or spelt out.
"""

from __future__ import annotations

from collections.abc import Mapping

from emoflow.errors import ConfigError

__all__ = ["KOREAN_COARSE", "KOREAN_FINE", "LABEL_MAPS", "label_map"]

KOREAN_COARSE = ("분노", "슬픔", "불안", "상처", "당황", "기쁨")
"""Coarse emotions of AI-Hub's emotional dialogue, in the order of their codes (1 to 6)."""

_FINE = """
분노/툴툴대는/좌절한/짜증내는/방어적인/악의적인/안달하는/구역질 나는/노여워하는/성가신
슬픔/실망한/비통한/후회되는/우울한/마비된/염세적인/눈물이 나는/낙담한/환멸을 느끼는
불안/두려운/스트레스 받는/취약한/혼란스러운/당혹스러운/회의적인/걱정스러운/조심스러운/초조한
상처/질투하는/배신당한/고립된/충격 받은/가난한, 불우한/희생된/억울한/괴로워하는/버려진
당황/고립된(당황한)/남의 시선을 의식하는/외로운/열등감
죄책감의/부끄러운/혐오스러운/한심한/혼란스러운(당황한)
기쁨/감사하는/신뢰하는/편안한/만족스러운/흥분/느긋/안도/신이 난/자신하는
"""
KOREAN_FINE: Mapping[str, tuple[str, str]] = {
    f"E{number}": (KOREAN_COARSE[number // 10 - 1], fine)
    for number, fine in enumerate(_FINE.strip().replace("\n", "/").split("/"), start=10)
}
"""Code (E10 … E69) to coarse and fine emotion of AI-Hub's emotional dialogue."""

LABEL_MAPS: Mapping[str, Mapping[str, str]] = {
    # 상처 (hurt) and 당황 (flustered) have no counterpart; the nearest is taken.
    "korean-to-shared": {
        "분노": "angry",
        "슬픔": "sad",
        "불안": "fear",
        "상처": "sad",
        "당황": "surprise",
        "기쁨": "happy",
    },
    "iemocap-four": {"excited": "happy"},
}
"""Name to a map from labels (case-folded) to labels."""


def label_map(given: Mapping[str, str] | str | None) -> dict[str, str] | None:
    """Return a map with case-folded spellings; ``given`` is a map or the name of one.

    Raises
    ------
    ConfigError
        If no map has this name; the message lists them.
    """
    if isinstance(given, str):
        if given not in LABEL_MAPS:
            raise ConfigError(
                f"data.label_map: there is no map {given!r}",
                f"name one of {', '.join(LABEL_MAPS)}, or spell it out: {{dislike: disgust}}",
            )
        given = LABEL_MAPS[given]
    return {name.strip().casefold(): label for name, label in (given or {}).items()} or None
