"""The pre-season job as a script, for schedulers set up before `yieldcast job preseason` existed.

    python experiments/preseason_forecast.py --store STORE --crop soybean --bulletins BULLETINS --runs RUNS

Options, output and exit codes are those of `yieldcast job preseason`.
"""

import sys

from yieldcast.cli.app import main

if __name__ == "__main__":
    main(["job", "preseason", *sys.argv[1:]])
