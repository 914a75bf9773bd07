"""Timeouts that recovery waits for, and retry policies. The protocol in ``docs/architecture.md`` gives the reasons."""

from datetime import timedelta

from temporalio.common import RetryPolicy

WORKFLOW_TASK = timedelta(seconds=5)
"""A worker that dies with a workflow task costs this long. Set again at continue-as-new."""

STEP = timedelta(seconds=10)
"""One try of a local activity: a transaction in Postgres."""
STEP_HERE = timedelta(seconds=0.5)
"""A longer wait between two tries is a timer of the server's: whoever takes the workflow then makes the next one. This
host may be the only one that cannot reach Postgres."""

LAUNCH = timedelta(seconds=60)
LAUNCH_HEARTBEAT = timedelta(seconds=3)
CALL_OFF = timedelta(seconds=5)
"""What a launch may still take when nobody wishes it any more; one that does not succeed is called off then."""

RECEIVE = timedelta(seconds=10)
"""How long a host that a session is to move to may take to say whether it can have it. The agent goes on meanwhile."""
RECEIVE_TRY = timedelta(seconds=3)
"""One try of that: a daemon that dies over it, and is started again at once, is asked again within the time."""

STOP_HEARTBEAT = timedelta(seconds=10)

SUPERVISE = timedelta(days=3650)
"""As good as for ever; the server wants an end."""
SUPERVISE_HEARTBEAT = timedelta(minutes=5)
"""Far above the 60 s between two heartbeats: a daemon that restarts must not cost a retry."""

READY = timedelta(seconds=15)
"""How long a text waits until its agent can be typed to."""
READY_FOR_PROMPT = timedelta(minutes=10)
"""The same for what a session was launched with, before it is asked for anew: a person may have to log in first."""
TYPE = timedelta(seconds=40)
"""One try of typing beyond that wait: above the 15 s after which a terminal that hangs is told as one."""
TYPE_HEARTBEAT = timedelta(seconds=5)
SEND = timedelta(seconds=45)
"""The same with a host that has to come back first."""

RELAUNCHED = timedelta(minutes=10)
"""How long a text whose runner ended waits for the next one: a machine that was started anew has many to launch."""

NEXT_LOOK_FOR_SLOT = timedelta(minutes=10)
"""Grants are signalled; this is the net for a signal that was never sent."""
NEXT_LOOK_FOR_HOST = timedelta(seconds=5)
NEXT_LOOK_WITHOUT_HOST = timedelta(minutes=1)
"""A host that takes runners again wakes those who wait for one; this is the net for who was not woken."""

MOMENT = timedelta(milliseconds=1)
"""The shortest time after which the server makes another workflow task."""

FOR_EVER = RetryPolicy(
    initial_interval=timedelta(milliseconds=200),
    backoff_coefficient=2,
    maximum_interval=timedelta(seconds=10),
)
"""Servers that are away come back; an error that no retry can mend is raised as non-retryable where it happens."""
