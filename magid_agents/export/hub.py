"""Push an export to a dataset repository of the Hugging Face Hub."""

import os
import re
import sys
from pathlib import Path

from magid_agents.errors import ConfigError, MagidError, first_line

PREFIX = "hub:"  # of --to, before OWNER/NAME
FORMAT = "parquet"  # what the Hub's viewer and load_dataset read
REFUSED = (401, 403)
# What an earlier push may have left: the card would name its shards, and an image may have become unsafe.
REPLACED = ["data/train-*.parquet", "data/test-*.parquet", "images.parquet", "images/??/*.png"]


class PushError(MagidError):
    """The Hub does not take an export."""


def parse_repository(to: str) -> str:
    """Return OWNER/NAME of `hub:OWNER/NAME`. Raises ConfigError if it is not of this form."""
    repository = to.removeprefix(PREFIX)
    if not re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", repository, re.ASCII):
        raise ConfigError(f"--to {to}: must be {PREFIX}OWNER/NAME, such as {PREFIX}me/my-dialogues")
    return repository


def push(folder: Path, repository: str) -> str:
    """Upload a complete export and return the commit's address.

    Files that the Hub has already are not sent again; samples and images of an earlier push are removed. A
    repository that is not there is created, and private.

    Raises PushError if the Hub cannot be reached, or refuses the token or the files.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError
    from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]  # exported lazily

    if not sys.stderr.isatty():
        disable_progress_bars()

    api = HfApi()
    again = f"the export is complete in {folder}, and the same command pushes it"
    try:
        api.create_repo(repository, repo_type="dataset", private=True, exist_ok=True)
        done = api.upload_folder(
            folder_path=os.fspath(folder),
            repo_id=repository,
            repo_type="dataset",
            commit_message="Dialogues with images, by magid export",
            delete_patterns=REPLACED,
        )
    except LocalTokenNotFoundError as error:
        raise PushError(f"{PREFIX}{repository}: {_no_token(again)}") from error
    except HfHubHTTPError as error:
        refused = error.response is not None and error.response.status_code in REFUSED
        fix = _no_token(again) if refused else again
        raise PushError(f"{PREFIX}{repository}: the Hub says {first_line(error)!r}; {fix}") from error
    except Exception as error:  # the library's HTTP client, and so its errors, differ between versions
        raise PushError(
            f"{PREFIX}{repository}: cannot be uploaded ({first_line(error)}); {again} once the Hub is reached"
        ) from error
    return done.commit_url


def _no_token(again: str) -> str:
    return f"log in by hf auth login, or set HF_TOKEN to a token that may write; {again}"
