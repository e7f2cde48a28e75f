"""A recipe as it is on Fashion-MNIST, from start to end: accuracy on the test part, judged once.

    python benchmarks/long_recipe.py default
    python benchmarks/long_recipe.py best

Three quarters of an hour a seed. Writes benchmarks/results/<recipe>_recipe.json.
"""

import argparse

from fast_recipe import whole
from turns import keep


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe", choices=("default", "best"))
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    rows = []
    for seed in range(options.seeds):
        rows.append(whole(options.recipe, None, seed))
        print(rows[-1], flush=True)
        keep(f"{options.recipe}_recipe", {"runs": rows})


if __name__ == "__main__":
    main()
