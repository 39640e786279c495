"""Keeps transformers and diffusers from writing bars and reports of their own on the user's terminal."""


def quiet() -> None:
    """Errors only, from now on; to be called once both can be imported."""
    from diffusers.utils import logging as diffusers
    from transformers.utils import logging as transformers

    for library in (transformers, diffusers):
        library.set_verbosity_error()
        library.disable_progress_bar()
