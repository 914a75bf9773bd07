"""What the daemon will be told, on which it depends what has to be installed."""

from setup.progress import SetupFailed
from stratavore.config.reading import read_settings
from stratavore.config.settings import Settings
from stratavore.errors import StratavoreError


def settings() -> Settings:
    """The settings.

    Raises:
        SetupFailed: one is wrong; says where and what is right.
    """
    try:
        return read_settings()
    except StratavoreError as error:
        raise SetupFailed(str(error)) from None
