"""`resnetkit train fashion-mnist` as it is: accuracy after the default recipe, judged once.

    python benchmarks/default_recipe.py

Three quarters of an hour a seed. Writes benchmarks/results/default_recipe.json.
"""

import argparse

from fast_recipe import whole
from turns import keep


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    rows = []
    for seed in range(options.seeds):
        rows.append(whole("default", None, seed))
        print(rows[-1], flush=True)
        keep("default_recipe", {"runs": rows})


if __name__ == "__main__":
    main()
