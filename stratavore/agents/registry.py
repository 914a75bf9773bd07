"""The adapters by name."""

from stratavore.agents.adapter import Adapter
from stratavore.agents.claude.adapter import Claude
from stratavore.agents.command import Command
from stratavore.errors import EXIT_USAGE, StratavoreError
from stratavore.near_names import did_you_mean

_ADAPTERS: dict[str, Adapter] = {adapter.name: adapter for adapter in (Claude(), Command())}


class UnknownAgent(StratavoreError):
    """There is no agent '{name}'{near}. Known are: {known}."""

    code = "unknown_agent"
    exit_code = EXIT_USAGE


def adapter_for(name: str) -> Adapter:
    """The adapter of an agent.

    Raises:
        UnknownAgent: there is none of that name; its message lists those there are.
    """
    try:
        return _ADAPTERS[name]
    except KeyError:
        raise UnknownAgent(name=name, near=did_you_mean(name, _ADAPTERS), known=", ".join(agent_names())) from None


def agent_names() -> tuple[str, ...]:
    """The names of all agents."""
    return tuple(sorted(_ADAPTERS))
