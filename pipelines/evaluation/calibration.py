"""Human labels -> how often a judge is right, and the rate of passes that its errors leave behind.

Invariants: an answer that a judge gave no verdict on counts as failed, never as right or wrong; a rate is corrected
only by a judge that is better than chance. Limits: the labelled answers must be of the same kind as those judged, or
sensitivity and specificity are those of something else; judge errors are taken as independent of one another.
"""

from collections.abc import Sequence

import numpy as np

from pipelines.contracts import Contract
from pipelines.errors import JudgeError
from pipelines.evaluation.measure import Rate, rate_of


class Calibration(Contract):
    """How a judge does on answers that people labelled."""

    sensitivity: Rate
    """Share that it passes of the answers that people passed."""
    specificity: Rate
    """Share that it fails of the answers that people failed."""
    agreement: Rate
    failed: int
    """Labelled answers without a verdict; in no rate."""
    chance_p_value: float
    """One-sided, for verdicts that have nothing to do with the labels: Fisher's exact test."""


def calibrate(verdicts: Sequence[bool | None], labels: Sequence[bool], confidence: float) -> Calibration:
    """Sensitivity and specificity with Clopper-Pearson intervals, from verdicts and labels in the same order.

    Raises JudgeError when no judged answer has one of the two labels.
    """
    from scipy.stats import hypergeom

    judged = [(verdict, label) for verdict, label in zip(verdicts, labels, strict=True) if verdict is not None]
    good = [verdict for verdict, label in judged if label]
    bad = [verdict for verdict, label in judged if not label]
    if not good or not bad:
        wanting = "pass" if not good else "fail"
        raise JudgeError(
            f"No judged answer is labelled {wanting!r} ({len(judged)} of {len(labels)} labelled ones have a verdict): "
            "sensitivity needs answers that people passed, specificity answers that they failed. Label some of each."
        )
    passed = sum(good) + sum(bad)
    return Calibration(
        sensitivity=_rate(good, confidence),
        specificity=_rate([not verdict for verdict in bad], confidence),
        agreement=_rate([verdict == label for verdict, label in judged], confidence),
        failed=len(labels) - len(judged),
        chance_p_value=float(hypergeom.sf(sum(good) - 1, len(judged), len(good), passed)),
    )


def corrected(share: float, n: float, calibration: Calibration, confidence: float) -> Rate:
    """The true rate of passes behind the share that a judge passed of n answers.

    Value: Rogan & Gladen 1978, "Estimating prevalence from the results of a screening test":
    (share + specificity - 1) / (sensitivity + specificity - 1), cut to 0..1. Interval: Lang & Reiczigel 2014,
    "Confidence limits for prevalence of disease adjusted for estimated sensitivity and specificity", which carries
    the uncertainty of all three (tests/evaluation/test_calibration.py simulates its coverage).
    Raises JudgeError for a judge no better than chance: sensitivity + specificity is 1 or less.
    """
    from scipy.special import ndtri

    right, wrong = calibration.sensitivity, calibration.specificity
    if right.value + wrong.value <= 1:
        raise JudgeError(
            f"The judge is no better than chance: sensitivity {right.value:.2f} and specificity {wrong.value:.2f} "
            "add up to 1 or less, so its verdicts say nothing about the true rate. Use another judge or rubric."
        )
    z = float(ndtri(1 - (1 - confidence) / 2))
    value = (share + wrong.value - 1) / (right.value + wrong.value - 1)
    n_seen, n_se, n_sp = n + z * z, right.n + 2, wrong.n + 2  # successes and failures added to each, as Agresti & Coull
    seen = (n * share + z * z / 2) / n_seen
    se, sp = (right.n * right.value + 1) / n_se, (wrong.n * wrong.value + 1) / n_sp
    beyond_chance = se + sp - 1
    if beyond_chance <= 0:
        raise JudgeError("The judge cannot be told from chance with so few labels. Label more answers.")
    centre = (seen + sp - 1) / beyond_chance
    of_se, of_sp = se * (1 - se) / n_se, sp * (1 - sp) / n_sp
    shift = 2 * z * z * (centre * of_se - (1 - centre) * of_sp)
    spread = float(np.sqrt(seen * (1 - seen) / n_seen + centre**2 * of_se + (1 - centre) ** 2 * of_sp))
    half = z * spread / beyond_chance
    low, high, value = (float(np.clip(x, 0, 1)) for x in (centre + shift - half, centre + shift + half, value))
    return Rate(value=value, low=min(low, value), high=max(high, value), n=n)


def _rate(hits: Sequence[bool], confidence: float) -> Rate:
    found = rate_of([float(hit) for hit in hits], confidence, exact=True)
    assert found is not None  # neither label is missing
    return found
