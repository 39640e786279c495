"""`magid doctor`: check whether this machine can run with the given settings."""

import shlex

import typer

from magid_agents.cli.options import Overrides, Preset, Profile


def doctor(profile: Profile = "embedded", preset: Preset = "default", overrides: Overrides = None) -> int:
    """Check what this machine can run, and say what is missing; exit status 2 if anything is."""
    from magid_agents import config
    from magid_agents.cli.examination import examine

    options = ["--profile", profile, *(["--preset", preset] if preset != "default" else [])]
    options += [word for override in overrides or [] for word in ("--set", override)]
    fetch = shlex.join(["magid", "models", "fetch", *options])
    checks = list(examine(config.load(profile, preset, overrides or []), fetch))
    for check in checks:
        typer.echo(f"{'ok  ' if check.ok else 'FAIL'}  {check.name}: {check.says}")
    return 0 if all(check.ok for check in checks) else 2
