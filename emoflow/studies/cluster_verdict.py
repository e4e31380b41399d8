"""The verdict on a signal, in sentences with the numbers they rest on."""

from __future__ import annotations

from emoflow.studies.cluster import ClusterStudy
from emoflow.studies.cluster_relation import Relation

__all__ = ["RELATION_P", "SMALLEST_EFFECT", "STRUCTURE_P", "is_related", "p_text", "verdict"]

STRUCTURE_P = 0.05
RELATION_P = 0.01
SMALLEST_EFFECT = 0.1
_CLEARLY = 0.05  # of a silhouette


def is_related(relation: Relation | None) -> bool:
    """Whether an effect is beyond chance and large enough to matter."""
    return relation is not None and relation.p <= RELATION_P and relation.largest >= SMALLEST_EFFECT


def verdict(study: ClusterStudy) -> list[str]:
    """Return sentences: structure, emotion, arousal and valence, what follows."""
    return [_structure(study), _emotion(study), *_values(study), _conclusion(study)]


def decimals(value: float) -> str:
    """Return a number without the zero before its point, ``.41``."""
    text = f"{value:.2f}"
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text


def p_text(p: float) -> str:
    """Return ``p = .300``."""
    return f"p = {p:.3f}".replace("0.", ".", 1) if p >= 0.0005 else "p < .001"


def _structure(study: ClusterStudy) -> str:
    found = study.structure
    low, high = found.walks_best.min(), found.walks_best.max()
    part = f" on {found.series} of the series" if found.series < len(study.ready) else ""
    numbers = (
        f"silhouette {decimals(found.silhouette)}{part}, of random walks {decimals(low)} to "
        f"{decimals(high)}, {p_text(found.p)}"
    )
    start = f"{study.options.signal} falls into {study.best.k} shapes, "
    if found.p <= STRUCTURE_P:
        just = "only just " if found.silhouette < found.walks_best.mean() + _CLEARLY else ""
        return f"{start}{just}more distinct than random walks with the same steps ({numbers})."
    return f"{start}no more distinct than random walks with the same steps are ({numbers})."


def _emotion(study: ClusterStudy) -> str:
    relation = study.emotion
    if relation is None:
        only = study.known.labels
        what = f"there is one emotion only, {only[0]}" if only else "no emotion is known"
        return f"Whether the shapes go with emotion cannot be told: {what}."
    k = study.numbers[relation.place]
    size = f"Cramér's V {decimals(relation.largest)} with {k} shapes, {p_text(relation.p)}"
    if is_related(relation):
        return f"The shapes go with emotion ({size})."
    if relation.p <= RELATION_P:
        return f"The shapes go with emotion, but too little to be of use ({size})."
    if relation.movable == 0:
        return (
            f"Whether the shapes go with emotion cannot be told apart from who is speaking: every "
            f"{study.known.grouped_by or 'group'} has one emotion only ({size})."
        )
    least = max(relation.needed, SMALLEST_EFFECT)
    return (
        f"No relation of the shapes with emotion was found beyond chance and each speaker's own "
        f"ways ({size}; a V from about {decimals(least)} on would have been)."
    )


def _values(study: ClusterStudy) -> list[str]:
    found = []
    told = [study.emotion, *(study.values.get(name) for name in ("arousal", "valence"))]
    for name, relation in study.values.items():
        size = f"correlation ratio {decimals(relation.largest)}, {p_text(relation.p)}"
        if name != "duration":
            start = "The shapes go" if is_related(relation) else "No relation was found"
            found.append(f"{start} with {name} ({size}).")
        elif is_related(relation):
            but = ": it may be the length that tells" if any(map(is_related, told)) else ""
            found.append(f"The shapes go with how long the utterance is ({size}){but}.")
    return found


def _conclusion(study: ClusterStudy) -> str:
    options = study.options
    signal = options.signal
    where = "within an utterance" if options.window is None else f"over {options.window:g} seconds"
    what = "course" if options.scale == "none" else "shape"
    if is_related(study.emotion):
        if study.structure.p <= STRUCTURE_P:
            return (
                f"Verdict: {signal}'s {what} {where} tells something of emotion here; give it to a "
                "net, and compare runs with and without it."
            )
        return (
            f"Verdict: {signal}'s {what} {where} tells something of emotion here, though it has no "
            "types of its own; give it to a net as features, and compare runs with and without it."
        )
    rated = [name for name in ("arousal", "valence") if is_related(study.values.get(name))]
    if rated:
        return (
            f"Verdict: {signal}'s {what} {where} tells no emotion here, but something of "
            f"{' and '.join(rated)}; it may help a regressor, compare runs with and without it."
        )
    if study.emotion is None and not set(study.values) & {"arousal", "valence"}:
        return f"Verdict: none, there is nothing to compare {signal} with."
    longer = ", or use features of a longer window" if (options.window or 0) < 60 else ""
    return f"Verdict: nothing in {signal}'s {what} {where} tells emotion here; keep it out{longer}."
