"""The in-season job as a script, for schedulers set up before `yieldcast job inseason` existed.

    python experiments/inseason_update.py --store STORE --crop soybean --bulletins BULLETINS --runs RUNS

Options, output and exit codes are those of `yieldcast job inseason`.
"""

import sys

from yieldcast.cli.app import main

if __name__ == "__main__":
    main(["job", "inseason", *sys.argv[1:]])
