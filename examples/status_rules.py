# SPDX-License-Identifier: Apache-2.0
"""Rules on the status of other tasks: start on one, stop on another.

    aiflow run examples/status_rules.py

`import_orders`, `import_prices` and `watch` start at once. `watch` would run for ever, but a rule stops it
as soon as both imports have succeeded. Its being STOPPED starts `summary`. `alarm` waits for a failed
import; there is none, so it never starts.

After about two seconds the execution ends as SUCCESS: a stop that the workflow's own rules ask for is part
of the plan, and so is a task that its rules did not call for.
"""

from ai_flow.model.action import TaskAction
from ai_flow.model.status import TaskStatus
from ai_flow.model.workflow import Workflow
from ai_flow.operators.bash import BashOperator

with Workflow(name="status_rules") as workflow:
    import_orders = BashOperator(name="import_orders", bash_command="sleep 0.5; echo Imported the orders.")
    import_prices = BashOperator(name="import_prices", bash_command="sleep 1; echo Imported the prices.")
    watch = BashOperator(
        name="watch", bash_command="while true; do date +%T >> watched.txt; echo Watching.; sleep 0.2; done"
    )
    summary = BashOperator(name="summary", bash_command='echo "Watched $(wc -l < watched.txt) times."')
    alarm = BashOperator(name="alarm", bash_command="echo An import has failed.")

    watch.action_on_task_status(
        TaskAction.STOP, {import_orders: TaskStatus.SUCCESS, import_prices: TaskStatus.SUCCESS}
    )
    summary.action_on_task_status(TaskAction.START, {watch: TaskStatus.STOPPED})

    # Two rules of one task: either of them is enough.
    alarm.action_on_task_status(TaskAction.START, {import_orders: TaskStatus.FAILED})
    alarm.action_on_task_status(TaskAction.START, {import_prices: TaskStatus.FAILED})
