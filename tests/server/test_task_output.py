# SPDX-License-Identifier: Apache-2.0
"""What tasks print: any bytes, and any amount of them, at no cost to the supervisor's memory."""

from __future__ import annotations

import pytest

from tests.examples.program import HomeOfTest
from tests.server.runs import peak_rss_mb, write

pytestmark = pytest.mark.slow


def test_output_that_is_no_utf_8_is_logged_as_it_came(home: HomeOfTest) -> None:
    file = write(
        home,
        r"""
        def odd():
            os.write(1, b"caf\xe9 \x00\xff\n")
        with Workflow(name="w") as workflow:
            PythonOperator(name="python", python_callable=odd)
            BashOperator(name="bash", bash_command="printf 'caf\\xe9\\n'")
        """,
    )

    finished = home.run(file)

    assert finished.exit_code == 0, finished.text
    assert home.log("w", "python").read_bytes() == b"caf\xe9 \x00\xff\n"
    assert home.log("w", "bash").read_bytes() == b"caf\xe9\n"


@pytest.mark.parametrize("options", [[], ["--quiet"]], ids=["shown", "quiet"])
def test_200_mb_of_output_take_little_memory_and_are_complete(home: HomeOfTest, options: list[str]) -> None:
    file = write(
        home,
        """
        with Workflow(name="w") as workflow:
            flood = BashOperator(name="flood", bash_command="yes 0123456 | head -c 200000000")
            hold = BashOperator(name="hold", bash_command="echo here; until test -e $GO; do sleep 0.02; done")
            hold.start_after(flood)
        """,
    )
    home.variables["GO"] = str(home.scratch / "go")

    with home.running(file, *options) as run:
        home.wait_for_log("w", "hold", "here")
        peak_mb = peak_rss_mb(run.pid)
        (home.scratch / "go").touch()
        finished = run.finish()

    assert finished.exit_code == 0, finished.text[-2000:]
    assert home.log("w", "flood").stat().st_size == 200_000_000
    assert peak_mb < 110
    assert float(finished.execution["duration_s"]) < 30
