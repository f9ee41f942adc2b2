"""The console command ``sparseop``: ``sparseop train ...`` is ``python -m sparseop.deep.train ...``, and so on.

sparseop train [RECIPE] ...       train with wrong labels, or without labels
sparseop predict RUN IMAGES...    what the network of a run sees in new pictures
sparseop export RUN OUT           give the network of a run to other programs
sparseop inspect TABLE|FOLDER     which labels of a data set are wrong
sparseop COMMAND --help           more
"""

import importlib
import sys
from collections.abc import Sequence

COMMANDS = {
    "train": "sparseop.deep.train",
    "predict": "sparseop.deep.predict",
    "export": "sparseop.deep.trained.export",
    "inspect": "sparseop.inspect.__main__",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command named first; return the exit status (see ``sparseop.cli``)."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help"):
        sys.stdout.write(__doc__ or "")
        return 0 if given else 2
    if given[0] not in COMMANDS:
        sys.stderr.write(f"sparseop: error: the command must be one of {', '.join(COMMANDS)}, got {given[0]!r}.\n")
        return 2
    try:
        module = importlib.import_module(COMMANDS[given[0]])
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        sys.stderr.write(f"sparseop: error: {error}\n")
        return 2
    status: int = module.main(given[1:])
    return status


if __name__ == "__main__":
    sys.exit(main())
