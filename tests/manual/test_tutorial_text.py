# SPDX-License-Identifier: Apache-2.0
"""The manual's tutorial (3.1): an online machine learning workflow that never ends by itself.

Its data set, images of digits, is made of the smaller ones that come with scikit-learn.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest

from tests.examples.program import HomeOfTest, interrupted
from tests.manual.typing_in import type_in

pytestmark = pytest.mark.slow


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A directory with the three files that the tutorial reads.

    There is little to predict and much to train: a listener hears what comes after it was registered, so
    ``predicting`` must be ready before the first model is deployed, as it is with the tutorial's own data.
    """
    numpy = pytest.importorskip("numpy", reason="needs the extra example_requires")
    datasets = pytest.importorskip("sklearn.datasets", reason="needs the extra example_requires")
    if tuple(map(int, version("scikit-learn").split(".")[:2])) >= (1, 10):
        pytest.skip("scikit-learn 1.10 has removed the argument `penalty`, which the text uses")
    digits = datasets.load_digits()
    folder = tmp_path / "dataset"
    folder.mkdir()
    parts = {
        "train": numpy.tile(numpy.arange(0, len(digits.target), 2), 15),
        "evaluate": numpy.arange(1, len(digits.target), 2),
        "predict": numpy.arange(20),
    }
    for name, rows in parts.items():
        numpy.savez(folder / f"mnist_{name}.npz", x_train=digits.images[rows], y_train=digits.target[rows])
    return folder


def test_3_1_the_model_is_trained_validated_deployed_and_predicts(
    home: HomeOfTest, tmp_path: Path, dataset: Path
) -> None:
    file = type_in("3.1-online_ml_workflow", tmp_path / "online_ml_workflow.py")
    result = home.working_dir("online_machine_learning", "online_ml_workflow") / "tmp" / "predict_result"

    with home.running(file, "--files", str(dataset)) as running:
        running.wait_for(lambda: result.exists() and result.read_text().endswith("]\n"), limit_s=60)
        finished = interrupted(running)

    model = result.read_text().partition("model [")[2].partition("]")[0]
    assert model.startswith(str(result.parent / "deployed_models"))
    assert finished.statuses == {
        "pre_processing": "STOPPED",
        "training": "SUCCESS",
        "validating": "SUCCESS",
        "deploying": "SUCCESS",
        "predicting": "STOPPED",
    }
    assert (
        "Generate the 1st model with score" in home.log("online_machine_learning", "validating").read_text()
    )
