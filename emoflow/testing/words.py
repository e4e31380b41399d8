"""Korean sentences whose words carry valence.

A sentence is put together from phrases on five levels, -2 (very unpleasant) to 2 (very
pleasant); its valence is 3 plus the mean level of its phrases, which is what a listener who
knows every word could read. Nouns, times and people carry none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

__all__ = ["Marker", "Sentence", "draw_sentence", "particle"]

Marker = Literal["surprise", "disgust", "fear"]
LEVELS = (-2, -1, 0, 1, 2)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence and what its words say."""

    text: str
    valence: float
    """1 to 5: 3 plus the mean level of the valenced phrases."""


def _split(text: str) -> tuple[str, ...]:
    return tuple(phrase.strip() for phrase in text.split("|"))


_TIMES = _split(
    "오늘|어제|아까|방금|오전에|저녁에|지난주에|주말에|점심때|이번에|새벽에|요즘|며칠 전에|"
    "작년에|퇴근길에|처음에|나중에|엊그제"
)
_PEOPLE = _split(
    "친구|동생|언니|형|선배|후배|팀장님|교수님|이웃|사촌|이모|삼촌|짝꿍|동료|룸메이트|"
    "조카|할머니|선생님"
)
_NOUNS = _split(
    "회의|시험|발표|여행|점심|영화|공연|경기|면접|숙제|과제|계획|약속|방학|운동|요리|수업|"
    "사진|노래|선물|편지|전화|산책|버스|기차|날씨|방 정리|이사|공부|연습|축제|강의|실험|"
    "보고서|그림|게임|드라마|소설|커피|국수|김밥|신발|가방|휴대폰|컴퓨터|책상|화분|강아지|"
    "고양이|동네|카페|식당|도서관|공원|시장|수영|등산|자전거|모임|행사"
)
_MODIFIERS: dict[int, tuple[str, ...]] = {
    -2: _split(
        "끔찍한|처참한|지긋지긋한|엉망인|최악의|비참한|괴로운|잔인한|절망적인|형편없는|"
        "망쳐 버린|억울한"
    ),
    -1: _split(
        "지루한|어수선한|답답한|낡은|어색한|귀찮은|피곤한|시끄러운|밋밋한|복잡한|차가운|아쉬운"
    ),
    0: _split("새로운|평범한|다음|저번|주말|첫|마지막|기나긴|짧은|작은|익숙한|우리|단체|온라인"),
    1: _split(
        "괜찮은|포근한|산뜻한|깔끔한|편안한|재미난|아늑한|부드러운|반가운|다정한|상쾌한|알찬"
    ),
    2: _split(
        "눈부신|완벽한|환상적인|사랑스러운|황홀한|찬란한|최고의|감동적인|꿈같은|훌륭한|"
        "빛나는|놀랍도록 멋진"
    ),
}
_EVENTS: dict[int, tuple[str, ...]] = {
    -2: _split(
        "완전히 망해서|물거품이 돼서|전부 무너져서|산산조각 나서|처참하게 깨져서|"
        "거짓말투성이라서|하루아침에 사라져서|끝장나 버려서|욕만 잔뜩 먹어서|"
        "지옥 같아서|못 견디게 싫어서|도둑맞아서"
    ),
    -1: _split(
        "자꾸 미뤄져서|생각보다 별로라서|조금 늦어져서|영 어설퍼서|은근히 비싸서|"
        "자주 끊겨서|좀 부족해서|이래저래 꼬여서|덜컥거려서|기대에 못 미쳐서|"
        "너무 오래 걸려서|흐지부지돼서"
    ),
    0: _split(
        "두 시에 있어서|옆 건물로 바뀌어서|셋째 주에 열려서|그대로 있어서|예정대로 이어져서|"
        "삼 층으로 옮겨져서|반반씩 나뉘어서|차례대로 넘어가서|한 시간쯤 걸려서|"
        "다음 달로 정해져서|둘로 갈라져서|앞쪽에 놓여서"
    ),
    1: _split(
        "순조롭게 풀려서|제법 쓸 만해서|일찍 끝나서|꽤 재미있어서|생각보다 쉬워서|"
        "차분히 정리돼서|말끔히 고쳐져서|무난히 통과돼서|은근히 마음에 들어서|"
        "점점 나아져서|싸게 나와서|술술 진행돼서"
    ),
    2: _split(
        "완벽하게 성공해서|기적처럼 살아나서|눈물 나게 감동적이라서|칭찬이 쏟아져서|"
        "꿈처럼 이루어져서|상상보다 훨씬 멋져서|모두에게 사랑받아서|대박이 나서|"
        "더할 나위 없이 근사해서|일 등으로 뽑혀서|세상에서 제일 좋아서|눈부시게 빛나서"
    ),
}
_FEELINGS: dict[int, tuple[str, ...]] = {
    -2: _split(
        "가슴이 찢어져요|너무 괴로워요|정말 끔찍해요|다 포기하고 싶어요|눈물만 나요|"
        "원망스러워 죽겠어요|치가 떨려요|절망했어요|분해서 못 참겠어요|살맛이 안 나요|"
        "비참하기만 해요|용서가 안 돼요|미칠 것 같아요|속이 썩어 문드러져요"
    ),
    -1: _split(
        "조금 아쉬워요|기운이 빠져요|살짝 서운해요|마음이 무거워요|걱정이 되네요|"
        "영 내키지 않아요|신경이 쓰여요|맥이 풀려요|좀 섭섭했어요|심심하네요|"
        "한숨이 나와요|찜찜해요|불편하더라고요|입맛이 없어요"
    ),
    0: _split(
        "그렇게 알고 있어요|거기서 기다렸어요|메모해 뒀어요|자리를 옮겼어요|다시 물어봤어요|"
        "집에 들렀어요|그냥 그래요|이름을 적었어요|순서를 바꿨어요|번호를 불렀어요|"
        "종이를 접었어요|문 앞에 섰어요|표를 끊었어요|목록을 봤어요"
    ),
    1: _split(
        "마음이 놓여요|기분이 괜찮아요|한결 가벼워요|제법 뿌듯해요|웃음이 나요|"
        "꽤 든든해요|마음에 들어요|고마웠어요|속이 시원해요|푹 쉬었어요|"
        "느긋하고 좋아요|기대가 돼요|흐뭇하더라고요|안심했어요"
    ),
    2: _split(
        "정말 행복해요|날아갈 것 같아요|가슴이 벅차요|너무너무 기뻐요|꿈만 같아요|"
        "사랑이 넘쳐요|눈물 나게 고마워요|최고로 신나요|환호성이 나와요|"
        "황홀했어요|온 세상이 아름다워요|감격했어요|축복받은 기분이에요|자랑스러워 죽겠어요"
    ),
}
_OPENERS = _split("음|저기|그러니까|네|아|뭐|근데|그게|사실|아무튼|일단|있잖아요")
_MARKERS: dict[Marker, tuple[str, ...]] = {
    "surprise": _split(
        "세상에|어머나|깜짝이야|헉 진짜요|아니 이럴 수가|우와 뭐예요|정말이에요|믿기지 않아요"
    ),
    "disgust": _split("으 역겨워|토할 것 같아|우웩|구역질 나|징그러워"),
    "fear": _split("무서워요|소름 끼쳐요|겁나요|아찔해요|덜덜 떨려요"),
}
_SHORT = _split("네 맞아요|그렇죠 뭐|아 그래요|음 그런가요|네 알겠어요|글쎄요|아마 그럴걸요")


def particle(noun: str, with_final: str, without: str) -> str:
    """Return ``noun`` with the particle that fits whether it ends in a consonant."""
    code = ord(noun[-1]) - 0xAC00
    return noun + (with_final if 0 <= code < 11172 and code % 28 else without)


def draw_sentence(
    rng: np.random.Generator, valence: float, *, marker: Marker | None = None
) -> Sentence:
    """Return a sentence of about the wanted valence (1 to 5).

    Parameters
    ----------
    rng
        Chooses the template and the words.
    valence
        Wanted valence; the levels of the phrases scatter around it, and the sentence carries
        their mean, which may be half a point off.
    marker
        An exclamation put in front that gives surprise, disgust or fear away.
    """

    def pick(words: tuple[str, ...]) -> str:
        return words[int(rng.integers(len(words)))]

    wanted = float(np.clip(valence, 1, 5)) - 3
    if marker is None and abs(wanted) < 0.4 and rng.random() < 0.05:
        return Sentence(pick(_SHORT) + ".", 3.0)

    slots = 2 if rng.random() < 0.6 else 3
    levels = _levels(rng, wanted, slots)
    time = pick(_TIMES) + " " if rng.random() < 0.2 else ""
    noun = particle(pick(_NOUNS), "이", "가")
    if slots == 3:
        noun = f"{pick(_MODIFIERS[levels[2]])} {noun}"
    event, feeling = pick(_EVENTS[levels[0]]), pick(_FEELINGS[levels[1]])
    template = rng.random()
    if template < 0.65:
        text = f"{time}{noun} {event} {feeling}."
    elif template < 0.92:
        text = f"{feeling}. {time}{noun} {event}요."
    else:
        whom = particle(pick(_PEOPLE), "이랑", "랑")
        text = f"{whom} {time}얘기했는데 {noun} {event} {feeling}."
    if marker is not None:
        text = f"{pick(_MARKERS[marker])}! {text}"
    elif rng.random() < 0.12:
        text = f"{pick(_OPENERS)} {text}"
    return Sentence(text, 3 + float(np.mean(levels)))


def _levels(rng: np.random.Generator, wanted: float, slots: int) -> list[int]:
    """Return levels that scatter around ``wanted`` and whose mean is near it."""
    total = int(np.clip(np.floor(wanted * slots + rng.random()), -2 * slots, 2 * slots))
    for _ in range(50):
        levels = np.clip(np.rint(rng.normal(wanted, 0.6, slots)), -2, 2).astype(int)
        if int(levels.sum()) == total:
            break
    else:
        low, more = divmod(total, slots)
        levels = np.full(slots, low) + (np.arange(slots) < more)
    return [int(level) for level in levels]
