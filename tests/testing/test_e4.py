from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from emoflow.frontends.signals import SignalFeatures, signal_features
from emoflow.testing.e4 import Spoken, write_signals
from tests.testing.signal_files import signal


def test_features_of_the_signals_tell_the_body_of_new_people(tmp_path: Path) -> None:
    """A ridge regression on features of the first utterance in each recording."""
    numbers = list(range(1, 17))
    bodies = np.random.default_rng(0).standard_normal((len(numbers) * 12, 2))
    lines = [
        Spoken(session, script, name, f"Sess{session:02d}_script{script:02d}_{name}_001", start, 3,
               3.0, *bodies[row].tolist())
        for row, (session, script, name, start) in enumerate(
            (session, script, f"User{2 * session - 1 + who:03d}F", 25.0 + 4 * who + script)
            for session in numbers for script in range(1, 7) for who in (0, 1)
        )
    ]  # fmt: skip
    still = [replace(line, tension=0.0, warmth=0.0) for line in lines]
    for planted, written in ((True, lines), (False, still)):
        root = tmp_path / str(planted)
        shown = write_signals(root, np.random.default_rng(1), numbers, written)
        found = [features(root, line) for line in lines]
        known = np.array([f.known for f in found])
        values = np.where(known, [f.values for f in found], np.nan)
        values = values[:, known.any(0)]
        values = np.where(np.isnan(values), np.nanmean(values, 0), values)
        speakers = [line.speaker for line in lines]
        for part in (0, 1):
            seen = shown[:, part]
            assert 0.9 < seen.mean() <= 1
            probe = make_pipeline(StandardScaler(), RidgeCV(np.logspace(0, 3, 7)))
            guess = cross_val_predict(
                probe, values[seen], bodies[seen, part],
                groups=np.array(speakers)[seen], cv=GroupKFold(5),
            )  # fmt: skip
            score = r2_score(bodies[seen, part], guess)
            assert 0.4 < score < 0.75 if planted else score < 0.05
        lost = [u.segment for u, there in zip(lines, shown[:, 1], strict=True) if not there]
        assert len(lost) == len(lines) // 12
        assert not [n for n in lost if list(root.glob(f"TEMP/*/{n.rsplit('_', 1)[0]}.csv"))]


def features(root: Path, line: Spoken) -> SignalFeatures:
    stem = f"Session{line.session:02d}/{line.segment.rsplit('_', 1)[0]}.csv"
    paths = [root / name / stem for name in ("EDA", "IBI", "TEMP")]
    traces = {path.parent.parent.name: signal(path) for path in paths if path.exists()}
    return signal_features(traces, line.start, line.start + line.seconds)
