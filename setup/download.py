"""``python -m setup.download DIRECTORY VERSION``: Temporal's program, as the SDK downloads it for its own tests."""

import asyncio
import os
import sys

from temporalio.testing import WorkflowEnvironment


async def download(directory: str, version: str) -> None:
    """Have the SDK start a server, which it downloads for that, and end it again."""
    environment = await WorkflowEnvironment.start_local(
        download_dest_dir=directory, dev_server_download_version=version
    )
    await environment.shutdown()


def main() -> None:
    """Download. Ends with 1, and the SDK's reason, if that cannot be done."""
    code = 0
    try:
        asyncio.run(download(*sys.argv[1:]))
    except RuntimeError as error:
        sys.stderr.write(f"{error}\n")
        code = 1
    # A process that used the Temporal SDK sometimes dies by a signal at interpreter exit, after its work is done.
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
