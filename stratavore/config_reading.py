"""Reads the settings: environment variables ``STRATAVORE_…`` (nested by ``__``) over defaults."""

from pydantic import ValidationError
from pydantic_settings import SettingsError

from stratavore.config import Settings
from stratavore.errors import InvalidInput


def read_settings() -> Settings:
    """The settings of this process.

    Raises:
        InvalidInput: names the variable that is wrong, and never shows its value.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        name = "STRATAVORE_" + "__".join(str(part) for part in first["loc"]).upper()
        raise InvalidInput(reason=f"The setting {name} is wrong: {first['msg']}") from None
    except SettingsError as error:
        raise InvalidInput(reason=f"The settings cannot be read: {error}") from None
