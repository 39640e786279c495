"""Keep transformers and diffusers from writing progress bars and logs of their own to the terminal."""


def quiet() -> None:
    """Show errors only from now on. Call it once both can be imported."""
    from diffusers.utils import logging as diffusers
    from transformers.utils import logging as transformers

    for library in (transformers, diffusers):
        library.set_verbosity_error()
        library.disable_progress_bar()
