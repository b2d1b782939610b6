"""`python -m dpsynth` is the command line."""

from dpsynth.cli import main

main()
