"""A llama.cpp server in a process of its own; it says its address and ends when its standard input does.

A process of its own because the library's server cannot be stopped while a client keeps a connection
open, and because it must end with the program that started it, however that one ends.

`python -m magid_agents.models.llama_server MODEL THREADS CONTEXT SLOTS`
"""

import os
import sys


def main() -> None:
    import xllamacpp

    model, threads, context, slots = sys.argv[1], *map(int, sys.argv[2:5])
    parameters = xllamacpp.CommonParams()
    parameters.model.path = model
    parameters.n_ctx = context * slots
    parameters.n_parallel = slots
    parameters.cpuparams.n_threads = threads
    server = xllamacpp.Server(parameters)
    print(server.listening_address, flush=True)
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
