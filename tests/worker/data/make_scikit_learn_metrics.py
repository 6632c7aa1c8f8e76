#!/usr/bin/env python3
"""Writes scikit_learn_metrics.json: what scikit-learn says of random labels and probabilities, for metrics_golden_test.

    .deps/peers/bin/python tests/worker/data/make_scikit_learn_metrics.py > tests/worker/data/scikit_learn_metrics.json

The expected calibration error, which scikit-learn does not have, is computed here from its definition.
"""
import json
import warnings

import numpy
import sklearn
from sklearn import metrics

warnings.simplefilter("ignore")


def calibration_error(labels, probabilities, bins=15):
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    edges = numpy.linspace(0, 1, bins + 1)
    error = 0.0
    for low, high in zip(edges[:-1], edges[1:]):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            error += inside.mean() * abs(correct[inside].mean() - confidence[inside].mean())
    return error


def macro_roc_auc(labels, probabilities):
    """One against the rest, over the classes for which it is defined."""
    areas = []
    for c in range(probabilities.shape[1]):
        positive = labels == c
        if positive.any() and not positive.all():
            areas.append(metrics.roc_auc_score(positive, probabilities[:, c]))
    return float(numpy.mean(areas)) if areas else 0.5


def case(name, labels, probabilities):
    classes = probabilities.shape[1]
    probabilities = probabilities.astype(numpy.float32)
    exact = probabilities.astype(numpy.float64)
    predicted = exact.argmax(axis=1)
    every = list(range(classes))
    kappa = metrics.cohen_kappa_score(labels, predicted, labels=every)
    expected = {
        "balanced_accuracy": metrics.balanced_accuracy_score(labels, predicted),
        "matthews_correlation": metrics.matthews_corrcoef(labels, predicted),
        "cohen_kappa": 0.0 if numpy.isnan(kappa) else kappa,
        "top_3_accuracy": 1.0 if classes <= 3 else metrics.top_k_accuracy_score(labels, exact, k=3, labels=every),
        "top_5_accuracy": 1.0 if classes <= 5 else metrics.top_k_accuracy_score(labels, exact, k=5, labels=every),
        "mean_reciprocal_rank": metrics.label_ranking_average_precision_score(numpy.eye(classes)[labels], exact),
        "macro_roc_auc": macro_roc_auc(labels, exact),
        "expected_calibration_error": calibration_error(labels, exact),
        # Sums of single-precision probabilities are not exactly 1, which brier_score_loss refuses.
        "brier_score": float(numpy.mean(numpy.sum((exact - numpy.eye(classes)[labels]) ** 2, axis=1)))
        / (2 if classes == 2 else 1),
    }
    normal = exact / exact.sum(axis=1, keepdims=True)
    if classes == 2:
        brier = metrics.brier_score_loss(labels, normal[:, 1])
    else:
        brier = metrics.brier_score_loss(labels, normal, labels=every)
    assert abs(brier - expected["brier_score"]) < 1e-6, (name, brier, expected["brier_score"])
    return {"name": name, "classes": classes, "labels": labels.tolist(), "probabilities": probabilities.ravel().tolist(),
            "expected": expected}


def softmax(values):
    values = numpy.exp(values - values.max(axis=1, keepdims=True))
    return values / values.sum(axis=1, keepdims=True)


def main():
    random = numpy.random.default_rng(1)
    cases = []
    for rows, classes, skill in ((1, 2, 0), (40, 2, 1), (60, 3, 1.5), (50, 4, 0), (90, 7, 2), (120, 12, 3)):
        labels = random.integers(0, classes, rows)
        logits = random.normal(size=(rows, classes)) + skill * numpy.eye(classes)[labels]
        cases.append(case(f"{rows} rows, {classes} classes, skill {skill}", labels, softmax(logits)))
    labels = random.integers(0, 5, 40)
    cases.append(case("a class without rows", labels[labels != 2], softmax(random.normal(size=((labels != 2).sum(), 5)))))
    tied = numpy.round(softmax(random.normal(size=(60, 6))) * 4) / 4
    tied[tied.sum(axis=1) == 0] = 1 / 6
    cases.append(case("ties", random.integers(0, 6, 60), tied / tied.sum(axis=1, keepdims=True)))
    sure = numpy.eye(4)[random.integers(0, 4, 30)]
    cases.append(case("certain of every row", random.integers(0, 4, 30), sure))
    cases.append(case("one class predicted", random.integers(0, 3, 20), numpy.tile([[0.2, 0.5, 0.3]], (20, 1))))
    print(json.dumps({"about": f"scikit-learn {sklearn.__version__}, make_scikit_learn_metrics.py", "cases": cases}))


if __name__ == "__main__":
    main()
