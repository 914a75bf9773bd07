"""``docs/configuration.md`` and ``deploy/stratavore.yaml``, written from the settings themselves.

``python -m cli.configuration_reference > docs/configuration.md``,
``python -m cli.configuration_reference example > deploy/stratavore.yaml``.
"""

import json
import sys
from collections.abc import Iterator
from typing import Any

from stratavore.config.keys import SECTIONS, SETTINGS, Setting

INTRODUCTION = """\
# Configuration

<!-- Written by `python -m cli.configuration_reference > docs/configuration.md`; a test compares. -->

Nothing has to be configured: without a word of it the daemon keeps Temporal, Postgres and RabbitMQ of its own on this
machine. What a daemon can be told is below. It is read when the daemon starts, and by those commands that have to reach
the servers themselves because no daemon answers.

## Where settings come from

Each setting by itself has the first value that is found in:

1. its environment variable: `STRATAVORE_` and the key in capitals, with `__` after the section, such as
   `STRATAVORE_TEMPORAL__ADDRESS`. One that is empty says nothing.
2. one file: that of `--config FILE` (both `stratavore` and `stratavored` take it; `STRATAVORE_CONFIG` is the same),
   else `~/.config/stratavore/stratavore.yaml` (below `$XDG_CONFIG_HOME`, if that is set), else
   `/etc/stratavore/stratavore.yaml`. Files are not combined: the first that is there counts.
   `STRATAVORE_CONFIG=/dev/null` uses none.
3. its default.

A daemon that `stratavore daemon start` starts has the environment and the file of that command.

```yaml
temporal:
  address: temporal.example:7233
  ca: /etc/stratavore/ca.pem
postgres:
  dsn: postgresql://stratavore:password@db.example:5432/stratavore_state?sslmode=verify-full
quotas:
  max_concurrent_runners: 5
```

`deploy/stratavore.yaml` has every setting, commented out.

## See and check it

```
stratavore config show --source          each setting, and the line or the variable that it comes from
stratavore config validate FILE          whether a file, with the variables of this shell, is right
stratavored --config-check               the same for what a daemon would read now
```

The last two end with 0 and one line, or with 2 and one sentence: the file, the line, the key and what would be right.
They ask no server. Values are never told in messages, and passwords and keys are shown as `****`.

Refused is:

- a file that `--config` names and that is not there, that is no YAML, or that cannot be read;
- a file that others than its owner may write, or that belongs to another user than root or the daemon's: who writes it
  decides which programs run. One with a password in it that every user may read is used, with a warning;
- a key that is no setting, or is there twice, and a value of another kind: in a file a number is written as a number,
  and a text that looks like one in quotes;
- a variable with `__` that is no setting, or one that is nearly called like one, since a server that was to be used
  would not be. Other variables that begin with `STRATAVORE_` are warned of. (Kubernetes makes such variables for a
  service called `stratavore-temporal`; `enableServiceLinks: false` leaves them out.)
- settings that contradict each other, such as `cert` without `key`, or a file that cannot be read.

Paths are whole paths, or begin with `~`.

## Settings

Ports are those of the embedded servers and of the metrics. If one is not free, another is taken, which
`stratavore daemon status` shows; 0 takes any.
"""

EXAMPLE = """\
# Configuration of Stratavore: every setting with its default, or with an example if it has none.
# Remove the # before what you set. The rest can stay as it is; docs/configuration.md says more.
#
# Copy it to ~/.config/stratavore/stratavore.yaml or /etc/stratavore/stratavore.yaml, and with a password in it:
# chmod 600.
"""


def reference() -> str:
    """The whole text of ``docs/configuration.md``."""
    parts = [INTRODUCTION]
    for section in ("", *SECTIONS):
        if section:
            parts.append(f"### {section}\n\n{_summary(section)}\n")
        parts.append(_table(section))
    return "\n".join(parts)


def example() -> str:
    """The whole text of ``deploy/stratavore.yaml``."""
    return EXAMPLE + "".join(f"{line}\n" for section in ("", *SECTIONS) for line in _example(section))


def _table(section: str) -> str:
    lines = ["| key, variable | takes | default | meaning |", "| --- | --- | --- | --- |"]
    for one in _of(section):
        lines.append(f"| `{one.key}`<br>`{one.variable}` | {one.takes} | {_default(one)} | {one.field.description} |")
    return "\n".join(lines) + "\n"


def _default(one: Setting) -> str:
    if one.default is not None:
        return f"`{_yaml(one.default)}`"
    unset = "this machine's name" if one.key == "host" else "unset"
    return f"{unset}; such as `{_yaml(_shown(one))}`"


def _shown(one: Setting) -> Any:
    """Its default, or an example if it has none."""
    return one.default if one.default is not None else (one.field.examples or [None])[0]


def _example(section: str) -> Iterator[str]:
    yield ""
    if section:
        yield f"# {_summary(section)}"
        yield f"{section}:"
    indent = "  " * bool(section)
    for one in _of(section):
        yield f"{indent}# {(one.field.description or '').replace('`', '')}"
        yield f"{indent}#{one.name}: {_yaml(_shown(one))}"


def _summary(section: str) -> str:
    return SECTIONS[section].partition("\n")[0]


def _of(section: str) -> Iterator[Setting]:
    return (one for one in SETTINGS.values() if one.section == section)


def _yaml(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


if __name__ == "__main__":
    sys.stdout.write(example() if sys.argv[1:] == ["example"] else reference())
