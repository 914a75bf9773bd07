"""A light program that takes a prompt as Claude Code does, and never comes to write it down."""

import time

from tests.chaos.harness.light_claude import RULE, Conversation, hook, option


def main() -> None:
    settings = option("--settings")
    assert settings
    talk = Conversation(option("--session-id") or option("--resume") or "")
    hook(settings, "SessionStart", talk, source="startup")
    print(f"{RULE}\n❯ \n{RULE}\x1b[1A\r\x1b[2C", end="", flush=True)
    prompt = input().strip()
    hook(settings, "UserPromptSubmit", talk, prompt=prompt)
    while True:
        print("\x1b[2J\x1b[H· Working…", flush=True)
        time.sleep(1)


if __name__ == "__main__":
    main()
