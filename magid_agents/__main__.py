"""`python -m magid_agents` is the `magid` command."""

from magid_agents.cli.app import main

main()
