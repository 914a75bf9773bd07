"""A light program that asks two questions, one after the other, as Claude Code does: a key answers one at once."""

import sys
import termios
import tty

from tests.chaos.harness.light_claude import RULE, Conversation, hook, option

QUESTIONS = ("Delete the draft?", "Delete everything?")


def main() -> None:
    settings = option("--settings")
    assert settings
    talk = Conversation(option("--session-id") or option("--resume") or "")
    hook(settings, "SessionStart", talk, source="startup")
    tty.setcbreak(sys.stdin, termios.TCSANOW)
    for question in QUESTIONS:
        hook(settings, "PermissionRequest", talk, tool_name=question)
        print(f"\x1b[2J\x1b[H{RULE}\n {question}\n\n ❯ 1. Yes\n   2. No\n\n Esc to cancel", flush=True)
        key = sys.stdin.read(1)
        with open("answers", "a") as answers:
            answers.write(f"{question} {key}\n")
        hook(settings, "PostToolUse", talk)
    print("\x1b[2J\x1b[H", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
