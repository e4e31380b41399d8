"""Biosignals to features of utterances: heart, skin conductance, skin temperature.

Made for wristbands (EDA and temperature at 4 Hz, pulse at 64 Hz) and electrocardiograms at any
rate. Whatever the readings are, the features are finite numbers with a mask.
"""

from emoflow.frontends.signals.extract import SignalFeatures, signal_features
from emoflow.frontends.signals.inputs import (
    SignalFeatureInput,
    SignalReadings,
    SignalReadingsInput,
)
from emoflow.frontends.signals.options import SignalOptions
from emoflow.frontends.signals.table import FEATURES, SIGNALS, SKIN_BANDS, SignalFeature
from emoflow.traces import SignalTrace

__all__ = [
    "FEATURES",
    "SIGNALS",
    "SKIN_BANDS",
    "SignalFeature",
    "SignalFeatureInput",
    "SignalFeatures",
    "SignalOptions",
    "SignalReadings",
    "SignalReadingsInput",
    "SignalTrace",
    "signal_features",
]
