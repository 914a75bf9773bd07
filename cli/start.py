"""The program ``stratavore``: a press of TAB is answered without the libraries that commands take."""

import os
import sys

COMPLETE = "__complete"
"""What a shell's completion script asks with; the words that were typed follow, the last one unfinished."""


def main() -> None:
    """Complete words, or run a command."""
    if sys.argv[1:2] == [COMPLETE]:
        from cli.completing import answer

        sys.stdout.write(answer(sys.argv[2:]))
        sys.stdout.flush()
        os._exit(0)
    from cli.main import main as run

    run()


if __name__ == "__main__":
    main()
