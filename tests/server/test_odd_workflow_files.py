# SPDX-License-Identifier: Apache-2.0
"""Workflow files that other tools choke on: callables that cannot be pickled, and graphs that change."""

from __future__ import annotations

import pytest

from tests.examples.program import HomeOfTest
from tests.server.runs import task_of, write

pytestmark = pytest.mark.slow


def test_any_callable_works_because_the_file_is_executed_again(home: HomeOfTest) -> None:
    file = write(
        home,
        """
        import threading
        lock = threading.Lock()  # no pickler takes it
        def closure(text):
            def tell():
                with lock:
                    print(text)
            return tell
        def local_method():
            class Local:
                def tell(self):
                    print("method")
            return Local().tell
        with Workflow(name="w") as workflow:
            PythonOperator(name="lambda", python_callable=lambda: print("lambda"))
            PythonOperator(name="closure", python_callable=closure("closure"))
            PythonOperator(name="method", python_callable=local_method())
            PythonOperator(name="main", python_callable=lambda: print(__name__, os.path.basename(__file__)))
        """,
    )

    finished = home.run(file)

    assert finished.exit_code == 0, finished.text
    for task in ("lambda", "closure", "method"):
        assert finished.log(task) == f"{task}\n"


def test_a_graph_that_differs_at_each_execution_is_a_clear_failure(home: HomeOfTest) -> None:
    file = write(
        home,
        """
        import uuid
        with Workflow(name="w") as workflow:
            PythonOperator(name=f"task_{uuid.uuid4().hex}", python_callable=print)
            PythonOperator(name="steady", python_callable=print)
        """,
    )

    finished = home.run(file)

    assert finished.exit_code == 1
    (task, *_) = finished.execution["tasks"]
    assert task["status"] == "FAILED"
    assert "executing the workflow file again gave something else" in str(task["reason"])
    assert task_of(finished, "steady")
