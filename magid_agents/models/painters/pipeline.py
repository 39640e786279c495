"""Find, identify and load the diffusers text-to-image pipeline that the settings describe.

The settings that a preset's model needs are in profiles/painters/*.toml.
"""

import inspect
from pathlib import Path
from typing import Any

from magid_agents.config import PainterSettings
from magid_agents.errors import MagidError, first_line
from magid_agents.models import weights
from magid_agents.models.digests import folder_identity
from magid_agents.models.painters.errors import PainterError
from magid_agents.models.quiet import quiet


def found(settings: PainterSettings) -> Path:
    """Return the folder with the pipeline's files; fetch them if they are missing.

    Raises PainterError or WeightsError if they cannot be fetched.
    """
    if settings.model in weights.manifest():
        return weights.ensure(settings.model)
    folder = Path(settings.model)
    if folder.is_dir():
        if not (folder / "model_index.json").exists():
            raise PainterError(
                f"painter.model={folder}: holds no model_index.json; name a diffusers pipeline's folder"
            )
        return folder
    diffusers = _diffusers()
    try:
        path = diffusers.DiffusionPipeline.download(
            settings.model, revision=settings.revision, variant=settings.variant
        )
    except (OSError, ValueError) as error:
        raise PainterError(
            f"painter.model={settings.model} cannot be downloaded: {first_line(error)}; check the name "
            "and the network, or name a folder"
        ) from error
    return Path(path)


def identity(settings: PainterSettings, folder: Path) -> str:
    """Return name and revision: the hub's commit, or a digest of local files."""
    if settings.model in weights.manifest():
        return weights.identity(settings.model)
    if not Path(settings.model).is_dir():
        return f"{settings.model}@{folder.name}"  # the hub's cache names a snapshot folder after its commit
    return folder_identity(folder)


def load(settings: PainterSettings, folder: Path, device: str) -> Any:
    """Return the pipeline on the device, ready to be called.

    Raises PainterError if the files or this machine do not support what the settings ask for.
    """
    diffusers = _diffusers()
    try:
        pipe = _built(diffusers, settings, folder)
        if settings.scheduler:
            options = dict(settings.scheduler)
            kind = getattr(diffusers, options.pop("class", type(pipe.scheduler).__name__))
            pipe.scheduler = kind.from_config(pipe.scheduler.config, **options)
        pipe.set_progress_bar_config(disable=True)
        pipe = pipe.to(device)
        _tune(pipe, settings)
    except MagidError:
        raise
    except Exception as error:  # torch raises RuntimeError or AssertionError for devices and for memory
        raise PainterError(
            f"painter.model={settings.model} cannot be loaded: {first_line(error)}; see painter.device, "
            "painter.dtype, painter.quantise and painter.attention"
        ) from error
    known = inspect.signature(pipe.__call__).parameters
    for name in arguments(settings):
        if name not in known:
            kind = type(pipe).__name__
            raise PainterError(f"painter: {kind} takes no {name}; see painter.arguments and negative_prompt")
    return pipe


def arguments(settings: PainterSettings) -> dict[str, Any]:
    """Return the arguments of every call besides prompts and generators; one negative prompt per image."""
    given: dict[str, Any] = {
        "num_inference_steps": settings.steps,
        settings.guidance_argument: settings.guidance,
        "width": settings.width,
        "height": settings.height,
        **settings.arguments,
    }
    if settings.negative_prompt:
        given["negative_prompt"] = settings.negative_prompt
    return given


def _built(diffusers: Any, settings: PainterSettings, folder: Path) -> Any:
    import torch

    dtype = getattr(torch, settings.dtype)
    if settings.model in weights.manifest():
        from magid_agents.models import embedded

        return embedded.load_painter(folder).to(dtype=dtype)
    options: dict[str, Any] = {"dtype": dtype, "variant": settings.variant}
    if settings.quantise in ("int8", "int4"):
        bits = {"int8": 8, "int4": 4}[settings.quantise]
        options["quantization_config"] = diffusers.PipelineQuantizationConfig(
            quant_backend=f"bitsandbytes_{bits}bit",
            quant_kwargs={f"load_in_{bits}bit": True},
            components_to_quantize=_large(folder),
        )
    kind = getattr(diffusers, settings.pipeline or "AutoPipelineForText2Image")
    return kind.from_pretrained(folder, **options)


def _large(folder: Path) -> list[str]:
    """Return those parts worth quantising that this pipeline has."""
    return [name for name in ("transformer", "unet", "text_encoder") if (folder / name).is_dir()]


def _tune(pipe: Any, settings: PainterSettings) -> None:
    """Set the denoiser's options that trade speed, memory and precision.

    Raises PainterError if one is set and the pipeline has no single denoiser, such as a cascade.
    """
    import torch

    options = {
        "attention": bool(settings.attention),
        "quantise=float8": settings.quantise == "float8",
        "compile": settings.compile,
    }
    wanted = [name for name, is_set in options.items() if is_set]
    if not wanted:
        return
    denoiser = getattr(pipe, "transformer", None) or getattr(pipe, "unet", None)
    if denoiser is None:
        raise PainterError(
            f"painter.{wanted[0]}: {type(pipe).__name__} has no transformer or unet to apply it to; unset it"
        )
    if settings.attention:
        denoiser.set_attention_backend(settings.attention)
    if settings.quantise == "float8":
        denoiser.enable_layerwise_casting(
            storage_dtype=torch.float8_e4m3fn, compute_dtype=getattr(torch, settings.dtype)
        )
    if settings.compile:
        denoiser.compile()


def _diffusers() -> Any:
    from magid_agents.models import torchvision_ops

    torchvision_ops.ensure()
    import diffusers

    quiet()
    return diffusers
