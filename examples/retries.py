# SPDX-License-Identifier: Apache-2.0
"""Tasks that are tried again, do not run for too long, and take parameters.

    aiflow run examples/retries.py --param failures=2 --param city=Lisbon

`download` fails as often as the parameter `failures` says (once, if nothing does). Up to three more tries
follow, 0.2 s after the first, then with twice the delay each. `convert` hangs in its first try; after a
second that try is ended and counts as failed, and the second succeeds. Both then let `greet` start, which
prints the parameter `city`. Between tries a task is RETRYING, which no rule mistakes for FAILED, and every
try after the first has a log of its own: `1.log`, `1.2.log`, ...

It takes about two seconds. With `--param failures=4` the tries do not suffice: the task and the execution are
FAILED, and the exit code is 1.
"""

import os

from ai_flow.model.internal.contexts import get_runtime_task_context
from ai_flow.model.workflow import Workflow
from ai_flow.operators.bash import BashOperator
from ai_flow.operators.python import PythonOperator


def download() -> None:
    """Fail in the first tries, as downloads do."""
    context = get_runtime_task_context()
    assert context is not None
    failures = int(context.params.get("failures", "1"))
    this_try = int(os.environ["AIFLOW_TRY_NUMBER"])
    print(f"This is try {this_try}.")
    if this_try <= failures:
        raise ConnectionError(f"The network went away in try {this_try}.")


with Workflow(name="retries") as workflow:
    download_task = PythonOperator(
        name="download",
        python_callable=download,
        retries=3,
        retry_delay=0.2,
        retry_backoff=2,
        retry_max_delay=10,
    )
    convert = BashOperator(
        name="convert",
        bash_command='[ "$AIFLOW_TRY_NUMBER" = 1 ] && sleep 60; echo "Converted in $FORMAT."',
        retries=1,
        timeout=1,
        env={"FORMAT": "parquet"},
    )
    # Parameters are variables of a Bash task.
    greet = BashOperator(name="greet", bash_command='echo "Hello, ${AIFLOW_PARAM_city:-world}."')

    greet.start_after([download_task, convert])
