"""Whether a folder holds the released code of SOP, and which version."""

from pathlib import Path
from typing import Any

from sparseop import provenance
from sparseop.errors import InputError
from sparseop.files import sha256

WHERE = "https://github.com/shengliu66/SOP"
CONFIG = "config_cifar100.json"
#: what is driven, and a name in it that tells this repository from others of the same template
NEEDED = {
    "train.py": "module_loss",
    "parse_config.py": "class ConfigParser",
    "trainer/trainer.py": "def _train_epoch",
    "model/loss.py": "class overparametrization_loss",
    "data_loader/data_loaders.py": "class CIFAR10DataLoader",
    CONFIG: "ratio_consistency",
}
#: digests of released versions
RELEASED = {"ce55ca62e5b6fc99": "4d991cedf1fafec98f858a213ccc31e52318a77f"}


def identify(folder: Path) -> dict[str, Any]:
    """Return commit, digest of all Python files and the configuration, and whether they are a known release's.

    The commit of a folder without .git (an archive) is known by its digest, or "unknown".

    Raises
    ------
    InputError : no such folder, or the released code of SOP is not in it.
    """
    if not folder.is_dir():
        raise InputError(f"--official: there is no folder '{folder}'; get the released code with git clone {WHERE}.")
    for name, word in NEEDED.items():
        path = folder / name
        if not path.is_file():
            raise InputError(f"--official: '{folder}' is not a checkout of {WHERE}: it has no {name}.")
        if word.encode() not in path.read_bytes():
            raise InputError(f"--official: '{folder}' is not a checkout of {WHERE}: its {name} has no {word!r}.")
    files = [folder / CONFIG, *(path for path in folder.rglob("*.py") if path.is_file())]
    lines = sorted(f"{path.relative_to(folder).as_posix()} {sha256(path.read_bytes())}" for path in files)
    digest = sha256("\n".join(lines).encode())[:16]
    here = (
        provenance.commit(folder)["commit"] if (folder / ".git").exists() else "unknown"
    )  # not that of a repository around it
    return {"source": WHERE, "commit": RELEASED.get(digest, here), "digest": digest, "as released": digest in RELEASED}
