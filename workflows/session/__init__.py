"""The session workflow, a class a part; each part stands on those below it.

``loop``         the workflow itself: what comes next, for as long as the session lives
``commands``     signals: what people ask for
``launching``    a slot, a host, a launch
``supervising``  watching the live runner, and having it ended
``recording``    what follows from an end, in one transaction
``moving``       going on on another host
``texts``        what is typed into the agent
``showing``      what the Web UI shows
``waiting``      how it waits, and how it continues as new
``memory``       what it knows, and hands to its next run
"""

from workflows.session.loop import SessionWorkflow

__all__ = ["SessionWorkflow"]
