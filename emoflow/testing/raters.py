"""The hidden moods behind a demo corpus, ten raters who disagree about them, and the ceiling.

The generative process, in the order in which it is drawn:

1. an emotion; given it, arousal and valence (independent, normal, cut to 1…5), and whether
   surprise can be heard and whether a word gives surprise, disgust or fear away;
2. speech, which reveals arousal and the sound of surprise, and nothing of valence; words,
   which reveal valence and the marker word, and nothing of arousal;
3. of all this independently, a body: tension and warmth, two standard normal numbers that stay
   the same throughout a recording. Biosignals reveal them, speech and words nothing of them;
4. ten raters, who judge what can be perceived, each with a bias and noise of their own. They see
   the body, too: somebody tense and cold looks angry, tense and warm happy or surprised, slack
   and cold sad, slack and warm neutral. Their marks of arousal and valence have nothing of it.

The written labels are therefore a noisy function of what speech, words and body reveal, and
what an ideal observer could reach is known: see :func:`ceiling`. That observer reads a body
exactly, and nothing else from biosignals; how dimly these show it, :mod:`emoflow.testing.e4` says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
import numpy.typing as npt

from emoflow.testing.words import Marker

__all__ = ["EMOTIONS", "LABELS", "Moods", "RaterPanel", "Ratings", "ceiling", "draw_moods"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

EMOTIONS = ("neutral", "happy", "surprise", "angry", "sad", "disgust", "fear")
LABELS = ("neutral", "sad", "happy", "surprise", "angry")
"""The five that the ceiling is for, in the order of their class numbers."""
SUBSETS = (
    "speech",
    "text",
    "signals",
    "speech+text",
    "speech+signals",
    "text+signals",
    "speech+text+signals",
)
"""Modalities, as the ceiling's scores name them."""
MARKERS: tuple[Marker, ...] = get_args(Marker)
RATERS = tuple(f"Eval{n:02d}{sex}" for n, sex in enumerate("FMMFMFFMFM", start=1))
"""KEMDy20's ten, as its header names them."""

# Per emotion: share, then mean and spread of arousal, then of valence.
_PROCESS = np.array(
    [
        (0.575, 2.85, 0.55, 3.05, 0.50),
        (0.155, 3.60, 0.60, 4.30, 0.45),
        (0.078, 4.30, 0.45, 3.40, 0.60),
        (0.092, 4.10, 0.50, 1.80, 0.45),
        (0.086, 1.90, 0.50, 1.85, 0.45),
        (0.007, 3.10, 0.45, 1.60, 0.35),
        (0.007, 3.70, 0.45, 1.90, 0.40),
    ]
)
_SOUND = np.array([0.01, 0.03, 0.65, 0.02, 0.0, 0.0, 0.05])
"""P(surprise is heard in the speech | emotion)."""
_WORD = np.array(
    [
        (0.01, 0.0, 0.0),
        (0.03, 0.0, 0.0),
        (0.65, 0.0, 0.0),
        (0.02, 0.02, 0.01),
        (0.01, 0.01, 0.01),
        (0.0, 0.85, 0.0),
        (0.0, 0.0, 0.85),
    ]
)
"""P(a word gives it away | emotion), per marker."""
_TOLERANCE = 0.81
"""How far from an emotion's place in the plane a rater still names it."""
_PREFERENCE = np.array([0.9, 0.0, -2.0, 0.0, 0.0, -2.5, -2.5])
"""Log preference per emotion: raters call little surprise, disgust or fear without a cue."""
_CUE = 2.6
"""What the sound or a word of an emotion adds to its log preference."""
_TILT = np.array(
    [
        (-0.50, 0.50),
        (0.50, 0.50),
        (0.50, 0.50),
        (0.50, -0.50),
        (-0.50, -0.50),
        (0.0, 0.0),
        (0.0, 0.0),
    ]
)
"""What one standard deviation of tension, of warmth, adds to the log preference per emotion."""


@dataclass(frozen=True, slots=True)
class Moods:
    """Hidden moods of n utterances: what the speech, the words and the body reveal."""

    emotion: Ints
    """(n,) number in EMOTIONS."""
    arousal: Floats
    """(n,) 1 to 5, heard in the speech."""
    valence: Floats
    """(n,) 1 to 5, read in the words."""
    sound: npt.NDArray[np.bool_]
    """(n,) whether surprise is heard."""
    word: Ints
    """(n,) 0 for none, else 1 + number in MARKERS."""
    body: Floats
    """(n, 2) tension and warmth in standard deviations, shown by the biosignals."""

    def __len__(self) -> int:
        return len(self.emotion)

    def take(self, rows: Ints | slice) -> Moods:
        """Return the moods of some utterances."""
        return Moods(*(getattr(self, name)[rows] for name in Moods.__slots__))

    def repeat(self, times: int) -> Moods:
        """Return each mood ``times`` times in a row."""
        return self.take(np.repeat(np.arange(len(self)), times))


def draw_moods(rng: np.random.Generator, count: int) -> Moods:
    """Return ``count`` moods drawn from the process, each with a body of its own."""
    emotion = rng.choice(len(EMOTIONS), count, p=_PROCESS[:, 0] / _PROCESS[:, 0].sum())
    return _draw_given(rng, emotion.astype(np.int64))


def _draw_given(rng: np.random.Generator, emotion: Ints) -> Moods:
    _, mean_a, spread_a, mean_v, spread_v = _PROCESS[emotion].T
    arousal = np.clip(rng.normal(mean_a, spread_a), 1, 5)
    valence = np.clip(rng.normal(mean_v, spread_v), 1, 5)
    sound = rng.random(len(emotion)) < _SOUND[emotion]
    word = (rng.random(len(emotion))[:, None] > _WORD.cumsum(1)[emotion]).sum(1)
    body = rng.standard_normal((len(emotion), 2))
    return Moods(emotion, arousal, valence, sound, (word + 1) % (len(MARKERS) + 1), body)


@dataclass(frozen=True, slots=True)
class Ratings:
    """What ten raters said of n utterances."""

    emotion: Ints
    """(n, rater) number in EMOTIONS."""
    arousal: Ints
    """(n, rater) 1 to 5."""
    valence: Ints
    """(n, rater) 1 to 5."""

    def take(self, rows: Ints | slice) -> Ratings:
        """Return the ratings of some utterances."""
        return Ratings(self.emotion[rows], self.arousal[rows], self.valence[rows])

    def votes(self) -> Ints:
        """Return votes per emotion, (n, 7)."""
        return np.stack([(self.emotion == k).sum(1) for k in range(len(EMOTIONS))], axis=1)

    def winners(self) -> Ints:
        """Return the single winner per utterance, -1 for a tie."""
        votes = self.votes()
        tied = (votes == votes.max(1, keepdims=True)).sum(1) > 1
        return np.where(tied, -1, votes.argmax(1))

    def means(self) -> tuple[Floats, Floats]:
        """Return mean arousal and mean valence with one decimal."""
        return self.arousal.mean(1).round(1), self.valence.mean(1).round(1)


@dataclass(frozen=True, slots=True)
class RaterPanel:
    """Ten raters: their biases, and how they judge."""

    arousal_bias: Floats
    valence_bias: Floats
    emotion_bias: Floats
    """(rater, 7) in log preference."""
    noise: float = 0.9
    """Spread of one judgement of arousal or valence."""

    @classmethod
    def draw(cls, rng: np.random.Generator) -> RaterPanel:
        """Return a panel of raters unlike each other."""
        n = len(RATERS)
        return cls(
            rng.normal(0, 0.3, n), rng.normal(0, 0.3, n), rng.normal(0, 0.3, (n, len(EMOTIONS)))
        )

    def rate(self, moods: Moods, rng: np.random.Generator) -> Ratings:
        """Return what every rater says of every utterance."""
        draw = rng.random((len(moods), len(RATERS)), dtype=np.float32)
        return Ratings(
            self._name(moods, draw),
            self._mark(moods.arousal, self.arousal_bias, rng),
            self._mark(moods.valence, self.valence_bias, rng),
        )

    def preferences(self, moods: Moods) -> npt.NDArray[np.float32]:
        """Return P(rater names emotion | what is perceived), (n, rater, 7)."""
        _, mean_a, _, mean_v, _ = _PROCESS.T
        distance = (moods.arousal[:, None] - mean_a) ** 2 + (moods.valence[:, None] - mean_v) ** 2
        score = _PREFERENCE - distance / (2 * _TOLERANCE**2)
        surprise = EMOTIONS.index("surprise")
        score[:, surprise] += _CUE * moods.sound
        for number, marker in enumerate(MARKERS, start=1):
            score[:, EMOTIONS.index(marker)] += _CUE * (moods.word == number)
        score += moods.body @ _TILT.T
        likely = np.exp(score - score.max(1, keepdims=True)).astype(np.float32)
        full = likely[:, None, :] * np.exp(self.emotion_bias).astype(np.float32)
        return np.asarray(full / full.sum(2, keepdims=True), dtype=np.float32)

    def _name(self, moods: Moods, draw: npt.NDArray[np.float32]) -> Ints:
        """Return the emotion that each rater names, (n, rater), from uniform numbers."""
        cumulative = self.preferences(moods).cumsum(2)
        named = (draw[:, :, None] > cumulative).sum(2)
        return np.asarray(np.minimum(named, len(EMOTIONS) - 1), np.int64)

    def _mark(self, value: Floats, bias: Floats, rng: np.random.Generator) -> Ints:
        noise = rng.normal(0, self.noise, (len(value), len(bias)))
        return np.clip(np.rint(value[:, None] + bias + noise), 1, 5).astype(np.int64)


def ceiling(
    moods: Moods,
    panel: RaterPanel,
    written: Ratings,
    rng: np.random.Generator,
    shown: npt.NDArray[np.bool_] | None = None,
) -> dict[str, dict[str, float]]:
    """Return, per subset of modalities, what an ideal observer scores on the written labels.

    The observer knows the process and the raters' biases, and of each utterance exactly what
    the subset reveals: arousal and the sound of surprise from speech, valence and marker words
    from text, tension and warmth from signals. What stays hidden is drawn from its distribution
    given what is known (through the posterior of the emotion; the body on its own), a panel rates
    each draw, and the shares of the winners are the posterior of the label; the mean marks are
    those of arousal and valence. Each metric then gets the decision that is best for *it*, chosen
    from the posterior alone: the most probable label for ``accuracy``; the posterior over the
    prior for ``uar``; in between, by expected score, for ``macro_f1`` and ``weighted_f1``; the
    posterior mean for ``rmse_*``; the same, stretched to the spread of the labels, for ``ccc_*``.
    So a net can beat the ceiling by luck on few utterances, not by skill.

    Emotion is scored where one of the five LABELS won alone, arousal and valence everywhere.

    Parameters
    ----------
    moods, panel, written
        What there was to perceive, who rated it, and what they said.
    rng
        For the draws. A subset with signals has the same ones as the subset without.
    shown
        (n, 2) whether the utterance's signals show tension, and warmth; by default they do. What
        they do not show stays hidden, so that signals that show nothing change no score.
    """
    if shown is None:
        shown = np.ones((len(moods), 2), bool)
    winner = written.winners()
    number = np.array([LABELS.index(e) if e in LABELS else -1 for e in EMOTIONS])
    label = np.where(winner < 0, -1, number[winner])
    keep = label >= 0
    arousal, valence = written.means()
    seed = int(rng.integers(2**32))
    scores: dict[str, dict[str, float]] = {}
    for subset in SUBSETS:
        posterior, mean_a, mean_v = _imagine(moods, panel, subset, shown, seed)
        scores[subset] = {
            **_classification(label[keep], posterior[keep]),
            **_regression(arousal, *mean_a, "arousal"),
            **_regression(valence, *mean_v, "valence"),
        }
    return scores


_Imagined = tuple[Floats, tuple[Floats, float], tuple[Floats, float]]
"""The posterior (n, 5), and mean and expected variance of arousal and of valence."""


def _imagine(
    moods: Moods, panel: RaterPanel, subset: str, shown: npt.NDArray[np.bool_], seed: int
) -> _Imagined:
    if subset == "signals":  # one body per recording, so each gets the more draws
        _, first, back = np.unique(
            np.c_[shown, moods.body * shown], axis=0, return_index=True, return_inverse=True
        )
        posterior, *marks = _drawn(moods.take(first), panel, subset, shown[first], seed, 2000)
        # Bodies say nothing of arousal and valence: what differs between them is the draws'.
        mean_a, mean_v = ((np.full(len(moods), mean.mean()), spread) for mean, spread in marks)
        return posterior[back.ravel()], mean_a, mean_v
    return _drawn(moods, panel, subset, shown, seed, 256)


def _drawn(
    moods: Moods,
    panel: RaterPanel,
    subset: str,
    shown: npt.NDArray[np.bool_],
    seed: int,
    most: int,
) -> _Imagined:
    known = set(subset.split("+"))
    rng = np.random.default_rng([seed, "speech" in known, "text" in known])
    draws = int(np.clip(120_000 // max(len(moods), 1), 48, most))
    posterior = np.empty((len(moods), len(LABELS)))
    marks = np.empty((2, len(moods)))
    variance = np.zeros(2)
    order = [EMOTIONS.index(name) for name in LABELS]
    step = max(1, 24_000 // draws)
    for start in range(0, len(moods), step):
        part = slice(start, min(start + step, len(moods)))
        full = _complete(moods.take(part), known, shown[part], draws, rng)
        ratings = panel.rate(full, rng)
        count = len(full) // draws
        winners = ratings.winners().reshape(count, draws)
        shares = np.stack([(winners == k).mean(1) for k in order], axis=1) + 0.02 / draws
        posterior[part] = shares / shares.sum(1, keepdims=True)
        for row, values in enumerate(ratings.means()):
            marks[row, part] = values.reshape(count, draws).mean(1)
            variance[row] += values.reshape(count, draws).var(1).sum()
    variance /= max(len(moods), 1)
    return posterior, (marks[0], float(variance[0])), (marks[1], float(variance[1]))


def _complete(
    moods: Moods,
    known: set[str],
    shown: npt.NDArray[np.bool_],
    draws: int,
    rng: np.random.Generator,
) -> Moods:
    """Return ``draws`` full moods per utterance, what is hidden drawn given the rest."""
    share, mean_a, spread_a, mean_v, spread_v = _PROCESS.T
    speech, text = "speech" in known, "text" in known
    weight = np.tile(share, (len(moods), 1))
    if speech:
        z = (moods.arousal[:, None] - mean_a) / spread_a
        heard = np.where(moods.sound[:, None], _SOUND, 1 - _SOUND)
        weight *= heard * np.exp(-0.5 * z**2) / spread_a
    if text:
        z = (moods.valence[:, None] - mean_v) / spread_v
        words = np.concatenate([1 - _WORD.sum(1, keepdims=True), _WORD], axis=1)
        weight *= words.T[moods.word] * np.exp(-0.5 * z**2) / spread_v
    cumulative = (weight / weight.sum(1, keepdims=True)).cumsum(1).repeat(draws, axis=0)
    emotion = np.minimum((rng.random((len(cumulative), 1)) > cumulative).sum(1), len(EMOTIONS) - 1)
    full, hidden = moods.repeat(draws), _draw_given(rng, emotion)
    seen = shown.repeat(draws, axis=0) & ("signals" in known)
    return Moods(
        emotion,
        full.arousal if speech else hidden.arousal,
        full.valence if text else hidden.valence,
        full.sound if speech else hidden.sound,
        full.word if text else hidden.word,
        np.where(seen, full.body, hidden.body),
    )


def _classification(truth: Ints, posterior: Floats) -> dict[str, float]:
    if not len(truth):
        return {}
    prior = posterior.mean(0)
    names: Sequence[str] = ("macro_f1", "uar", "accuracy", "weighted_f1")
    tempers = {"accuracy": (0.0,), "uar": (1.0,)}
    found = {}
    for name in names:
        best = (-1.0, 0.0)
        for temper in tempers.get(name, tuple(np.linspace(0, 1, 11))):
            decision = (posterior / prior**temper).argmax(1)
            expected = np.stack([posterior[decision == k].sum(0) for k in range(len(prior))], 1)
            best = max(best, (_score(expected)[name], float(temper)))
        decision = (posterior / prior ** best[1]).argmax(1)
        counts = np.zeros((len(prior), len(prior)))
        np.add.at(counts, (truth, decision), 1)
        found[name] = _score(counts)[name]
    return found


def _score(counts: Floats) -> dict[str, float]:
    """Return the scores of a (true, decided) table of counts."""
    right, true, decided = counts.diagonal(), counts.sum(1), counts.sum(0)
    f1 = 2 * right / np.maximum(true + decided, 1e-12)
    return {
        "macro_f1": float(f1.mean()),
        "uar": float((right / np.maximum(true, 1e-12))[true > 0].mean()),
        "accuracy": float(right.sum() / counts.sum()),
        "weighted_f1": float((f1 * true).sum() / true.sum()),
    }


def _regression(truth: Floats, mean: Floats, variance: float, target: str) -> dict[str, float]:
    spread = np.sqrt((mean.var() + variance) / max(mean.var(), 1e-12))
    stretched = mean.mean() + (mean - mean.mean()) * spread
    covariance = ((truth - truth.mean()) * (stretched - stretched.mean())).mean()
    below = truth.var() + stretched.var() + (truth.mean() - stretched.mean()) ** 2
    return {
        f"rmse_{target}": float(np.sqrt(np.mean((truth - mean) ** 2))),
        f"ccc_{target}": float(2 * covariance / below) if mean.var() > 1e-12 else 0.0,
    }
