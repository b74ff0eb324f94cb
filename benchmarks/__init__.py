"""Speed, start-up time and memory of `lrmf`, next to the libraries it is compared with.

`python -m benchmarks` runs everything, prints one report and writes one dated JSON file
under `benchmarks/results/`. `python -m benchmarks --help` lists the shorter runs.
"""
