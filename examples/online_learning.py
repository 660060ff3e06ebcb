# SPDX-License-Identifier: Apache-2.0
"""Online learning: streaming tasks and batch tasks in one workflow, held together by events.

    pip install 'aiflow[example_requires]'
    aiflow run examples/online_learning.py

The data are the 1,797 handwritten digits that come with scikit-learn.

- `preprocess` streams: it scales the next batch of digits, puts it beside the earlier ones, sends
  `batch_ready`, and goes on with the next.
- `train` starts at each `batch_ready` and fits a classifier to all that has come so far. While one runs, the
  event starts no second one: the next training takes in what this one missed.
- `validate` starts after each success of `train`. It sends `model_validated` unless the model does clearly
  worse than the deployed one.
- `deploy` starts at `model_validated`, moves the model to where models serve, and sends `model_deployed`.
- `predict` streams: it listens to `model_deployed` and predicts with each new model. After the third it sends
  `served_enough`, on which rules stop both streaming tasks.

So the execution ends as SUCCESS, after about five seconds. The predictions are in the file `predictions.txt`
in `$AIFLOW_HOME/working_dir/online_learning/<execution id>/online_learning/`.
"""

import contextlib
import os
import queue
import shutil
import time
from collections.abc import Iterator

import joblib
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from ai_flow.model.action import TaskAction
from ai_flow.model.workflow import Workflow
from ai_flow.notification.notification_client import AIFlowNotificationClient, Event, ListenerProcessor
from ai_flow.operators.python import PythonOperator

BATCH_READY = "batch_ready"
MODEL_VALIDATED = "model_validated"
MODEL_DEPLOYED = "model_deployed"
SERVED_ENOUGH = "served_enough"

#: The address of a notification server; inside `aiflow run` there need not be one.
NOTIFICATION_SERVER = "localhost:50052"

HERE = os.path.dirname(__file__)
TRAINING_DATA = os.path.join(HERE, "training_data.npz")
TRAINED_MODEL = os.path.join(HERE, "trained.joblib")
VALIDATED_MODEL = os.path.join(HERE, "validated.joblib")
DEPLOYED_MODEL = os.path.join(HERE, "deployed.joblib")
PREDICTIONS = os.path.join(HERE, "predictions.txt")

FIRST_BATCH = 60
BATCH = 200
FOR_VALIDATION = 400
MODELS_TO_SERVE = 3
#: How much worse than the deployed model a new one may be: less is chance, with so few digits.
TOLERATED_LOSS = 0.03


def preprocess() -> None:
    """Scale digits batch by batch, until somebody stops it."""
    images, labels = _digits()
    images, labels = images[FOR_VALIDATION:], labels[FOR_VALIDATION:]
    with AIFlowNotificationClient(NOTIFICATION_SERVER) as client:
        known = FIRST_BATCH
        while True:
            with _replacing(TRAINING_DATA) as path:
                np.savez(path, images=images[:known], labels=labels[:known])
            print(f"{known} digits are ready.")
            client.send_event(key=BATCH_READY, value=str(known))
            known = min(known + BATCH, len(images))
            time.sleep(1)


def train() -> None:
    """Fit a classifier to the digits so far."""
    with np.load(TRAINING_DATA) as data:
        images, labels = data["images"], data["labels"]
    model = LogisticRegression(max_iter=200).fit(images, labels)
    with _replacing(TRAINED_MODEL) as path:
        joblib.dump(model, path)
    print(f"Trained with {len(labels)} digits.")


def validate() -> None:
    """Compare the new model with the deployed one."""
    images, labels = _digits()
    images, labels = images[:FOR_VALIDATION], labels[:FOR_VALIDATION]
    model = joblib.load(TRAINED_MODEL)
    accuracy = model.score(images, labels)
    print(f"The new model is right in {accuracy:.1%} of the cases.")
    if os.path.exists(DEPLOYED_MODEL):
        deployed = joblib.load(DEPLOYED_MODEL).score(images, labels)
        if accuracy < deployed - TOLERATED_LOSS:
            print(f"The deployed one is better: {deployed:.1%}.")
            return
    with _replacing(VALIDATED_MODEL) as path:
        joblib.dump(model, path)
    with AIFlowNotificationClient(NOTIFICATION_SERVER) as client:
        client.send_event(key=MODEL_VALIDATED, value=f"{accuracy:.3f}")


def deploy() -> None:
    """Let the validated model serve."""
    with _replacing(DEPLOYED_MODEL) as path:
        shutil.copy(VALIDATED_MODEL, path)
    with AIFlowNotificationClient(NOTIFICATION_SERVER) as client:
        client.send_event(key=MODEL_DEPLOYED, value=DEPLOYED_MODEL)


class NewModels(ListenerProcessor):
    """Hands the events of the listener's thread over to the task."""

    def __init__(self) -> None:
        self.paths: queue.Queue[str] = queue.Queue()

    def process(self, events: list[Event]) -> None:
        for event in events:
            self.paths.put(event.value or "")


def predict() -> None:
    """Predict with every newly deployed model, until somebody stops it."""
    images, labels = _digits()
    new_models = NewModels()
    with AIFlowNotificationClient(NOTIFICATION_SERVER) as client:
        client.register_listener(new_models, event_keys=[MODEL_DEPLOYED])
        served = 0
        while True:
            model = joblib.load(new_models.paths.get())
            served += 1
            right = int(np.sum(model.predict(images) == labels))
            with open(PREDICTIONS, "a", encoding="utf-8") as file:
                file.write(f"model {served}: {right} of {len(labels)} digits are right\n")
            if served == MODELS_TO_SERVE:
                client.send_event(key=SERVED_ENOUGH)


def _digits() -> tuple[np.ndarray, np.ndarray]:
    images, labels = load_digits(return_X_y=True)
    return images / 16, labels


@contextlib.contextmanager
def _replacing(path: str) -> Iterator[str]:
    """Write to the path given, then let it take the place of ``path``: no task ever reads half a file."""
    new = os.path.join(HERE, "new_" + os.path.basename(path))
    yield new
    os.replace(new, path)


with Workflow(name="online_learning") as workflow:
    preprocess_task = PythonOperator(name="preprocess", python_callable=preprocess)
    train_task = PythonOperator(name="train", python_callable=train)
    validate_task = PythonOperator(name="validate", python_callable=validate)
    deploy_task = PythonOperator(name="deploy", python_callable=deploy)
    predict_task = PythonOperator(name="predict", python_callable=predict)

    train_task.action_on_event_received(TaskAction.START, BATCH_READY)
    validate_task.start_after(train_task)
    deploy_task.action_on_event_received(TaskAction.START, MODEL_VALIDATED)
    for streaming_task in (preprocess_task, predict_task):
        streaming_task.action_on_event_received(TaskAction.STOP, SERVED_ENOUGH)
