"""Text for the agent: in order, once, and refused where nobody can read it."""

import asyncio

from stratavore.models.states import ExitKind, SessionState
from tests.support.sessions import Sessions
from tests.support.waiting import until


async def test_texts_are_typed_in_the_order_they_came(sessions: Sessions) -> None:
    world = sessions.world
    gate = world.hold("send")
    session = await sessions.start()
    await session.runs()
    texts = [f"text {number}" for number in range(10)]
    for text in texts:
        await session.send(text)
    await until(lambda: "send is held" in world.log)
    assert world.log.count("send is held") == 1
    gate.set()
    await until(lambda: len(world.typed) == len(texts))
    assert world.typed == texts
    await session.terminate()
    await session.result()


async def test_a_repeated_request_is_typed_once(sessions: Sessions) -> None:
    world = sessions.world
    session = await sessions.start()
    await session.runs()
    await asyncio.gather(*(session.send("once", "the same") for _ in range(5)))
    await session.send("last")
    await until(lambda: "last" in world.typed)
    assert sorted(world.typed) == ["last", "once"]
    await session.terminate()
    await session.result()


async def test_a_paused_session_refuses_once(sessions: Sessions) -> None:
    world = sessions.world
    session = await sessions.start()
    await session.runs()
    await session.pause()
    await until(lambda: world.states)
    await session.send("too late", "the same")
    await session.send("too late", "the same")
    await until(lambda: world.refused)
    await session.resume()
    await session.runs(2)
    await session.send("in time")
    await until(lambda: world.typed)
    (refused,) = world.refused
    assert (refused.request_id, refused.reason) == ("the same", "the session is paused, nothing can be typed")
    assert world.typed == ["in time"]
    await session.terminate()
    await session.result()


async def test_what_comes_while_the_agent_starts_waits_for_it(sessions: Sessions) -> None:
    world = sessions.world
    gate = world.hold("launch")
    session = await sessions.start()
    await until(lambda: "launch is held" in world.log)
    await session.send("early")
    gate.set()
    await until(lambda: world.typed == ["early"])
    await session.terminate()
    await session.result()


async def test_what_is_under_way_when_the_session_ends_is_typed_or_refused(sessions: Sessions) -> None:
    world = sessions.world
    gate = world.hold("send")
    session = await sessions.start()
    await session.runs()
    await session.send("first")
    await session.send("second")
    await until(lambda: "send is held" in world.log)
    await session.ends(ExitKind.COMPLETED)
    await until(lambda: world.states)
    gate.set()
    assert await session.result() == "it completed"
    assert world.typed == ["first"]
    (refused,) = world.refused
    assert refused.reason == "the session is ended, nothing can be typed"


async def test_while_the_agent_is_being_stopped(sessions: Sessions) -> None:
    world = sessions.world
    world.stubborn = True
    session = await sessions.start()
    await session.runs()
    await session.pause()
    await session.send("too late")
    await until(lambda: world.refused)
    assert world.refused[0].reason == "the session is about to stop, nothing can be typed"
    await session.terminate(force=True)
    await session.result()


async def test_the_prompt_is_typed_once_however_many_runners_there_are(sessions: Sessions) -> None:
    world = sessions.world
    session = await sessions.start(prompt="the first words")
    await session.runs()
    await until(lambda: world.typed == ["the first words"])
    await session.ends(ExitKind.CRASHED)
    await session.runs(2)
    await session.send("last")
    await until(lambda: "last" in world.typed)
    assert world.typed == ["the first words", "last"]
    await session.terminate()
    await session.result()


async def test_the_prompt_waits_for_an_agent_that_is_ready_and_holds_up_no_answer(sessions: Sessions) -> None:
    world = sessions.world
    world.unready = 2
    gate = world.hold("send")
    session = await sessions.start(prompt="the first words")
    await session.runs()
    await until(lambda: "send is held" in world.log)
    await session.send("later")
    await session.send("yes", answer=True)
    await until(lambda: world.log.count("send is held") == 2)
    gate.set()
    await until(lambda: "later" in world.typed)
    assert [text for text in world.typed if text != "yes"] == ["the first words", "later"]
    await session.terminate()
    await session.result()


async def test_a_prompt_outlives_the_pause_of_its_session(sessions: Sessions) -> None:
    world = sessions.world
    gate = world.hold("launch")
    session = await sessions.start(prompt="the first words")
    await until(lambda: "launch is held" in world.log)
    await session.pause()
    gate.set()
    await until(lambda: SessionState.PAUSED in world.states)
    assert world.typed == []
    await session.resume()
    await until(lambda: world.typed == ["the first words"])
    await session.terminate()
    await session.result()


async def test_what_the_runner_before_died_with_is_told_until_it_is_taken(sessions: Sessions) -> None:
    world = sessions.world
    session = await sessions.start()
    await session.runs()
    world.unheard.append("unheard")
    world.unready = 2
    await session.ends(ExitKind.LOST)
    await until(lambda: world.typed == ["unheard"])
    await session.terminate()
    await session.result()
    assert world.typed == ["unheard"]


async def test_what_a_runner_did_not_hear_before_its_end_is_left_to_the_next_one(sessions: Sessions) -> None:
    world = sessions.world
    session = await sessions.start()
    await session.runs()
    world.unheard.extend(["unheard", "unheard"])
    world.gone.add(session.runner(2))
    await session.ends(ExitKind.LOST)
    await session.runs(2)
    await session.ends(ExitKind.LOST, 2)
    await until(lambda: world.typed == ["unheard"])
    await session.terminate()
    await session.result()


async def test_a_text_for_a_runner_that_has_died_goes_to_the_next_one(sessions: Sessions) -> None:
    world = sessions.world
    session = await sessions.start()
    await session.runs()
    world.gone.add(session.runner(1))
    gate = world.hold("send")
    await session.send("noted while all was dead")
    await session.send("and then")
    await until(lambda: "send is held" in world.log)
    gate.set()
    await session.ends(ExitKind.LOST)
    await until(lambda: world.typed == ["noted while all was dead", "and then"])
    assert not world.refused
    await session.terminate()
    await session.result()


async def test_a_text_for_a_runner_that_ended_for_good_is_refused(sessions: Sessions) -> None:
    world = sessions.world
    session = await sessions.start()
    await session.runs()
    world.gone.add(session.runner(1))
    await session.send("too late")
    await session.ends(ExitKind.COMPLETED)
    await until(lambda: world.refused)
    (refused,) = world.refused
    assert refused.reason == "the session is ended, nothing can be typed"
    assert world.typed == []
    await session.result()
