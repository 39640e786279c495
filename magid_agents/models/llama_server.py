"""Run a llama.cpp server in a process of its own, which ends when its standard input does.

`python -m magid_agents.models.llama_server MODEL THREADS CONTEXT SLOTS` prints the server's address first.
It is a separate process because the library's server cannot be stopped while a client keeps a connection
open, and because it must end with the program that started it, however that program ends.
"""

import os
import sys

# What prompts of other kinds leave to be gone on from, a few dozen of them. The default is 8 GiB, which a
# long run fills: as much as many a laptop has.
CACHE_MIB = 512


def main() -> None:
    import xllamacpp

    model, threads, context, slots = sys.argv[1], *map(int, sys.argv[2:5])
    parameters = xllamacpp.CommonParams()
    parameters.model.path = model
    parameters.n_ctx = context * slots
    parameters.n_parallel = slots
    parameters.cpuparams.n_threads = threads
    parameters.cache_ram_mib = CACHE_MIB
    server = xllamacpp.Server(parameters)
    print(server.listening_address, flush=True)
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
